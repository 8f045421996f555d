"""A first judgement of a trained bundle on held-out clicks: the protocol's task and metrics, beside two baselines."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ralm.accuracy import hit_rate, hits, top
from ralm.features import Floats, Interactions
from ralm.models.activity import Activity
from ralm.models.model import Model
from ralm.models.popularity import Popularity
from ralm.protocol.judge import pair_auc
from ralm.protocol.split import Floors, later_clicks
from ralm.protocol.task import Task
from ralm.scoring import AttentionWeights
from ralm.seed_scores import seed_scores

_FLOORS = Floors(clicks=0, seeds=5)


@dataclass(frozen=True)
class HeldOut:
    """Figures of a held-out evaluation; NaN when nothing could be judged.

    Attributes:
        positives: held-out clicks that are asked for.
        items: items with enough seeds.
        auc: of the look-alike score, over all positives with a uniformly drawn negative each; 0.5 is chance.
        auc_activity: of the users' activity.
        hit_rate: share of users with one of their held-out items among the best 10.
        hit_rate_popularity: the same, of the most popular items.
    """

    positives: int = 0
    items: int = 0
    auc: float = float("nan")
    auc_activity: float = float("nan")
    hit_rate: float = float("nan")
    hit_rate_popularity: float = float("nan")


def judge_held_out(
    data: Interactions,
    vectors: Floats,
    weights: AttentionWeights,
    *,
    learned: NDArray[np.bool_],
    clusters: int,
    rng_seed: int,
) -> HeldOut:
    """Judge vectors and weights that know nothing of the held-out clicks.

    Args:
        data: all clicks.
        vectors: every user's look-alike vector, float32[users, h].
        weights: the attention weights.
        learned: the clicks that training saw, bool[n].
        clusters: k.
        rng_seed: fixes clusters, negatives and the order of items with equal scores.
    """
    try:
        task = later_clicks("held-out clicks", data, learned, _FLOORS)
        scores = seed_scores(vectors[task.users], vectors, weights, task.seeds, clusters=clusters, rng_seed=rng_seed)
        activity, popularity = (_baseline(model, task) for model in (Activity(), Popularity()))
        auc, auc_activity = (pair_auc(ranked, task, "uniform", rng_seed)[0] for ranked in (scores, activity))
    except ValueError:  # too little is held out to judge by
        return HeldOut()
    best = (top(ranked, task.seen, 10, np.random.default_rng(rng_seed)) for ranked in (scores, popularity))
    of_model, of_popularity = (hit_rate(hits(each, task.wanted)) for each in best)
    return HeldOut(int(task.wanted.sum()), len(task.items), auc, auc_activity, of_model, of_popularity)


def _baseline(model: Model, task: Task) -> Floats:
    model.fit(task.train, 0)
    return model.scores(task.users, task.items)
