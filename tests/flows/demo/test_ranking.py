"""Hit rates against a slow oracle."""

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.demo.ranking import RankingJudge
from flows.messages.types import Click, Request, ScoredItem, Scores

WINDOW = 1000
CATALOGUE = [f"i{n}" for n in range(10)]


def answer(request_id: str, items: Iterable[str], status: Any = "ok") -> Scores:
    scored = [ScoredItem(item, 1.0 - n / 100, 0.0, 0.0, 0) for n, item in enumerate(items)]
    return Scores(request_id, "", status, "v", 0, scored, [], [])


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
