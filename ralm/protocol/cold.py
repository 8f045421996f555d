"""Cold items: how good the answers for an item are that nothing was learned of, by how many seeds it has so far.

A model is fitted once, without the items. Then each item is given by its first 0, 10, 30, 100, 300 clickers in turn;
the weights stay. Who is asked for is the same each time: the clickers after the most seeds that any turn gives, so that
two points of the curve differ in nothing but the seeds. Those first clickers are never asked for, nor negatives.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ralm.accuracy import Doubles, hits, precisions, top
from ralm.features import Floats, Interactions, Ints
from ralm.models.model import SeedModel
from ralm.protocol.judge import checked_scores, item_aucs
from ralm.protocol.negatives import NEGATIVE_KINDS
from ralm.protocol.split import Floors, drawn, unlearned_items
from ralm.protocol.task import Task
from ralm.seed_lists import SeedLists

SEED_TURNS = (0, 10, 30, 100, 300)
"""How many seeds an item is given by, in turn."""
LEAST_COLD_ITEMS = 20
"""A curve over fewer items says nothing."""
LEAST_ASKED = 10
"""Later clickers that an item must have who can be judged."""
HELD_OUT = 0.2
"""Share of the able items that is held out where too few are new after the cut."""


@dataclass(frozen=True)
class ColdTask:
    """Items that nothing is learned of.

    Attributes:
        how: where they come from: ``first seen after the cut`` or ``held out``.
        turns: how many seeds they are given by in turn, ascending.
        task: who is asked; its ``seeds`` are the most that are given, its ``seen`` is the same for all turns.
    """

    how: str
    turns: tuple[int, ...]
    task: Task

    @property
    def train(self) -> Interactions:
        """The clicks that are learned from, none of them on the cold items."""
        return self.task.train

    def given(self, seeds: int) -> SeedLists:
        """The first ``seeds`` clickers of each item."""
        return self.task.seeds.first(np.full(len(self.task.items), seeds))


def cold_task(
    data: Interactions, cut_ms: int | None, rng_seed: int = 0, floors: Floors | None = None
) -> ColdTask | None:
    """The cold items of a data set: those first seen after the cut or, where these are too few, some held out.

    At most as many seeds are given as leave `LEAST_COLD_ITEMS` items with `LEAST_ASKED` judged users to ask for.

    Args:
        data: all clicks.
        cut_ms: what is before this is learned from, ms; None when the data are not cut by time.
        rng_seed: fixes which items are held out.
        floors: who is not judged; its ``seeds`` are not looked at.

    Returns:
        None when there are too few items of either kind even for 10 seeds.
    """
    clickers = SeedLists.of_clicks(data, np.arange(data.items)).counts
    for how in ("first seen after the cut", "held out"):
        for place in range(len(SEED_TURNS) - 1, 0, -1):
            able = clickers >= SEED_TURNS[place] + LEAST_ASKED
            if how == "held out":
                items = _held_out(np.flatnonzero(able), rng_seed)
                learned = ~np.isin(data.clicks_item, items)
            elif cut_ms is not None:
                learned = data.clicks_time < cut_ms
                able[data.clicks_item[learned]] = False
                items = np.flatnonzero(able)
            else:
                continue
            task = _asked(data, learned, items, SEED_TURNS[place], floors or Floors())
            if task is not None:
                return ColdTask(how, SEED_TURNS[: place + 1], task)
    return None


def _held_out(able: Ints, rng_seed: int) -> Ints:
    """A fifth of the items, or `LEAST_COLD_ITEMS`, but never more than half: the others are needed to learn from."""
    if len(able) < 2 * LEAST_COLD_ITEMS:
        return able[:0]
    return drawn(able, max(HELD_OUT, LEAST_COLD_ITEMS / len(able)), rng_seed)


def judge_cold(model: SeedModel, cold: ColdTask, rng_seed: int) -> list[dict[str, Any]]:
    """Judge a model that was fitted on ``cold.train``, for each number of seeds.

    Args:
        model: the model; its weights stay.
        cold: the items.
        rng_seed: fixes the negatives and the order of items with equal scores.

    Returns:
        A point for each number of seeds and each kind of negatives: ``seeds``, ``negatives``, ``auc`` (the mean over
        the items of the AUC within the item) and ``prec10`` (eq. 12 among the cold items, whatever the negatives); and
        what these are means of, ``by_item`` float64[I] (NaN where nothing was asked) and ``by_user`` float64[U].

    Raises:
        ValueError: when a score is not finite.
    """
    points: list[dict[str, Any]] = []
    for seeds in cold.turns:
        scores = checked_scores(model.scores_of_seeds(cold.task.users, cold.given(seeds)), cold.task)
        by_user = _precisions(scores, cold.task, rng_seed)
        for kind in NEGATIVE_KINDS:
            by_item = item_aucs(scores, cold.task, kind, rng_seed)[1]
            figures = {"auc": float(np.nanmean(by_item)), "prec10": float(by_user.mean())}
            points.append({"seeds": seeds, "negatives": kind, **figures, "by_item": by_item, "by_user": by_user})
    return points


def _asked(data: Interactions, learned: NDArray[np.bool_], items: Ints, most: int, floors: Floors) -> Task | None:
    """The task of the items that have enough to ask for after ``most`` seeds; None when these are too few."""
    if len(items) < LEAST_COLD_ITEMS or not learned.any():
        return None
    try:
        every = unlearned_items("cold", data, learned, items, np.full(len(items), most), floors)
        enough = every.wanted.sum(axis=0) >= LEAST_ASKED
        if enough.sum() < LEAST_COLD_ITEMS:
            return None
        task = unlearned_items("cold", data, learned, items[enough], np.full(int(enough.sum()), most), floors)
    except ValueError:  # nobody is left to judge
        return None
    return replace(
        task, left_out={**task.left_out, f"cold items with too few to ask for after {most}": int((~enough).sum())}
    )


def _precisions(scores: Floats, task: Task, rng_seed: int) -> Doubles:
    best = top(scores, task.seen, 10, np.random.default_rng(rng_seed))
    return precisions(hits(best, task.wanted), task.wanted.sum(axis=1))
