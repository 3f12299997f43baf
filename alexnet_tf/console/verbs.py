"""Commands that do one of several things: the first word says which, and each has its own flags of the command's table.
"""
import dataclasses
from collections.abc import Callable

from absl import flags


@dataclasses.dataclass(frozen=True)
class Verb:
    """One thing to do. takes: what stands behind its name, in words; least, most: how many of them. flags: names of the
    rows that it has use for; needs: of those that it must have. do: function of what stands behind the name.
    """
    name: str
    takes: str
    least: int
    most: int
    flags: tuple
    do: Callable
    needs: tuple = ()


def choose(given, verbs, rows, *, kind, for_all=()):
    """(Verb, what stands behind its name).

    Args:
      given: the words of the command, the verb's name first. rows: the command's flag_table.Flags.
      kind: what the verbs are called, which is the name of the flag with the words, too.
      for_all: names of flags that every verb has use for.

    Raises: ValueError for flags that it has no use for, or lacks.
    """
    name, *inputs = given
    verb = next((verb for verb in verbs if verb.name == name), None)
    if verb is None:
        raise ValueError(f'{name} is no {kind}; choose one of {", ".join(verb.name for verb in verbs)}.')
    if not verb.least <= len(inputs) <= verb.most:
        raise ValueError(f'not understood: {" ".join(given)}; {name} takes {verb.takes}.')
    for row in rows:
        flag = flags.FLAGS[row.name]
        if flag.present and row.name not in (kind, *for_all, *verb.needs, *verb.flags):
            raise ValueError(f'--{row.name} has no effect with {name}; leave it out.')
        if row.name in verb.needs and flag.value is None:
            raise ValueError(f'{name} needs --{row.name}. {row.help}')
    return verb, inputs
