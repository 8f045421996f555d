"""The report of the status page: what it is made of, and what it says when something is wrong."""

import math
from typing import Any

import pytest
from hand_clock import HandClock
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram
from status_world import World

from monitoring.recent_windows import KEPT, RecentWindows
from monitoring.samples import Samples
from monitoring.status_history import SPAN_S, StatusHistory


@pytest.fixture
def world() -> World:
    return World("clicks", "requests", "centroids")


def test_a_flow_that_has_seen_nothing_says_so(world: World) -> None:
    report = world.report()
    assert report["verdict"] == "warning"
    assert report["items"]["why_none_live"] == "no click has arrived: is anything sent to the clicks topic?"
    assert report["headline"].startswith("Ready, but no item is live: no click has arrived")
    assert report["requests"]["recent_ok_share"] is None
    assert report["windows"]["next_end"] is None


def test_not_ready_says_which_condition_and_why(world: World) -> None:
    world.health.set("index", False, "reading the centroids topic")
    report = world.report()
    assert (report["verdict"], report["headline"]) == ("bad", "Not ready: index: reading the centroids topic")


def test_a_stuck_dataflow_comes_before_all_else(world: World) -> None:
    world.clock.now += 31
    assert world.report()["headline"] == "Stuck: no sign of life for 31 s."


def test_how_far_it_is_behind(world: World) -> None:
    for partition, lag, at in (("0", 5, 999_900.0), ("1", 0, 1.0), ("2", 7, 999_990.0)):
        world.kafka_lag_messages.labels("clicks", partition).set(lag)
        world.kafka_position.labels("clicks", partition).set(at)
    clicks = world.report()["inputs"][0]
    assert (clicks["topic"], clicks["partitions"], clicks["lag_messages"], clicks["behind_s"]) == (
        "news.clicks",
        3,
        12,
        100.0,
    )
    assert "100 s behind on the clicks" in world.report()["headline"]


@pytest.mark.parametrize(
    ("outcomes", "said"),
    [
        ({}, "the first window has not closed yet, at 1970-01-12T13:50:00Z of event time"),
        ({"too_few_seeds": 3}, "of 3 clusterings so far 3 had fewer than min_seeds = 30 seeds"),
        ({"no_vectors": 2, "too_few_seeds": 1}, "2 had no seeds that the model knows"),
        ({"failed": 1}, "1 could not be done (the log says why)"),
        ({"emitted": 4}, "centroids were made and are not in the index"),
    ],
)
def test_why_no_item_is_live(world: World, outcomes: dict[str, int], said: str) -> None:
    world.read.labels("clicks").inc(10)
    world.items.labels("0").set(6)
    world.watermark.labels("0").set(1_000_000)
    for outcome, n in outcomes.items():
        world.outcomes.labels(outcome).inc(n)
    assert said in world.report()["items"]["why_none_live"]


def test_why_an_item_is_not_served_is_said_as_it_is(world: World) -> None:
    world.items.labels("0").set(1)
    world.outcomes.labels("unlisted").inc(1)
    said = world.report()["items"]["why_none_live"]
    assert said.endswith("1 had an item that is not served (candidates = listed, and no message lists it)")
    world.ended.labels("idle").inc()
    assert world.report()["headline"].endswith("1 had an item that is not served (no click for item_ttl).")


def test_a_question_ends_as_one(world: World) -> None:
    assert world.report()["headline"].endswith("is anything sent to the clicks topic?")


def test_a_flow_in_which_nothing_happens_says_why_a_minute_later_and_then_seldom(world: World) -> None:
    told: list[tuple[str, str]] = []
    for _ in range(1500):
        world.clock.now += 1
        world.health.beat()
        world.status.tick(lambda words, **more: told.append((words, more["status"])))
    assert [words for words, _ in told] == ["no window has closed"] * 3
    assert "no click has arrived" in told[0][1]
    world.index_items.set(1)
    for _ in range(1500):
        world.clock.now += 1
        world.health.beat()
        world.status.tick(lambda words, **more: told.append((words, more["status"])))
    assert len(told) == 3  # all is well


def test_items_that_wait_and_clicks_that_wait_are_why(world: World) -> None:
    world.kafka_lag_messages.labels("clicks", "0").set(9)
    assert world.report()["items"]["why_none_live"] == "no click has been read, and 9 wait in Kafka"
    world.items.labels("0").set(6)
    world.pending_items.labels("0").set(2)
    assert world.report()["items"]["why_none_live"] == "2 items wait for clustering"


def test_a_scorer_alone_looks_at_the_process_that_makes_centroids() -> None:
    world = World("requests", "centroids")
    report = world.report()
    assert report["windows"] is report["store"] is report["items"]["known"] is None
    assert "look at the process that makes them" in report["items"]["why_none_live"]
    world.read.labels("centroids").inc(3)
    assert "none is of this model" in world.report()["items"]["why_none_live"]


def test_a_seed_side_alone_has_no_requests_and_no_live_items() -> None:
    world = World("clicks")
    world.read.labels("clicks").inc(1)
    world.items.labels("0").set(1)
    world.outcomes.labels("emitted").inc(1)
    report = world.report()
    assert report["requests"] is report["items"]["live"] is report["items"]["cold"] is None
    assert report["items"]["why_none_live"] == ""
    assert report["verdict"] == "good"


