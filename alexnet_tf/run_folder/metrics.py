"""metrics.jsonl, what a run writes about itself: {"kind": "train" | "validation", "step": …, value name: value, …}."""
import json
import os

from alexnet_tf.files import reading

METRICS_FILE = 'metrics.jsonl'


def read(folder, needed=None):
    """The rows of a folder's metrics.jsonl; none when there is no such file.

    A last line that was cut off, by a kill or because the run is just writing it, is left out.

    Args:
      needed: {kind: name of a value that each of its rows must have}.

    Raises: ValueError for any other line that is damaged.
    """
    path = os.path.join(folder, METRICS_FILE)
    if not os.path.exists(path):
        return []
    reading.check_regular(path)
    with open(path, encoding='utf-8', errors='replace') as file:
        lines, rows = list(file), []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            value = row[(needed or {}).get(row['kind'], 'step')]
            if not (reading.is_count(row['step']) and reading.is_number(value)):
                raise TypeError
            rows.append(row)
        except (ValueError, KeyError, TypeError, RecursionError):
            if number < len(lines) or line.endswith('\n'):
                raise ValueError(f'line {number} of {path} is damaged: {line[:60].rstrip()!r}; every line must be a '
                                 'row as training writes it. Remove that line.') from None
    return rows


def rate_drops(rows):
    """[(step, rate before, rate after)] where the rate in a row is at most half of that in the row before."""
    rates = [(row['step'], row['learning_rate']) for row in rows if row['kind'] == 'train']
    return [(step, before, after) for (_, before), (step, after) in zip(rates, rates[1:]) if after <= before / 2]
