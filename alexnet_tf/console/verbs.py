"""Commands that do one of several things: the first word says which, and each has its own flags of the command's table.
"""
import dataclasses
from collections.abc import Callable

from absl import flags

from alexnet_tf.console import flag_table


@dataclasses.dataclass(frozen=True)
class Verb:
    """One thing to do. takes: what stands behind its name, in words; least, most: how many of them. flags: names of the
    rows that it has use for; needs: of those that it must have. do: function of what stands behind the name.
    check_input: as Flag.check_path, of each word behind the name.
    """
    name: str
    takes: str
    least: int
    most: int
    flags: tuple
    do: Callable
    needs: tuple = ()
    check_input: Callable | None = None


def choose(given, verbs, rows, *, kind, lines, for_all=()):
    """(Verb, what stands behind its name), when flags and paths have been checked.

    Args:
      given: the words of the command, the verb's name first. rows: the command's flag_table.Flags.
      kind: what the verbs are called, which is the name of the flag with the words, too.
      lines: what is printed where no verb is given, with a line for each.
      for_all: names of flags that every verb has use for.

    Raises: ValueError for flags that it has no use for, or lacks, and for paths that are not there.
    """
    if not given:
        print(lines.rstrip())
        raise ValueError(f'no {kind} is given; name one of those above, with its flags. --help explains them.')
    name, *inputs = given
    verb = next((verb for verb in verbs if verb.name == name), None)
    if verb is None:
        raise ValueError(f'{name} is no {kind}; choose one of {", ".join(verb.name for verb in verbs)}.')
    if not verb.least <= len(inputs) <= verb.most:
        raise ValueError(f'{name} takes {verb.takes}; given: {" ".join(inputs) or "none"}.')
    for row in rows:
        flag = flags.FLAGS[row.name]
        if flag.present and row.name not in (kind, *for_all, *verb.needs, *verb.flags):
            raise ValueError(f'--{row.name} has no effect with {name}; leave it out.')
        if row.name in verb.needs and flag.value is None:
            raise ValueError(f'{name} needs --{row.name}. {row.help}')
    for each in inputs if verb.check_input else ():
        verb.check_input(each)
    flag_table.check_paths([row for row in rows if row.name in (*verb.needs, *verb.flags)])
    return verb, inputs
