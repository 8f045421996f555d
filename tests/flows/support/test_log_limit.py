"""Log lines that others can cause are few, and none is lost without being counted."""

from hand_clock import HandClock
from hypothesis import given
from hypothesis import strategies as st

from flows.support.log_limit import LogLimit


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 30)), max_size=300), st.integers(1, 4))
def test_lines_are_bounded_and_counted(events: list[tuple[str, float]], first: int) -> None:
    clock = HandClock()
    limit, passed, left_out = LogLimit(first, clock), {"a": 0, "b": 0}, {"a": 0, "b": 0}
    for kind, pause in events:
        clock.now += pause
        found = limit.passes(kind)
        if found is None:
            left_out[kind] += 1
        else:
            assert found == left_out[kind]
            left_out[kind] = 0
            passed[kind] += 1
    minutes = clock.now // 60 + 1
    assert all(count <= first * minutes for count in passed.values())


def test_a_flood_is_a_few_lines_and_then_one_a_minute() -> None:
    clock = HandClock()
    limit = LogLimit(10, clock)
    found = []
    for _ in range(60_000):
        found.append(limit.passes("flood"))
        clock.now += 0.01
    passed = [count for count in found if count is not None]
    assert passed[:10] == [0] * 10
    assert len(passed) == 10 + 9
    assert sum(passed) + len(passed) + found[::-1].index(passed[-1]) == len(found)
