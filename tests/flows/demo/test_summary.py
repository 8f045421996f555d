"""The demo's figures from hand-made topics, and what must hold of them."""

from collections.abc import Iterable
from typing import Any

from flows.demo.read_back import ReadBack, Sent
from flows.demo.report import broken
from flows.demo.summary import DemoSummary, summarise
from flows.messages.types import Centroids, Click, Request, ScoredItem, Scores
from flows.support.metrics_page import MetricsPage

WINDOW = 1000
CATALOGUE = [f"i{n}" for n in range(10)]


def answer(request_id: str, items: Iterable[str], status: Any = "ok", end: int = 0, cold: Any = ()) -> Scores:
    scored = [ScoredItem(item, 1.0 - n / 100, 0.0, 0.0, end) for n, item in enumerate(items)]
    return Scores(request_id, "", status, "v", 0, scored, list(cold), [])


def centroids(item: str, end: int) -> Centroids:
    return Centroids(item, "v", end, 5, [5], 1, 1, b"\0" * 4, b"\0" * 4)


def test_every_figure_comes_from_the_topics() -> None:
    clicks = [Sent(Click("a", "i1", 100), 5000), Sent(Click("b", "i1", 1200), 7000), Sent(Click("b", "i2", 1300), 7001)]
    requests = [
        Sent(Request("r1", "a", 99), 5100),
        Sent(Request("r2", "b", 1199), 7100),
        Sent(Request("r2", "b", 1199), 7150),  # sent twice
        Sent(Request("r3", "c", 1250), 7110),
        Sent(Request("r4", "d", 1260), 7111),
    ]
    answers = [
        Sent(answer("r1", [], "no_candidates", cold=["i9"]), 5120),
        Sent(answer("r2", ["i1", "i5"], end=1000), 7140),
        Sent(answer("r2", ["i5"], end=1000), 7900),  # the same question again
        Sent(answer("r3", [], "unknown_user"), 7130),
    ]
    made = [Sent(centroids("i1", 1000), 7050), Sent(centroids("i5", 1000), 7060)]
    dead = {("clicks", 0, 7): "not_json", ("clicks", 1, 2): "not_json", ("requests", 0, 0): "null_key"}

    summary = summarise(ReadBack(clicks, requests, made, answers, dead), [Click("a", "i7", -5)], CATALOGUE, WINDOW)

    assert summary.figures() == {
        "clicks": 3,
        "seed_sets": 2,
        "windows": 1,
        "items_clustered": 2,
        "requests": 4,
        "scored": 1,
        "cold": 1,
        "unknown": 1,
        "dead_letters": 3,
        "hit_rate": 1.0,
        "hit_rate_popularity": 1.0,
        "hit_rate_tail": 0.0,  # i1 and i7 are the head
        "hit_rate_tail_popularity": 0.0,
        "clicks_per_s": 15.0,  # 100 ms in each of two windows
        "requests_per_s": 66.7,  # 20 ms and 40 ms
        "latency_p50_ms": 20.0,
        "latency_p99_ms": 39.6,
    }
    assert (summary.unanswered, summary.no_candidates, summary.from_the_future) == (1, 1, 0)
    assert (summary.users, summary.new_users) == (2, 1)
    assert summary.tail.requests == 1  # i2 is among the next clicks and in the tail
    assert summary.latencies == [20, 20, 40]


def test_a_score_from_after_its_request_is_found_out() -> None:
    topics = ReadBack([], [Sent(Request("r", "a", 1999), 0)], [], [Sent(answer("r", ["i1"], end=2000), 1)], {})
    summary = summarise(topics, [], CATALOGUE, WINDOW)
    assert summary.from_the_future == 1
    assert list(said(summary)) == ["1 answer uses centroids of clicks after their request"]


def said(summary: DemoSummary, bad: int = 0, items: int = 0, clicks: int = 0) -> Iterable[str]:
    page = MetricsPage.parse(f'ralm_items {items}\nralm_clicks_total{{outcome="applied"}} {clicks}\n')
    return broken(summary, bad, page)


def test_what_does_not_add_up_is_said() -> None:
    topics = ReadBack([Sent(Click("a", "i1", 1), 0)], [Sent(Request("r", "a", 1), 0)], [], [], {})
    summary = summarise(topics, [], CATALOGUE, WINDOW)
    assert len(list(said(summary, bad=1, items=2, clicks=3))) == 4
    assert list(said(summary, items=1, clicks=1)) == ["1 request has no answer"]
    assert list(broken(summary, 0, None)) == ["1 request has no answer"]  # nothing to compare with


def test_an_empty_run_has_no_rates() -> None:
    figures = summarise(ReadBack([], [], [], [], {}), [], CATALOGUE, WINDOW).figures()
    assert figures["clicks"] == 0
    assert figures["hit_rate"] is figures["clicks_per_s"] is figures["latency_p99_ms"] is None
