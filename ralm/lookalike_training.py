"""Look-alike learning with iterative clustering (section 5.3 of the paper).

A click is a row: its user's embedding as of just before it. A row is a seed of its item and, in turn, a target; as a
target it is kept out of its own item's seeds. Assignments to clusters are made afresh before each epoch and fixed
within it; the cluster vectors are the means of the seeds' current vectors, so that gradients reach the shared FC
through them too.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ralm.features import Floats, Ints
from ralm.group_clustering import cluster_groups
from ralm.lookalike import LookalikeLoss, LookalikeTowers
from ralm.sampling import NegativeSampler

if TYPE_CHECKING:
    from ralm.training import TrainingConfig

SEEDS_PER_ITEM = 100
"""Most seeds of an item in an epoch; another sample is taken for the next. The paper does not give it."""


@dataclass(frozen=True)
class Seeds:
    """The seeds of an epoch, grouped by item.

    Attributes:
        rows: int64[n], by item.
        starts: first place of each item in ``rows``, int64[items + 1].
        clusters: cluster of each seed within its item, int64[n].
        place: for each row its place in ``rows``, int64[rows in all]; -1 when it is no seed this epoch.
    """

    rows: Ints
    starts: Ints
    clusters: Ints
    place: Ints


def train_lookalike(
    towers: LookalikeTowers,
    embeddings: Floats,
    users: Ints,
    items: Ints,
    config: "TrainingConfig",
    rng: np.random.Generator,
) -> Iterator[tuple[int, float]]:
    """Train the towers.

    Args:
        towers: the towers.
        embeddings: of each click, its user's embedding just before it, float32[n, m].
        users: of each click, int64[n].
        items: of each click, int64[n].
        config: the hyperparameters.
        rng: random generator.

    Yields:
        Each epoch's number and mean loss.
    """
    loss_of = LookalikeLoss(learned=config.loss == "learned", negatives=config.negatives)
    optimiser = torch.optim.Adam([*towers.parameters(), *loss_of.parameters()], lr=config.learning_rate)
    known = torch.from_numpy(embeddings)
    sampler = NegativeSampler.of_clicks(items, int(items.max()) + 1)
    clicked = np.unique(users * (int(items.max()) + 1) + items)
    for epoch in range(config.epochs_lookalike):
        seeds = choose_seeds(towers, known, items, config.train_clusters, rng)
        losses = []
        # A target needs an item that has another seed than itself.
        targets = np.flatnonzero(np.diff(seeds.starts)[items] > 1)
        for batch in np.array_split(rng.permutation(targets), max(1, len(targets) // config.batch_size)):
            negatives = sampler.draw(rng, (len(batch), config.negatives))
            wrong = np.isin(users[batch][:, None] * (int(items.max()) + 1) + negatives, clicked)
            positive, negative = _batch_scores(
                towers, known, seeds, batch, items[batch], negatives, wrong, config.train_clusters
            )
            loss = loss_of(positive, negative)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        yield epoch, float(np.mean(losses)) if losses else float("nan")


def choose_seeds(towers: LookalikeTowers, embeddings: Tensor, items: Ints, k: int, rng: np.random.Generator) -> Seeds:
    """Sample each item's seeds and cluster them with the towers as they are."""
    order = np.lexsort((rng.random(len(items)), items))
    ordered = items[order]
    within = np.arange(len(items)) - np.searchsorted(ordered, ordered)
    rows = order[within < SEEDS_PER_ITEM]
    with torch.inference_mode():
        vectors = towers.eval().transform(embeddings[torch.from_numpy(rows)]).numpy()
    towers.train()
    _, groups = np.unique(items[rows], return_inverse=True)
    place = np.full(len(items), -1, np.int64)
    place[rows] = np.arange(len(rows))
    starts = np.searchsorted(items[rows], np.arange(int(items.max()) + 2))
    return Seeds(rows, starts, cluster_groups(vectors, groups, k, rng), place)


