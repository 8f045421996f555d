"""A wall clock that is set back is noticed; one that is kept in step, or set forward, is not."""

from hand_clock import HandClock

from flows.support.clock_watch import ClockWatch


def test_a_clock_that_is_set_back_is_noticed_and_stays_noticed() -> None:
    wall, monotonic = HandClock(10_000.0), HandClock()
    watch = ClockWatch(wall, monotonic)
    assert not watch.was_set_back()
    wall.now, monotonic.now = 10_100.0, 102.0  # slow by two seconds
    assert not watch.was_set_back()
    wall.now -= 3600
    assert watch.was_set_back()
    assert watch.set_back_by == 3602
    wall.now += 7200
    assert watch.was_set_back()


def test_a_clock_that_is_set_forward_and_later_right_again_is_one_that_is_set_back() -> None:
    wall, monotonic = HandClock(10_000.0), HandClock()
    watch = ClockWatch(wall, monotonic)
    wall.now += 3600
    assert not watch.was_set_back()
    wall.now -= 3600
    assert watch.was_set_back()
