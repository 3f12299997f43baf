"""Peers in processes of their own: one that dies, fails or cannot be imported is a row; the others are measured."""
import os
import signal
import sys

from benchmarks import timing, turns


def healthy(value):
    return lambda: value


def dies_in_its_third_turn():
    """Ends as an abort in C++ does: a line on standard error and a signal, no exception."""
    calls = iter(range(10))

    def step():
        if next(calls) == 2:
            print('LLVM ERROR: two | of them', file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGABRT)
    return step


def fails():
    raise ValueError('no such\narithmetic')


def test_a_peer_that_stops_is_reported_in_its_row_while_the_others_are_measured():
    here = f'{__name__}.'
    outcomes = turns.measure({
        'dies': (here + 'dies_in_its_third_turn', {}), 'first': (here + 'healthy', {'value': 1}),
        'missing': ('a_package_that_nobody_has.step', {}), 'fails': (here + 'fails', {}),
        'second': (here + 'healthy', {'value': 2})}, repetitions=3, warmup=1, times=2)
    assert [outcomes[name].first for name in ('first', 'second')] == [1, 2]
    assert [len(outcomes[name].seconds) for name in ('first', 'second')] == [6, 6]
    rows = timing.rates('steps', 'float32', 8, outcomes, ours='first')
    assert {row.peer: row.failure for row in rows} == {
        'dies': 'killed by SIGABRT: LLVM ERROR: two / of them', 'first': '', 'second': '',
        'missing': "ModuleNotFoundError: No module named 'a_package_that_nobody_has'",
        'fails': 'ValueError: no such arithmetic'}
    assert [row.median is None for row in rows] == [True, False, True, True, False]
    table = timing.markdown(rows)
    assert '| dies | float32 | 8 | left out: killed by SIGABRT: LLVM ERROR: two / of them |' in table
    assert {line.count('|') for line in table.splitlines()} == {9}
