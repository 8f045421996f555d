"""The harness in its short form: five kills, on one process or two. ``make faults`` and ``make soak`` go further."""

from pathlib import Path

import pytest

from .oracle import Oracle
from .run import Plan, run
from .scene import Limits

RNG_SEED = 4


@pytest.mark.timeout(600)
def test_five_kills_lose_nothing(broker: str, tmp_path: Path) -> None:
    limits = Limits(settle=120.0, pause=3.0)
    plan = Plan(RNG_SEED, ("kill",), kills=5, limits=limits, folder=tmp_path / "run", servers=broker)
    tally, folder = run(plan)
    assert not tally.problems, f"{tally.line()}\n" + "\n".join(tally.problems[:20]) + f"\nkept: {folder}"
    assert tally.wrong == 0
    assert tally.kills >= 5
    assert tally.items > 30
    assert tally.checks > 5


def test_the_oracle_keeps_the_newest_users_by_time_and_then_key() -> None:
    oracle = Oracle(2)
    for offset, (user, ts) in enumerate([("a", 10), ("b", 20), ("a", 30), ("c", 20), ("a", 5)]):
        oracle.add(0, offset, "item", user, ts)
    kept = oracle.seed_sets()["item"]
    assert sorted(kept.values()) == [20, 30]
    tied = {user.user for user in oracle.clicks[0] if user.ts == 20}
    assert max(tied) in kept
    assert min(tied) not in kept


def test_the_oracle_knows_the_sets_at_any_position() -> None:
    oracle = Oracle(5)
    oracle.add(0, 3, "item", "a", 10)
    oracle.add(1, 4, "other", "b", 10)
    oracle.add(0, 7, "item", "b", 20)
    assert oracle.reach() == {0: 8, 1: 5}
    assert len(oracle.seed_sets({0: 7, 1: 5})["item"]) == 1
    assert "other" not in oracle.seed_sets({0: 8, 1: 4})
    oracle.refused.add((0, 7))
    assert oracle.reach() == {0: 4, 1: 5}
    assert len(oracle.seed_sets()["item"]) == 1
