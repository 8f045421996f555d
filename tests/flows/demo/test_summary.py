"""The demo's figures from hand-made topics, and hit rates against a slow oracle."""

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.demo.ranking import RankingJudge
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
    assert list(said(summary)) == ["1 answers use centroids of clicks after their request"]


def said(summary: DemoSummary, bad: int = 0, items: int = 0, clicks: int = 0) -> Iterable[str]:
    page = MetricsPage.parse(f'ralm_items {items}\nralm_clicks_total{{outcome="applied"}} {clicks}\n')
    return broken(summary, bad, page)


def test_what_does_not_add_up_is_said() -> None:
    topics = ReadBack([Sent(Click("a", "i1", 1), 0)], [Sent(Request("r", "a", 1), 0)], [], [], {})
    summary = summarise(topics, [], CATALOGUE, WINDOW)
    assert len(list(said(summary, bad=1, items=2, clicks=3))) == 4
    assert list(said(summary, items=1, clicks=1)) == ["1 requests have no answer"]
    assert list(broken(summary, 0, None)) == ["1 requests have no answer"]  # nothing to compare with


def test_an_empty_run_has_no_rates() -> None:
    figures = summarise(ReadBack([], [], [], [], {}), [], CATALOGUE, WINDOW).figures()
    assert figures["clicks"] == 0
    assert figures["hit_rate"] is figures["clicks_per_s"] is figures["latency_p99_ms"] is None


click = st.builds(Click, st.sampled_from(["a", "b", "c"]), st.sampled_from(CATALOGUE), st.integers(0, 4 * WINDOW - 1))


@given(
    clicks=st.lists(click, max_size=40),
    history=st.lists(click, max_size=10),
    asked=st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(0, 4 * WINDOW)), max_size=8),
    ranking=st.permutations(CATALOGUE),
    named=st.one_of(st.none(), st.sets(st.sampled_from(CATALOGUE))),
)
def test_hit_rates_are_those_of_a_slow_oracle(
    clicks: list[Click],
    history: list[Click],
    asked: list[tuple[str, int]],
    ranking: list[str],
    named: set[str] | None,
) -> None:
    clicks.sort(key=lambda c: (c.ts, c.user_id, c.item_id))
    scored = [item for item in ranking if named is None or item in named]
    judge = RankingJudge(clicks, history, CATALOGUE, WINDOW)
    expected = Counter[str]()
    for user, ts in sorted(asked, key=lambda one: one[1]):
        judge.see(Request("r", user, ts, None if named is None else sorted(named)), answer("r", scored))
        expected += oracle(clicks, history, scored, named, user, ts)
    for name, rate in (("all", judge.all_items), ("tail", judge.tail)):
        assert rate.requests == expected[f"{name}_requests"]
        if rate.requests:
            assert round(rate.rate * rate.requests) == expected[f"{name}_hits"]
            assert round(rate.rate_popularity * rate.requests) == expected[f"{name}_popularity"]


def oracle(
    clicks: list[Click], history: list[Click], scored: list[str], named: set[str] | None, user: str, ts: int
) -> Counter[str]:
    start = ts // WINDOW * WINDOW
    wanted = {c.item_id for c in [c for c in clicks if c.user_id == user and c.ts >= ts][:10]}
    had = {c.item_id for c in history if c.user_id == user}
    had |= {c.item_id for c in clicks if c.user_id == user and c.ts < ts}
    replayed = Counter(c.item_id for c in clicks if c.ts < start)
    ever = replayed + Counter(c.item_id for c in history)
    popular = sorted(replayed, key=lambda item: (-replayed[item], item))
    popular = [item for item in popular if named is None or item in named]
    tail = set(sorted(CATALOGUE, key=lambda item: (-ever[item], item))[2:])
    found = Counter[str]()
    for name, kept in (("all", set(CATALOGUE)), ("tail", tail)):
        if wanted & kept:
            found[f"{name}_requests"] = 1
            for what, items in (("hits", scored), ("popularity", popular)):
                best = [item for item in items if item not in had and item in kept][:10]
                found[f"{name}_{what}"] = int(bool(set(best) & wanted))
    return found


def test_unscored_requests_are_not_judged() -> None:
    judge = RankingJudge([Click("a", "i1", 5)], [], CATALOGUE, WINDOW)
    judge.see(Request("r", "a", 4), answer("r", [], "unknown_user"))
    judge.see(Request("r", "nobody", 4), answer("r", ["i1"]))
    assert judge.all_items.requests == 0
    assert math.isnan(judge.all_items.rate)
    judge.see(Request("r", "a", 4), answer("r", ["i1"]))
    assert judge.all_items.rate == pytest.approx(1.0)
