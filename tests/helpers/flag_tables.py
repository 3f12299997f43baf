"""The tables of flags in docs/slim.md, from the rows of both scripts.

    python -m tests.helpers.flag_tables        # writes them anew
"""
import re

from alexnet_tf.script_flags import eval, train
from tests.helpers.processes import ROOT

PAGE = ROOT / 'docs' / 'slim.md'
TABLES = {'train': train.ROWS, 'eval': eval.ROWS}


def default_of(row):
    if row.default in (None, '', []):
        return ''
    return f'`{str(row.default).lower() if row.kind is bool else row.default}`'


def table(rows):
    """The Markdown table of a command's flags."""
    lines = ['| flag | default | what it does | slim |', '|---|---|---|---|']
    for row in rows:
        slim = f'refused: {row.refused}' if row.refused else row.slim or 'new'
        cells = f'`{row.name}`', default_of(row), '' if row.refused else row.help, slim
        lines.append(f'| {" | ".join(cell.replace("|", chr(92) + "|") for cell in cells)} |')
    return '\n'.join(lines)


def filled(text):
    """A page with its tables as they should be."""
    for name, rows in TABLES.items():
        text, found = re.subn(rf'(<!-- flags: {name} -->\n).*?(<!-- end -->)',
                              lambda match, rows=rows: f'{match[1]}{table(rows)}\n{match[2]}', text, flags=re.S)
        assert found == 1, f'{PAGE} has no place for the flags of {name}'
    return text


def main():
    PAGE.write_text(filled(PAGE.read_text()))


if __name__ == '__main__':
    main()
