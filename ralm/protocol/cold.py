"""Cold items, the reason for it all: how quality grows with an item's first seeds, the weights untouched.

An item's first n clickers are its seeds, for several n. What is asked is the same for every n: the clickers after the
first n_max, where n_max is the largest n. Those first n_max clickers are never asked for and never negatives.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ralm.features import Interactions, Ints
from ralm.models.model import SeedLists, SeedModel
from ralm.protocol.accuracy import hits, precision
from ralm.protocol.judge import best_of, pair_auc
from ralm.protocol.negatives import KINDS
from ralm.protocol.split import Floors, drawn, unlearned_items
from ralm.protocol.task import Task

SEEDS = (0, 10, 30, 100, 300)
LEAST_ITEMS = 20
_LEAST_LATER = 10
"""Clickers that an item must have beyond its seeds, to be asked for."""
_HELD_OUT = 0.2
FIRST_SEEN = "first seen after the cut"
HELD_OUT = "held out on purpose"


@dataclass(frozen=True)
class ColdTask:
    """Items that nothing is learned of.

    Attributes:
        task: what is asked; the seeds of its items are their first n_max clickers.
        given: how many first seeds are given, ascending; the last is n_max.
        how: why nothing is learned of the items: ``first seen after the cut`` or ``held out on purpose``.
    """

    task: Task
    given: tuple[int, ...]
    how: str


def cold_task(data: Interactions, cut: int | None, floors: Floors) -> ColdTask | None:
    """The cold items of a data set: those first seen after the cut if there are enough, else items held out.

    Args:
        data: all clicks.
        cut: ms; None where the clicks have no times.
        floors: users with fewer clicks to learn from are not asked.

    Returns:
        None when either way less than 20 items would have enough clickers.
    """
    if cut is not None:
        found = _first_seen(data, cut, floors)
        if found is not None:
            return found
    return _held_out(data, floors)


def judge_cold(model: SeedModel, cold: ColdTask, rng_seed: int) -> list[dict[str, float | int | str]]:
    """The curve of a model that was fitted on ``cold.task.train``.

    Returns:
        For each number of seeds and each kind of negatives: ``seeds``, ``negatives``, ``auc`` (the mean over the items)
        and ``prec10`` (eq. 12 among the cold items).

    Raises:
        ValueError: when a score is not finite.
    """
    task, points = cold.task, list[dict[str, float | int | str]]()
    for given in cold.given:
        scores = model.scores_of_seeds(task.users, task.seeds.first(np.full(len(task.items), given)))
        best = best_of(scores, task.seen, 10, rng_seed)
        prec10 = precision(hits(best, task.wanted), task.wanted.sum(axis=1))
        for kind in KINDS:
            auc = pair_auc(scores, task, kind, rng_seed)[1]
            points.append({"seeds": given, "negatives": kind, "auc": auc, "prec10": prec10})
    return points


def _first_seen(data: Interactions, cut: int, floors: Floors) -> ColdTask | None:
    learned = data.clicks_time < cut
    new = np.setdiff1d(np.arange(data.items), data.clicks_item[learned])
    counts = SeedLists.of_clicks(data, new).counts
    for most in SEEDS[:0:-1]:
        able = new[counts >= most + _LEAST_LATER]
        if len(able) < LEAST_ITEMS:
            continue
        found = _asked(data, learned, able, most, floors, FIRST_SEEN)
        if found is not None:
            return found
    return None


def _held_out(data: Interactions, floors: Floors) -> ColdTask | None:
    """A fifth of the items with enough clickers, at least 20; never more than half, which are needed to learn from."""
    counts = SeedLists.of_clicks(data, np.arange(data.items)).counts
    for most in SEEDS[:0:-1]:
        able = np.flatnonzero(counts >= most + _LEAST_LATER)
        if len(able) < 2 * LEAST_ITEMS:
            continue
        held = drawn(able, max(_HELD_OUT, LEAST_ITEMS / len(able)))
        found = _asked(data, ~np.isin(data.clicks_item, held), held, most, floors, HELD_OUT)
        if found is not None:
            return found
    return None


def _asked(
    data: Interactions, learned: NDArray[np.bool_], items: Ints, most: int, floors: Floors, how: str
) -> ColdTask | None:
    """The task of some items; None when less than 20 of them have anything to ask for."""
    try:
        task = unlearned_items("cold", data, learned, items, np.full(len(items), most), floors)
    except ValueError:  # nobody left to ask: a smaller n, or another way, may do
        return None
    if int(task.wanted.any(axis=0).sum()) < LEAST_ITEMS:
        return None
    return ColdTask(task, tuple(given for given in SEEDS if given <= most), how)
