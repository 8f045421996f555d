"""A look-alike model upon any encoder: an item is its seeds' unit vectors, as a count-weighted mean and as clusters.

``score = alpha cosine(z_u, E_global) + beta cosine(z_u, E_local) + g log(1 + seeds) + d log(1 + clicks of u)``
``+ lambda nbr`` (``neighbours.py``)

* ``E_global`` is the mean of all seeds, which is the mean of the centroids c_k weighted by how many seeds n_k each
  stands for.
* ``E_local = sum of a_k c_k``, ``a = softmax_k( c_k . z_u / temperature + log n_k )``: without ``log n_k`` it would be
  a mean in which a straggler counts as much as a crowd.
* Seeds have length 1 before they are averaged or clustered, so that none speaks louder than another.
"""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from threadpoolctl import threadpool_limits

from ralm.click_matrix import seed_matrix
from ralm.clustering import Clusters, cluster
from ralm.encoders.encoder import EncoderRecipe, unit
from ralm.encoders.held_out_clicks import HeldOutClicks
from ralm.encoders.histories import Histories
from ralm.encoders.profiles import Profiles
from ralm.features import Floats, Interactions, Ints
from ralm.models.fit_store import FitStore, SharesFits, fit_key
from ralm.models.neighbours import Neighbours
from ralm.progress import Report, silent
from ralm.seed_lists import SeedLists

_CHUNK = 1 << 22
"""Numbers in one intermediate array (users x items x k): 16 MiB of float32."""


@dataclass(frozen=True)
class EncodedConfig:
    """What the model is made of.

    Attributes:
        encoder: how user vectors are learned.
        alpha: weight of the global part.
        beta: weight of the local part; 0: nothing is clustered.
        clusters: k, most centroids of an item.
        temperature: divides the logits of the local attention.
        counted: whether log n_k is in those logits; without it this is the paper's unweighted mean.
        prior: g, weight of an item's seeds. Raises precision and lowers the share of the tail.
        activity: d, weight of a user's clicks; for ranking users for an item.
        neighbours: lambda, weights of the neighbours, of which one is chosen on clicks held out of the fit; none: they
            are left out.
        trial: the encoder that lambda is chosen with; None: ``encoder``.
    """

    encoder: EncoderRecipe
    alpha: float = 1.0
    beta: float = 0.0
    clusters: int = 20
    temperature: float = 1.0
    counted: bool = True
    prior: float = 0.0
    activity: float = 0.0
    neighbours: tuple[float, ...] = ()
    trial: EncoderRecipe | None = None


