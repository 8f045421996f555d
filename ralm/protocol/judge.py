"""The figures of a model's scores on a task (the protocol, second half)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ralm.features import Floats, Ints
from ralm.protocol.accuracy import grouped_auc, hits, ndcg, precision, recall, top
from ralm.protocol.exposure import coverage, exposure, gini, tail_share
from ralm.protocol.negatives import KINDS, negatives
from ralm.protocol.task import Task

_CHUNK = 512
"""Users whose items are put in order at once."""


@dataclass(frozen=True)
class Figures:
    """What is reported of a model.

    Attributes:
        auc: of each kind of negatives, over all pairs.
        auc_item: of each kind of negatives, the mean over the items of the AUC within the item.
        prec10: eq. 12 at 10.
        prec50: eq. 12 at 50.
        ndcg10: NDCG at 10.
        recall50: recall at 50.
        coverage: share of the judged items that is among the best 10 of any user.
        gini: of the exposure among the best 10; higher is less even.
        tail: share of that exposure that goes to the tail.
    """

    auc: dict[str, float]
    auc_item: dict[str, float]
    prec10: float
    prec50: float
    ndcg10: float
    recall50: float
    coverage: float
    gini: float
    tail: float


def judge(scores: Floats, task: Task, rng_seed: int) -> tuple[Figures, Ints]:
    """Judge scores.

    Args:
        scores: of the task's users for its items, float32[U, I].
        task: the task.
        rng_seed: fixes the negatives.

    Returns:
        The figures, and each item's exposure among the best 10, int64[I].

    Raises:
        ValueError: when a score is not finite, or no positive has a negative.
    """
    auc, auc_item = {}, {}
    for kind in KINDS:
        auc[kind], auc_item[kind] = pair_auc(scores, task, kind, rng_seed)
    best = best_of(scores, task.seen, 50, rng_seed)
    hit, wanted = hits(best, task.wanted), task.wanted.sum(axis=1)
    exposed = exposure(best[:, :10], len(task.items))
    figures = Figures(
        auc,
        auc_item,
        prec10=precision(hit[:, :10], wanted),
        prec50=precision(hit, wanted),
        ndcg10=ndcg(hit[:, :10], wanted),
        recall50=recall(hit, wanted),
        coverage=coverage(exposed),
        gini=gini(exposed),
        tail=tail_share(exposed, task.seeds.counts),
    )
    return figures, exposed


def pair_auc(scores: Floats, task: Task, kind: str, rng_seed: int) -> tuple[float, float]:
    """The AUC over all pairs against one kind of negatives, and its mean within the items.

    Raises:
        ValueError: when a score is not finite, or no positive has a negative.
    """
    _check_finite(scores)
    user, item, negative = negatives(task, kind, rng_seed)
    if not len(user):
        msg = f"no positive has a negative ({kind}): the judged users clicked all that they are asked for"
        raise ValueError(msg)
    positive, other = scores[user, item], scores[negative, item]
    together: NDArray[np.int64] = np.zeros(len(user), np.int64)
    return float(grouped_auc(positive, other, together)[0]), float(grouped_auc(positive, other, item).mean())


def best_of(scores: Floats, seen: NDArray[np.bool_], k: int, rng_seed: int) -> Ints:
    """The best unseen items of each user, as ``top`` has them, but equal ones in random order, another for each user.

    In the order of their numbers they would favour or harm a model that says the same of many items, by what the
    numbers happen to mean: MovieLens, for one, has the known films first.

    Args:
        scores: float32[U, I].
        seen: items that are not ranked, bool[U, I].
        k: places.
        rng_seed: fixes the order of equal ones.

    Returns:
        int64[U, min(k, I)], -1 where no more are left.

    Raises:
        ValueError: when a score is not finite.
    """
    _check_finite(scores)
    rng = np.random.default_rng([rng_seed, len(KINDS)])
    users, items = scores.shape
    best = np.empty((users, min(k, items)), np.int64)
    for start in range(0, users, _CHUNK):
        rows = slice(start, start + _CHUNK)
        order = rng.permuted(np.tile(np.arange(items), (len(scores[rows]), 1)), axis=1)
        shuffled = np.take_along_axis(scores[rows], order, axis=1)
        place = top(shuffled, np.take_along_axis(seen[rows], order, axis=1), k)
        best[rows] = np.where(place < 0, -1, np.take_along_axis(order, np.maximum(place, 0), axis=1))
    return best


def _check_finite(scores: Floats) -> None:
    if not np.isfinite(scores).all():
        msg = f"{int((~np.isfinite(scores)).sum())} of the scores are not finite numbers"
        raise ValueError(msg)
