"""Cold items: nothing is learned of them, and the points of a curve differ in nothing but the seeds."""

from dataclasses import replace

import numpy as np
import pytest

from flows.offline.evaluation.table import cold_rows
from ralm.features import Interactions, Ints
from ralm.models.activity import Activity
from ralm.models.item_knn import ItemKnn
from ralm.models.popularity import Popularity
from ralm.protocol import cold as protocol
from ralm.protocol.cold import ColdTask, cold_task, judge_cold
from ralm.seed_lists import SeedLists


@pytest.fixture
def held_out(planted: Interactions) -> ColdTask:
    cold = cold_task(planted, None)
    assert cold is not None
    return cold


@pytest.fixture(autouse=True)
def few_items(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "LEAST_COLD_ITEMS", 8)


class Recorder(Activity):
    """Keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Ints, SeedLists]] = []

    def scores_of_seeds(self, users: Ints, seeds: SeedLists) -> np.ndarray:
        self.asked.append((users, seeds))
        return super().scores_of_seeds(users, seeds)


def test_nothing_is_learned_of_cold_items(planted: Interactions, held_out: ColdTask) -> None:
    assert held_out.how == "held out"
    assert not np.isin(held_out.train.clicks_item, held_out.task.items).any()
    assert (held_out.task.wanted.sum(axis=0) >= protocol.LEAST_ASKED).all()
    assert (held_out.task.seeds.counts == held_out.turns[-1]).all()


def test_items_first_seen_after_the_cut_come_first(planted: Interactions) -> None:
    new = planted.clicks_item < 30
    late = replace(planted, clicks_time=planted.clicks_time + new * 10**6)
    order = np.lexsort((late.clicks_time, late.clicks_user))
    late = replace(late, clicks_item=late.clicks_item[order], clicks_time=late.clicks_time[order])
    cold = cold_task(late, 10**6)
    assert cold is not None
    assert cold.how == "first seen after the cut"
    assert set(cold.task.items.tolist()) <= set(range(30))
    assert cold.train.clicks_time.max() < 10**6


def test_each_turn_gives_more_of_the_same_seeds_and_asks_the_same_users(held_out: ColdTask) -> None:
    model = Recorder()
    model.fit(held_out.train, 0)
    judge_cold(model, held_out, 0)
    assert [seeds.counts.max() for _, seeds in model.asked] == list(held_out.turns)
    for (users, fewer), (same, more) in zip(model.asked, model.asked[1:], strict=False):
        assert np.array_equal(users, same)
        assert all(np.array_equal(fewer.of(i), more.of(i)[: len(fewer.of(i))]) for i in range(fewer.items))


def test_who_cannot_tell_is_at_a_half_and_who_can_learns_from_seeds(held_out: ColdTask) -> None:
    def auc(make: type, negatives: str) -> list[float]:
        model = make()
        model.fit(held_out.train, 0)
        return [point["auc"] for point in judge_cold(model, held_out, 0) if point["negatives"] == negatives]

    assert auc(Popularity, "matched") == pytest.approx([0.5] * len(held_out.turns))
    assert len(set(auc(Activity, "uniform"))) == 1
    without, *with_seeds = auc(ItemKnn, "matched")
    assert without == pytest.approx(0.5)
    assert min(with_seeds) > 0.75


def test_too_few_items_are_no_task(planted: Interactions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "LEAST_COLD_ITEMS", planted.items)
    assert cold_task(planted, None) is None


def test_rows_are_means_and_spreads_over_runs() -> None:
    def cell(auc: float) -> dict:
        point = {"seeds": 10, "negatives": "matched", "auc": auc, "prec10": 0.5}
        return {"model": "a", "cold": {"points": [point]}}

    rows = cold_rows([cell(0.6), cell(0.8), {"model": "b", "cold": None}])
    assert [row["negatives"] for row in rows] == ["matched"]
    assert rows[0] == {
        "model": "a",
        "negatives": "matched",
        "seeds": 10,
        "auc": pytest.approx(0.7),
        "auc_sd": pytest.approx(0.2 / 2**0.5),
        "prec10": 0.5,
        "prec10_sd": 0,
    }
    assert cold_rows([cell(0.6)])[0]["auc_sd"] is None
