"""The figures of a model's scores on a task (the protocol, second half)."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ralm.accuracy import Doubles, grouped_auc, hits, ndcg, precision, precisions, recall, top
from ralm.features import Floats, Ints
from ralm.protocol.diversity import category_counts, category_entropies
from ralm.protocol.exposure import coverage, exposure, gini, tail_share
from ralm.protocol.negatives import NEGATIVE_KINDS, negatives
from ralm.protocol.task import Task


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
        categories: distinct categories among a user's best 10, mean over users; 0 where items have none.
        entropy: of the categories among a user's best 10, bits, mean over users.
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
    categories: float
    entropy: float


class Judgement(NamedTuple):
    """What was found of a model's scores.

    Attributes:
        figures: what is reported.
        exposed: each item's exposure among the best 10, int64[I].
        by_item: the AUC within each item, of each kind of negatives, float64[I]; NaN where nothing was asked.
        by_user: what ``prec10`` is the mean of, float64[U].
    """

    figures: Figures
    exposed: Ints
    by_item: dict[str, Doubles]
    by_user: Doubles


def judge(scores: Floats, task: Task, rng_seed: int) -> Judgement:
    """Judge scores.

    Args:
        scores: of the task's users for its items, float32[U, I].
        task: the task.
        rng_seed: fixes the negatives and the order of items with equal scores.

    Raises:
        ValueError: when the scores are of another shape or not finite, or no positive has a negative.
    """
    checked_scores(scores, task)
    auc, by_item = {}, {}
    for kind in NEGATIVE_KINDS:
        auc[kind], by_item[kind] = item_aucs(scores, task, kind, rng_seed)
    best = top(scores, task.seen, 50, np.random.default_rng(rng_seed))
    hit, wanted = hits(best, task.wanted), task.wanted.sum(axis=1)
    ten = best[:, :10]
    exposed = exposure(ten, len(task.items))
    categories = task.train.item_categories[task.items]
    figures = Figures(
        auc,
        {kind: float(np.nanmean(aucs)) for kind, aucs in by_item.items()},
        prec10=precision(hit[:, :10], wanted),
        prec50=precision(hit, wanted),
        ndcg10=ndcg(hit[:, :10], wanted),
        recall50=recall(hit, wanted),
        coverage=coverage(exposed),
        gini=gini(exposed),
        tail=tail_share(exposed, task.seeds.counts),
        categories=float(category_counts(ten, categories).mean()),
        entropy=float(category_entropies(ten, categories, task.train.category_count).mean()),
    )
    return Judgement(figures, exposed, by_item, precisions(hit[:, :10], wanted))


def checked_scores(scores: Floats, task: Task) -> Floats:
    """The scores, if they are a finite number for each of the task's users and items.

    Raises:
        ValueError: when they are not.
    """
    if scores.shape != task.wanted.shape:
        msg = f"the scores have the shape {scores.shape}; {task.wanted.shape} users and items are asked"
        raise ValueError(msg)
    if not np.isfinite(scores).all():
        msg = f"{int((~np.isfinite(scores)).sum())} of the scores are not finite numbers"
        raise ValueError(msg)
    return scores


def pair_auc(scores: Floats, task: Task, kind: str, rng_seed: int) -> tuple[float, float]:
    """The AUC over all pairs against one kind of negatives, and its mean within the items.

    Raises:
        ValueError: when no positive has a negative.
    """
    together, within = item_aucs(scores, task, kind, rng_seed)
    return together, float(np.nanmean(within))


def item_aucs(scores: Floats, task: Task, kind: str, rng_seed: int) -> tuple[float, Doubles]:
    """The AUC over all pairs against one kind of negatives, and that within each item.

    Returns:
        The former, and the latter as float64[I], NaN for an item that has no pair.

    Raises:
        ValueError: when no positive has a negative.
    """
    user, item, negative = negatives(task, kind, rng_seed)
    if not len(user):
        msg = "every judged user clicked every judged item, so that there are no negatives; choose another cut"
        raise ValueError(msg)
    positive, other = scores[user, item], scores[negative, item]
    together: NDArray[np.int64] = np.zeros(len(user), np.int64)
    within: Doubles = np.full(len(task.items), np.nan)
    within[np.unique(item)] = grouped_auc(positive, other, item)
    return float(grouped_auc(positive, other, together)[0]), within