def _batch_scores(
    towers: LookalikeTowers,
    embeddings: Tensor,
    seeds: Seeds,
    targets: Ints,
    positives: Ints,
    negatives: Ints,
    wrong: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
    k: int,
) -> tuple[Tensor, Tensor]:
    """Scores of the targets with their own items, (B), and with the negatives that count, (n).

    Args:
        towers: the towers.
        embeddings: of all clicks, (n, m).
        seeds: the epoch's seeds.
        targets: rows, int64[B].
        positives: their items, int64[B].
        negatives: items, int64[B, negatives].
        wrong: negatives that the user did click; they do not count, bool[B, negatives].
        k: clusters of an item.
    """
    needed, place = np.unique(np.concatenate([positives[:, None], negatives], axis=1), return_inverse=True)
    place = place.reshape(len(targets), -1)  # (B, 1 + negatives), into the I needed items
    users = towers.transform(embeddings[torch.from_numpy(targets)])  # (B, h)
    sums, counts, vectors, first = _cluster_sums(towers, embeddings, seeds, needed, k)
    mask = counts > 0  # (I, k)
    # An item with no seeds this epoch would have nothing to attend to.
    mask[~mask.any(dim=1), 0] = True
    centroids = sums / counts.clamp_min(1.0).unsqueeze(-1)  # (I, k, h)
    global_ = towers.global_embedding(centroids, mask)  # (I, h)
    own_sums, own_counts = _without_self(sums, counts, vectors, first, seeds, targets, place[:, 0], needed)
    own_centroids, own_mask = own_sums / own_counts.clamp_min(1.0).unsqueeze(-1), own_counts > 0  # (B, k, h), (B, k)
    own_global = towers.global_embedding(own_centroids, own_mask)  # (B, h)
    positive = towers.score_pairs(users, own_centroids, own_mask, own_global).score  # (B)
    target, column = np.nonzero(~wrong & (np.diff(seeds.starts)[negatives] > 0))  # the n negatives that count
    item = torch.from_numpy(place[target, 1 + column])
    pairs = users[torch.from_numpy(target)], centroids[item], mask[item], global_[item]
    return positive, towers.score_pairs(*pairs).score  # (B), (n)


def _cluster_sums(
    towers: LookalikeTowers, embeddings: Tensor, seeds: Seeds, needed: Ints, k: int
) -> tuple[Tensor, Tensor, Tensor, Ints]:
    """Sums (I, k, h) and counts (I, k) of the needed items' clusters, their seeds' vectors, and where each begins."""
    lengths = seeds.starts[needed + 1] - seeds.starts[needed]
    first = np.concatenate([[0], np.cumsum(lengths)])
    places = np.repeat(seeds.starts[needed] - first[:-1], lengths) + np.arange(first[-1])
    vectors = towers.transform(embeddings[torch.from_numpy(seeds.rows[places])])  # (n', h)
    slots = torch.from_numpy(np.repeat(np.arange(len(needed)), lengths) * k + seeds.clusters[places])
    sums = torch.zeros(len(needed) * k, vectors.shape[1]).index_add(0, slots, vectors)
    counts = torch.bincount(slots, minlength=len(needed) * k).float()
    return sums.view(len(needed), k, -1), counts.view(len(needed), k), vectors, first


def _without_self(
    sums: Tensor,
    counts: Tensor,
    vectors: Tensor,
    first: Ints,
    seeds: Seeds,
    targets: Ints,
    own: Ints,
    needed: Ints,
) -> tuple[Tensor, Tensor]:
    """Each target's own item's cluster sums (B, k, h) and counts (B, k), the target itself taken out."""
    own_sums, own_counts = sums[torch.from_numpy(own)], counts[torch.from_numpy(own)]
    inside = np.flatnonzero(seeds.place[targets] >= 0)
    place = seeds.place[targets[inside]]
    cluster = torch.from_numpy(seeds.clusters[place])
    mine = vectors[torch.from_numpy(first[own[inside]] + place - seeds.starts[needed[own[inside]]])]
    rows = torch.from_numpy(inside)
    own_sums = own_sums.index_put((rows, cluster), -mine, accumulate=True)
    own_counts = own_counts.index_put((rows, cluster), torch.tensor(-1.0), accumulate=True)
    return own_sums, own_counts
