"""A first judgement of a trained model: held-out clicks, beside popularity and beside the users' activity.

An item's seeds are its clickers in the part that was learned from. Positives are held-out clickers who are not seeds;
for each, one of the users with held-out clicks who never clicked the item is drawn uniformly. A user who clicks much
looks like everybody's seed, so the ranking by activity alone stands beside the model's.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from ralm.features import Floats, Interactions, Ints
from ralm.scoring import AttentionWeights
from ralm.seed_lists import SeedLists
from ralm.seed_scores import seed_scores


@dataclass(frozen=True)
class HeldOut:
    """Figures of a held-out evaluation.

    Attributes:
        pairs: positives that were judged; as many negatives.
        items: items with enough seeds.
        auc: area under the ROC curve of the look-alike score over all pairs; 0.5 is chance.
        auc_activity: of the number of clicks that were learned from of the user.
        auc_popularity: of the item's clicks: 0.5, since each positive's negative is a user of the same item.
        hit_rate: share of users with one of their held-out items among the best 10 items.
        hit_rate_popularity: the same, of the most clicked items.
    """

    pairs: int
    items: int
    auc: float
    auc_activity: float
    auc_popularity: float
    hit_rate: float
    hit_rate_popularity: float


def evaluate(
    data: Interactions,
    vectors: Floats,
    weights: AttentionWeights,
    *,
    learned: NDArray[np.bool_],
    clusters: int,
    rng_seed: int,
    least_seeds: int = 5,
) -> HeldOut:
    """Judge vectors and weights that know nothing of the held-out clicks.

    Args:
        data: all clicks.
        vectors: every user's look-alike vector, float32[users, h].
        weights: the attention weights.
        learned: the clicks that training saw, bool[n].
        clusters: k.
        rng_seed: fixes clusters and negatives.
        least_seeds: items with fewer seeds are left out.
    """
    rng = np.random.default_rng(rng_seed)
    counts = np.bincount(data.clicks_item[learned], minlength=data.items)
    items = np.flatnonzero(counts >= least_seeds)
    if not len(items):
        return HeldOut(0, 0, *[float("nan")] * 5)
    seeds = SeedLists.of_clicks(data.only(learned), items)
    scores = seed_scores(vectors, vectors, weights, seeds, clusters=clusters, rng_seed=rng_seed)  # (users, items)
    place = np.full(data.items, -1)
    place[items] = np.arange(len(items))
    clicked = np.zeros((data.users, len(items)), bool)
    known = place[data.clicks_item] >= 0
    clicked[data.clicks_user[known], place[data.clicks_item[known]]] = True
    seen = np.zeros_like(clicked)
    old = known & learned
    seen[data.clicks_user[old], place[data.clicks_item[old]]] = True
    user, item = np.nonzero(clicked & ~seen)
    other = _who_did_not(rng, clicked, item, np.unique(data.clicks_user[~learned]))
    label = np.repeat([1, 0], len(user))
    activity = np.bincount(data.clicks_user[learned], minlength=data.users)

    def auc(positive: np.ndarray, negative: np.ndarray) -> float:
        return float(roc_auc_score(label, np.concatenate([positive, negative]))) if len(user) else float("nan")

    hits = [
        _hit_rate(ranking, seen, clicked & ~seen) for ranking in (scores, np.broadcast_to(counts[items], scores.shape))
    ]
    return HeldOut(
        len(user),
        len(items),
        auc(scores[user, item], scores[other, item]),
        auc(activity[user], activity[other]),
        auc(counts[items][item], counts[items][item]),
        *hits,
    )


def _who_did_not(rng: np.random.Generator, clicked: np.ndarray, item: Ints, among: Ints) -> Ints:
    """For each of some items one of some users who never clicked it, drawn uniformly."""
    other = rng.choice(among, len(item))
    for _ in range(100):
        wrong = clicked[other, item]
        if not wrong.any():
            break
        other[wrong] = rng.choice(among, int(wrong.sum()))
    return other


def _hit_rate(ranking: np.ndarray, seen: np.ndarray, wanted: np.ndarray, most: int = 10) -> float:
    users = np.flatnonzero(wanted.any(axis=1))
    if not len(users):
        return float("nan")
    values = np.where(seen[users], -np.inf, ranking[users])
    best = np.argsort(-values, axis=1, kind="stable")[:, :most]
    return float(np.take_along_axis(wanted[users], best, axis=1).any(axis=1).mean())
