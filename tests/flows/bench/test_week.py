"""``ralm bench week`` in its short form: items die, nothing grows, and those that live have exactly their seeds."""

from pathlib import Path

import numpy as np
import pytest

from flows.bench import week
from flows.bench.week import WeekPlan, simulate
from ralm.seed_set import SeedSet
from state.store.seed_store import SeedStore

PLAN = WeekPlan(items=240, clicks=60_000, days=2, max_seeds=40, rng_seed=5)


@pytest.mark.slow
def test_a_short_week(tmp_path: Path) -> None:
    told: list[str] = []
    days, longest = simulate(tmp_path, PLAN, told.append)
    assert [day.clicks for day in days] == [30_000, 60_000]
    assert len(told) == 2
    assert longest > 0
    assert days[1].reclusters > days[0].reclusters > 0
    store = SeedStore.inspect(tmp_path / "store", capacity=PLAN.max_seeds)
    found = {item: store.seeds(item) for item, _ in store.items()}
    store.close()
    assert len(found) == days[1].items < PLAN.items / 2, "most were born and have died"
    rng = np.random.default_rng(PLAN.rng_seed)
    week._pool(tmp_path / "again", rng).close()  # draws vectors before the clicks are drawn
    batches = list(week._windows(PLAN, rng))
    names = np.array([name for batch in batches for name in np.array(batch.item_ids)[batch.items]])
    users = np.concatenate([batch.users for batch in batches])
    times = np.concatenate([batch.times for batch in batches])
    end = int(times.max())
    for item, seeds in found.items():
        mine = names == item
        expected = SeedSet.of_clicks(users[mine], times[mine], PLAN.max_seeds)
        np.testing.assert_array_equal(seeds.users, expected.users)
        np.testing.assert_array_equal(seeds.times, expected.times)
        assert end - times[mine].max() < week._TTL + 2 * week._WINDOW + 10_000
    gone = set(names.tolist()) - set(found)
    last = {item: int(times[names == item].max()) for item in gone}
    assert all(end - time > week._TTL - 2 * week._WINDOW for time in last.values()), "none goes before its time"


def test_a_week_of_so_few_items_that_there_are_times_without_any(tmp_path: Path) -> None:
    days, _ = simulate(tmp_path, WeekPlan(items=10, clicks=2016, days=2, max_seeds=40, rng_seed=0), lambda _: None)
    assert [day.clicks for day in days] == [1008, 2016]