class EncodedLookalike(SharesFits):
    """Fits an encoder, then scores users by how much they look like an item's seeds; on one numeric thread.

    Args:
        config: the encoder and the weights of the score.

    Attributes:
        log: after a fit, which lambda was chosen.
    """

    def __init__(self, config: EncodedConfig) -> None:
        self.config = config
        self.log: list[dict[str, str | int | float]] = []

    def fit(self, clicks: Interactions, rng_seed: int, report: Report = silent) -> None:
        """Fit the encoder and encode all users.

        Raises:
            ValueError: when the encoder has too little to learn from.
        """
        with threadpool_limits(1):
            self._neighbours = Neighbours(clicks) if self.config.neighbours else None
            self._weight = self._chosen(clicks, rng_seed, report) if self.config.neighbours else 0.0
            if self.config.neighbours:
                self.log = [{"stage": f"lambda {self._weight:g}", "epoch": 0, "loss": 0.0}]
            self._vectors = fitted_vectors(self._store, self.config.encoder, clicks, rng_seed, report)  # (users, h)
        self._activity = np.log1p(np.bincount(clicks.clicks_user, minlength=clicks.users)).astype(np.float32)
        self._clicks = clicks

    def scores(self, users: Ints, items: Ints) -> Floats:
        """Scores with the items' seeds in the clicks of the fit, float32[U, I]."""
        return self.scores_of_seeds(users, SeedLists.of_clicks(self._clicks, items))

    def scores_of_seeds(self, users: Ints, seeds: SeedLists) -> Floats:
        """Scores for items given by their seeds, float32[U, I]; an item without seeds looks like nobody."""
        config, vectors = self.config, self._vectors[users]  # (U, h)
        with threadpool_limits(1):
            means = seed_matrix(seeds, len(self._vectors)) @ self._vectors  # (I, h)
            scores: Floats = config.alpha * (vectors @ unit(means).T)  # (U, I)
            if config.beta:
                scores += config.beta * self._local(vectors, seeds)
            if self._neighbours is not None and self._weight:
                scores += np.float32(self._weight) * self._neighbours.near(users, seeds)
        scores += np.float32(config.prior) * np.log1p(seeds.counts).astype(np.float32)
        scores += np.float32(config.activity) * self._activity[users, None]
        return scores.astype(np.float32)

    def _chosen(self, clicks: Interactions, rng_seed: int, report: Report) -> float:
        """The lambda that tells held-out clickers from others best; the first where too little can be held out."""
        weights = self.config.neighbours
        if len(weights) == 1:
            return weights[0]
        held_out = HeldOutClicks.of(clicks, np.random.default_rng(rng_seed))
        try:
            vectors = _vectors(self.config.trial or self.config.encoder, held_out.train, rng_seed, report)
        except ValueError:  # too little is left to fit it on
            return weights[0]
        neighbours = Neighbours(held_out.train)

        parts: dict[tuple[int, int], tuple[Floats, Floats]] = {}  # the same few questions are put to every weight

        def scores(weight: float, seeds: SeedLists, item: Ints, users: Ints) -> Floats:
            key = (id(seeds), id(users))
            if key not in parts:
                means = unit(seed_matrix(seeds, len(vectors)) @ vectors)
                cosines = self.config.alpha * np.einsum("nh,nh->n", vectors[users], means[item])
                parts[key] = (cosines.astype(np.float32), neighbours.near_pairs(users, item, seeds))
            cosine, near = parts[key]
            return cosine + np.float32(weight) * near

        values = [held_out.value_of(partial(scores, weight)) for weight in weights]
        return weights[int(np.argmax(np.nan_to_num(values, nan=-1.0)))]

    def _local(self, vectors: Floats, seeds: SeedLists) -> Floats:
        """``cosine(z_u, E_local)`` of users float32[U, h] for all items, float32[U, I]; 0 without seeds."""
        cosines = np.zeros((len(vectors), seeds.items), np.float32)
        for item in np.flatnonzero(seeds.counts).tolist():
            clusters = cluster(self._vectors[seeds.of(item)], self.config.clusters, rng_seed=0)
            if not self.config.counted:
                clusters = replace(clusters, counts=np.ones_like(clusters.counts))
            rows = max(1, _CHUNK // len(clusters.counts))
            for start in range(0, len(vectors), rows):
                some = slice(start, start + rows)
                cosines[some, item] = local_cosine(vectors[some], clusters, self.config.temperature)
        return cosines


def fitted_vectors(
    store: FitStore | None, recipe: EncoderRecipe, clicks: Interactions, rng_seed: int, report: Report
) -> Floats:
    """All users' vectors, float32[users, h]: from the store if they are there, else learned and kept there.

    Args:
        store: shared by the models of a data set; None: nothing is kept.
        recipe: of the encoder.
        clicks: on which it is fitted, and by which users are encoded.
        rng_seed: fixes every random choice.
        report: called with progress.

    Raises:
        ValueError: when the encoder has too little to learn from.
    """
    if store is None:
        return _vectors(recipe, clicks, rng_seed, report)
    key = fit_key("vectors", clicks, (recipe, rng_seed))
    with store.lock(key):
        kept = store.get(key)
        if kept is None:
            kept = {"vectors": _vectors(recipe, clicks, rng_seed, report)}
            store.put(key, kept)
    vectors: Floats = kept["vectors"]
    return vectors


def _vectors(recipe: EncoderRecipe, clicks: Interactions, rng_seed: int, report: Report) -> Floats:
    """All users' vectors by an encoder that is fitted on the same clicks, float32[users, h]."""
    profiles = Profiles.of_clicks(clicks)
    encoder = recipe.fit(clicks, profiles, rng_seed, report)
    vectors: Floats = encoder.encode(Histories.of_clicks(clicks), profiles)
    return vectors


def local_cosine(users: Floats, clusters: Clusters, temperature: float = 1.0) -> Floats:
    """``cosine(z_u, E_local)`` with ``a = softmax_k( c_k . z_u / temperature + log n_k )``.

    Args:
        users: z_u of length 1, float32[U, h].
        clusters: c_k float32[k, h] and n_k int64[k], k >= 1.
        temperature: above 0.

    Returns:
        float32[U].
    """
    products = users @ clusters.centroids.T  # c_k . z_u, (U, k)
    logits = products / np.float32(temperature) + np.log(clusters.counts).astype(np.float32)
    a = np.exp(logits - logits.max(axis=1, keepdims=True))
    a /= a.sum(axis=1, keepdims=True)  # (U, k)
    gram = clusters.centroids @ clusters.centroids.T  # (k, k)
    length = np.sqrt(np.maximum(((a @ gram) * a).sum(axis=1), 0.0))  # |E_local| = sqrt(a^T G a), (U)
    cosine: Floats = ((a * products).sum(axis=1) / np.maximum(length, 1e-12)).astype(np.float32)
    return cosine
