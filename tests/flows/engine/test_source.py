"""A worker rests once all its partitions had nothing, and never while one has something."""

from hypothesis import given
from hypothesis import strategies as st

from flows.engine.source import IdleBackoff


@given(st.integers(1, 6), st.lists(st.booleans(), max_size=60))
def test_it_rests_only_after_a_turn_without_anything(partitions: int, turns: list[bool]) -> None:
    rests: list[float] = []
    idle, empty = IdleBackoff(rests.append), 0
    for _ in range(partitions):
        idle.opened()
    for has_something in turns:
        before = len(rests)
        if has_something:
            idle.took()
            empty = 0
        else:
            idle.empty()
            empty += 1
        assert len(rests) - before == (empty == partitions)
        empty = 0 if empty == partitions else empty


def test_partitions_that_are_closed_are_not_waited_for() -> None:
    rests: list[float] = []
    idle = IdleBackoff(rests.append)
    idle.opened()
    idle.opened()
    idle.closed()
    idle.empty()
    assert len(rests) == 1


def test_rests_grow_once_nothing_came_for_long() -> None:
    rests: list[float] = []
    idle = IdleBackoff(rests.append)
    idle.opened()
    for _ in range(300):
        idle.empty()
    assert rests[0] < rests[-1] <= 0.02
    idle.took()
    idle.empty()
    assert rests[-1] == rests[0]
