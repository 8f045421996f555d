"""Event-time windows: what a batch closes, and what it does not."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from flows.windows import WindowClock, WindowOptions

OPTIONS = WindowOptions(length=100, allowed_lateness=10, idle_after=50)


def times(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def test_nothing_closes_before_the_first_click() -> None:
    clock = WindowClock(OPTIONS)
    clock.see(times(), idle=10_000)
    assert clock.watermark is None
    assert clock.close() is None


def test_a_window_closes_when_the_watermark_passes_its_end() -> None:
    clock = WindowClock(OPTIONS)
    clock.see(times(1050, 1109), idle=0)  # the watermark is 1099
    assert clock.close() == 1000
    clock.see(times(1110), idle=0)
    assert clock.close() == 1100
    assert clock.close() is None


def test_a_late_click_counts_for_the_next_window() -> None:
    clock = WindowClock(OPTIONS)
    clock.see(times(1110), idle=0)
    assert clock.close() == 1100
    ends, late = clock.window_ends(times(1099, 1100, 1250, 3))
    assert ends.tolist() == [1200, 1200, 1300, 1200]
    assert late == 2


def test_an_idle_partition_moves_on_with_the_wall_clock() -> None:
    clock = WindowClock(OPTIONS)
    clock.see(times(1050), idle=0)
    assert clock.close() == 1000
    clock.see(times(), idle=49)
    assert clock.watermark == 1040
    clock.see(times(), idle=60)
    assert clock.watermark == 1100
    assert clock.close() == 1100
    clock.see(times(1060), idle=0)  # a click ends the idleness; what is closed stays closed
    assert clock.watermark == 1050
    assert clock.close() is None
    assert clock.closed == 1100


@given(st.lists(st.lists(st.integers(0, 5000), max_size=5), max_size=20))
def test_no_window_closes_twice_and_none_before_its_time(batches: list[list[int]]) -> None:
    clock, closed = WindowClock(OPTIONS), []
    for batch in batches:
        clock.see(times(*batch), idle=0)
        end = clock.close()
        if end is not None:
            closed.append(end)
            assert end <= max(t for b in batches for t in b) - OPTIONS.allowed_lateness
        ends, _ = clock.window_ends(times(*batch))
        assert (ends > clock.closed).all()
        assert (ends % OPTIONS.length == 0).all()
    assert closed == sorted(set(closed))


def test_a_resumed_clock_goes_on_where_it_was() -> None:
    clock = WindowClock(OPTIONS, newest=1110, closed=1100)
    assert clock.close() is None
    assert clock.next_end() == 1200
    assert clock.window_ends(times(1050)) == (times(1200), 1)
