"""What a reader is told of a task that is too small to tell models apart."""

from typing import Any

import numpy as np
import pytest

from flows.offline.evaluation.report import cold_note, items_note, judged_note, sentences
from flows.offline.evaluation.table import FIGURES, rows_of, shown
from ralm.features import Interactions
from ralm.protocol.split import Floors, later_clicks
from ralm.protocol.task import Task


def task_of(users: int, items: int) -> Task:
    """Each user clicks two thirds of the items, half of these before the cut."""
    user, item = (axis.ravel() for axis in np.mgrid[:users, :items])
    clicked = (user + item) % 3 > 0
    user, item = user[clicked], item[clicked]
    nothing = np.zeros((users, 0), np.float32)
    clicks = Interactions(user, item, item * 1000, {}, {}, nothing, np.zeros((items, 1), np.int64), 1)
    return later_clicks("time", clicks, (user + item) % 3 == 1, Floors(clicks=1, seeds=1))


@pytest.mark.parametrize(("items", "says"), [(9, "prec@10 says"), (12, "prec@50 and recall@50 say"), (51, "")])
def test_few_items_make_the_best_ones_say_nothing(items: int, says: str) -> None:
    note = items_note(task_of(30, items))
    assert bool(note) == bool(says)
    assert not says or (note.startswith(f"Only {items} items are judged") and note.endswith(f"{says} nothing."))


@pytest.mark.parametrize(("users", "says"), [(30, True), (300, False)])
def test_few_users_are_said_to_be_too_few(users: int, says: bool) -> None:
    note = judged_note(task_of(users, 12))
    assert note.startswith(f"Only {users} users" if says else f"{users} users are judged.")
    assert ("try --eval-split user and --eval-split items" in note) == says


def run(model: str, family: str, **figures: float) -> dict[str, Any]:
    by_kind = {"uniform": 0.6, "matched": 0.6}
    plain = {name: by_kind if name.startswith("auc") else figures.get(name, 0.0) for name in FIGURES}
    units = {"by_item": {"uniform": [0.5], "matched": [0.5]}, "by_user": [figures.get("prec10", 0.0)] * 3}
    about = {"model": model, "family": family, "group": "main", "rng_seed": 0, "cold": None}
    return {**about, "figures": plain, **units, "seconds_fit": 1.0, "seconds_score": 1.0}


def test_without_categories_there_is_no_figure_of_them() -> None:
    none, some = rows_of([run("lr", "")])[0], rows_of([run("lr", "", categories=2.5)])[0]
    assert [shown(none, name) for name in ("categories", "entropy", "tail")] == ["-", "-", "0.000"]
    assert [shown(some, name) for name in ("categories", "entropy")] == ["2.500", "0.000"]


@pytest.mark.parametrize(
    ("users", "says"), [(30, ": too few to tell models apart, look at the intervals."), (300, ".")]
)
def test_of_how_many_users_cold_items_are_asked_is_said(users: int, says: str) -> None:
    cold = {"items": 21, "how": "held out", "points": [{"by_user": [0.5] * users}]}
    cells = [run("lr", ""), {**run("both", "ours"), "cold": cold}]
    assert cold_note(cells) == f"Cold items: 21 items, held out, are asked of {users} users{says}"
    assert not cold_note(cells[:1])


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.01, 0.05, "both is better than the best of the others, item-knn (difference +0.030"),
        (-0.09, -0.01, "item-knn is better than the best of ours, both"),
        (-0.01, 0.02, "both and item-knn cannot be told apart"),
    ],
)
def test_the_figures_that_matter_most_are_said_in_sentences(low: float, high: float, words: str) -> None:
    cells: list[dict[str, Any]] = [{"model": name, "group": "main"} for name in ("both", "item-knn")]
    common = {"figure": "auc_item", "negatives": "matched", "seeds": None, "model": "both", "rival": "item-knn"}
    warm = {**common, "asked": "warm", "difference": 0.03, "low": low, "high": high}
    cold = [{**warm, "asked": "cold", "figure": "auc", "seeds": seeds} for seeds in (10, 30, 100)]
    first, second = sentences(cells, [warm, *cold])
    assert words in first
    assert second.startswith("Who clicks a new item of 30 seeds")
    assert list(sentences([{"model": "both", "group": "encoder"}], [warm])) == []