def test_the_last_minutes_count_and_not_what_was_before(world: World) -> None:
    world.index_items.set(3)
    world.requests.labels("ok").inc(1000)
    world.waits.observe(5.0)
    world.status.tick(lambda *_, **__: None)
    world.clock.now += 60
    world.health.beat()
    world.requests.labels("no_candidates").inc(30)
    world.requests.labels("ok").inc(10)
    for _ in range(50):
        world.waits.observe(0.05)
    report = world.report()
    requests = report["requests"]
    assert report["recent_s"] == 60
    assert requests["by_status"] == {"ok": 1010, "no_candidates": 30}
    assert requests["recent_by_status"] == {"ok": 10, "no_candidates": 30}
    assert requests["recent_ok_share"] == 0.25
    assert requests["recent_p99_s"] <= 0.1
    assert report["headline"] == "Ready, but 75% of the last answers are not ok (mostly no_candidates)."


def test_what_the_broker_refuses_and_dead_letters_are_named(world: World) -> None:
    world.index_items.set(1)
    world.errors.labels("scores").inc()
    world.letters.labels("clicks", "not_json").inc(2)
    world.letters.labels("clicks", "bad_time").inc(5)
    report = world.report()
    assert report["headline"] == "Ready, but the broker does not take the scores."
    assert [each["reason"] for each in report["dead_letters"]["reasons"]] == ["bad_time", "not_json"]


def test_windows_newest_first_with_what_became_of_their_items(world: World) -> None:
    world.windows.closed(0, {300_000: 2})
    world.windows.closed(1, {300_000: 1, 600_000: 1})
    world.windows.settled(300_000, "emitted")
    world.windows.settled(300_000, "too_few_seeds", 2)
    world.pending_items.labels("1").set(1)
    newest, older = world.report()["windows"]["newest"]
    assert (newest["end"], newest["waiting"], newest["clustered"]) == (600_000, 1, 0)
    assert (older["partitions"], older["items"], older["clustered"], older["skipped"], older["waiting"]) == (
        2,
        3,
        1,
        {"too_few_seeds": 2},
        0,
    )


def test_a_line_is_logged_once_for_each_window_that_is_done(world: World) -> None:
    told: list[dict[str, Any]] = []

    def tell(event: str, **values: Any) -> None:
        told.append({"event": event, **values})

    world.index_items.set(1)
    world.items.labels("0").set(2)
    world.windows.closed(0, {300_000: 2})
    world.windows.settled(300_000, "emitted")
    world.clock.now += 5
    world.status.tick(tell)
    assert told == [], "one item waits"
    world.windows.settled(300_000, "no_vectors")
    world.status.tick(tell)
    assert told == [], "another partition may close it too"
    world.clock.now += 5
    world.status.tick(tell)
    world.status.tick(tell)
    assert told == [
        {
            "event": "window closed",
            "window_end": "1970-01-01T00:05:00Z",
            "items": 2,
            "clustered": 1,
            "skipped": {"no_vectors": 1},
            "known": 2,
            "live": 1,
            "answers": {},
            "dead_letters": 0,
        }
    ]
    world.windows.closed(0, {600_000: 1, 900_000: 1})
    world.status.tick(tell, last=True)
    assert (told[1]["windows"], told[1]["waiting"]) == (2, 2)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 40), st.integers(1, 5)), max_size=60))
def test_windows_are_bounded_and_no_item_is_lost(closings: list[tuple[int, int, int]]) -> None:
    windows = RecentWindows(HandClock())
    sums: dict[int, int] = {}
    for partition, end, items in closings:
        windows.closed(partition, {end: items})
        kept = sorted({*sums, end})[-KEPT:]
        sums = {each: sums.get(each, 0) + (items if each == end else 0) for each in kept}
        windows.settled(end, "emitted")
    found = windows.newest()
    assert len(found) <= KEPT
    assert {window.end: window.items for window in found} == sums
    assert [window.end for window in found] == sorted(sums, reverse=True)
    assert {window.end for window in windows.finished(at_once=True)} == set(sums)
    assert windows.finished(at_once=True) == []


@given(st.lists(st.floats(0, 20), min_size=1, max_size=50), st.sampled_from([0.5, 0.9, 0.99]))
def test_a_quantile_lies_in_the_bucket_of_the_true_one(seen: list[float], share: float) -> None:
    registry = CollectorRegistry()
    histogram = Histogram("waits", "x", registry=registry, buckets=(0.1, 1.0, 10.0))
    for value in seen:
        histogram.observe(value)
    true = sorted(seen)[math.ceil(len(seen) * share) - 1]
    found = Samples.now(registry).quantile(share, "waits")
    assert found is not None
    bounds = [0.0, 0.1, 1.0, 10.0]
    if true <= 10:
        upper = next(bound for bound in bounds[1:] if true <= bound)
        assert bounds[bounds.index(upper) - 1] <= found <= upper
    else:
        assert found == 10


def test_history_is_bounded_in_time_and_number() -> None:
    clock = HandClock(0.0)
    history = StatusHistory(clock)
    for _ in range(1000):
        assert history.due()
        history.add(Samples([]))
        clock.now += 10
    assert len(history._kept) <= 2 + SPAN_S / 10
    assert SPAN_S <= history.before()[0] <= SPAN_S + 20
