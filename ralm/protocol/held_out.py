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
from ralm.scoring import ScoreForm
from ralm.seed_scores import seed_scores

_FLOORS = Floors(clicks=0, seeds=5)


@dataclass(frozen=True)
class HeldOut:
    """Figures of a held-out evaluation; NaN when nothing could be judged.

    Attributes:
        users: who are judged.
        positives: held-out clicks that are asked for.
        items: items with enough seeds.
        auc: of the look-alike score without the prior, over all positives with a uniformly drawn negative each; 0.5 is
            chance.
        auc_activity: of the users' activity.
        hit_rate: share of users with one of their held-out items among the best 10, with the prior.
        hit_rate_popularity: the same, of the most popular items.
        hit_rate_error: two standard errors of the difference of the two, which are of the same users.
    """

    users: int = 0
    positives: int = 0
    items: int = 0
    auc: float = float("nan")
    auc_activity: float = float("nan")
    hit_rate: float = float("nan")
    hit_rate_popularity: float = float("nan")
    hit_rate_error: float = float("nan")


def judge_held_out(
    data: Interactions,
    vectors: Floats,
    form: ScoreForm,
    *,
    learned: NDArray[np.bool_],
    clusters: int,
    rng_seed: int,
    prior: float = 0.0,
) -> HeldOut:
    """Judge vectors and weights that know nothing of the held-out clicks.

    Args:
        data: all clicks.
        vectors: every user's look-alike vector, float32[users, h].
        form: of the scores.
        learned: the clicks that training saw, bool[n].
        clusters: k.
        rng_seed: fixes clusters, negatives and the order of items with equal scores.
        prior: weight of ``log(1 + seeds)`` in rankings.
    """
    try:
        task = later_clicks("held-out clicks", data, learned, _FLOORS)
        scores = seed_scores(vectors[task.users], vectors, form, task.seeds, clusters=clusters, rng_seed=rng_seed)
        activity, popularity = (_baseline(model, task) for model in (Activity(), Popularity()))
        auc, auc_activity = (pair_auc(ranked, task, "uniform", rng_seed)[0] for ranked in (scores, activity))
    except ValueError:  # too little is held out to judge by
        return HeldOut()
    ranked = scores + np.float32(prior) * np.log1p(task.seeds.counts).astype(np.float32)
    best = (top(each, task.seen, 10, np.random.default_rng(rng_seed)) for each in (ranked, popularity))
    of_model, of_popularity = (hits(each, task.wanted) for each in best)
    difference = of_model.any(axis=1).astype(float) - of_popularity.any(axis=1)
    return HeldOut(
        len(task.users),
        int(task.wanted.sum()),
        len(task.items),
        auc,
        auc_activity,
        hit_rate(of_model),
        hit_rate(of_popularity),
        float(2.0 * difference.std() / np.sqrt(len(difference))),
    )


def _baseline(model: Model, task: Task) -> Floats:
    model.fit(task.train, 0)
    return model.scores(task.users, task.items)
