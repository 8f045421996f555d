"""Event-time windows: what a batch closes, and what it does not."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from flows.config.groups import WindowSettings
from flows.messages.batches import ClickBatch
from flows.seed_sets.windows import WindowClock

OPTIONS = WindowSettings(window="100ms", allowed_lateness="10ms", idle_after="50ms")


def times(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def batch(*values: int, idle: int = 0, offset: int = 0) -> ClickBatch:
    n = len(values)
    return ClickBatch(
        0,
        offset + n,
        idle,
        ["x"] * (n > 0),
        times(*[0] * n),
        np.arange(n, dtype=np.uint64),
        times(*values),
        offset + np.arange(n),
    )


def judged(clock: int, *values: int) -> ClickBatch:
    return replace(batch(*values), clocks=np.full(len(values), clock))


def closes(clock: WindowClock, *values: int, idle: int = 0) -> list[int]:
    return [closed for closed, _ in clock.cut(batch(*values, idle=idle)) if closed is not None]


def test_nothing_closes_before_the_first_click() -> None:
    clock = WindowClock(OPTIONS)
    assert closes(clock, idle=10_000) == []
    assert clock.watermark is None


def test_a_window_closes_when_the_watermark_passes_its_end() -> None:
    clock = WindowClock(OPTIONS)
    assert closes(clock, 1050, 1109) == [1000]  # the watermark is 1099
    assert closes(clock, 1110) == [1100]
    assert closes(clock, 1111) == []


def test_a_late_click_counts_for_the_next_window() -> None:
    clock = WindowClock(OPTIONS)
    assert closes(clock, 1110) == [1100]
    ends, late = clock.window_ends(times(1099, 1100, 1250, 3))
    assert ends.tolist() == [1200, 1200, 1300, 1200]
    assert late == 2


def test_an_idle_partition_reaches_windows_and_closes_none() -> None:
    clock = WindowClock(OPTIONS)

    def reached(idle: int) -> int | None:
        heartbeat = batch(idle=idle)
        assert closes(clock, idle=idle) == []
        return clock.reach(heartbeat)

    assert closes(clock, 1050) == [1000]
    assert reached(49) is None
    assert clock.watermark == 1040
    assert reached(60) == 1100
    assert (clock.watermark, clock.reached, clock.closed) == (1100, 1100, 1000)
    assert clock.window_ends(times(1060)) == (times(1100), 0)  # nothing is late for its sake
    assert closes(clock, 1060) == []  # a click ends the idleness
    assert (clock.watermark, clock.reached) == (1050, 1000)
    assert reached(60) == 1100


def test_idleness_counts_from_when_the_newest_message_came_also_over_a_restart() -> None:
    clock = WindowClock(OPTIONS)
    for _ in clock.cut(replace(batch(1050), heard=7000)):
        pass
    assert clock.reach(replace(batch(idle=60), now=7310)) == 1300
    again = WindowClock(OPTIONS, clock.newest, clock.closed, clock.heard)
    assert again.reached == 1000
    assert again.reach(replace(batch(idle=40), now=9000)) is None  # the reader has not waited long enough
    assert again.reach(replace(batch(idle=60), now=7310)) == 1300
    assert again.reach(replace(batch(idle=460), now=0)) == 1500  # the clock was set back


def test_a_window_closes_before_the_click_that_closes_it_is_taken() -> None:
    clock = WindowClock(OPTIONS)
    parts = [
        (closed, part.times.tolist(), part.next_offset) for closed, part in clock.cut(batch(1050, 990, 1110, 1360))
    ]
    assert parts == [(1000, [1050, 990], 2), (1100, [1110], 3), (1300, [1360], 4)]


@given(st.lists(st.lists(st.integers(0, 5000), max_size=5), max_size=20))
def test_where_windows_close_does_not_depend_on_the_batches(batches: list[list[int]]) -> None:
    """The same clicks, one by one or all at once."""

    def met(parts: list[list[int]]) -> list[tuple[int, int]]:
        clock, found = WindowClock(OPTIONS), []
        for part in parts:
            for _, taken in clock.cut(batch(*part)):
                found += [(time, clock.closed) for time in taken.times.tolist()]
        return found

    clicks = [time for part in batches for time in part]
    assert met(batches) == met([clicks]) == met([[time] for time in clicks])


@given(st.lists(st.lists(st.integers(0, 5000), max_size=5), max_size=20))
def test_no_window_closes_twice_and_none_before_its_time(batches: list[list[int]]) -> None:
    clock, closed = WindowClock(OPTIONS), []
    for number, clicks in enumerate(batches):
        for end in closes(clock, *clicks):
            closed.append(end)
            assert end <= max(t for b in batches[: number + 1] for t in b) - OPTIONS.allowed_lateness
        ends, _ = clock.window_ends(times(*clicks))
        assert (ends > clock.closed).all()
        assert (ends % OPTIONS.window == 0).all()
    assert closed == sorted(set(closed))


def test_a_click_ahead_of_the_clock_moves_the_watermark_to_the_clock_only() -> None:
    clock = WindowClock(OPTIONS)
    assert [closed for closed, _ in clock.cut(judged(1115, 1050, 1400)) if closed is not None] == [1000, 1100]
    assert clock.watermark == 1105
    assert clock.window_ends(times(1120, 1400))[1] == 0  # nothing is late for its sake


@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 3000)), max_size=30))
def test_the_watermark_never_passes_the_clock(clicks: list[tuple[int, int]]) -> None:
    clock, latest = WindowClock(OPTIONS), 0
    for ts, now in clicks:
        latest = max(latest, now)
        for _ in clock.cut(judged(now, ts)):
            pass
        assert clock.watermark is not None
        assert max(clock.watermark + OPTIONS.allowed_lateness, clock.closed) <= latest


def test_a_quiet_partition_and_a_replay_of_long_ago_move_as_far_as_their_clicks_say() -> None:
    clock, hour = WindowClock(OPTIONS), 3_600_000
    for ts in (1000, hour, 30 * hour):  # each an hour and more after the one before
        for _ in clock.cut(judged(10**12, ts)):
            pass
        assert clock.watermark == ts - OPTIONS.allowed_lateness


def test_a_resumed_clock_goes_on_where_it_was() -> None:
    clock = WindowClock(OPTIONS, newest=1110, closed=1100)
    assert closes(clock) == []
    assert clock.next_end() == 1200
    assert clock.window_ends(times(1050)) == (times(1200), 1)
