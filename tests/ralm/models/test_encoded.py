"""The model upon an encoder: seeds of length 1, a count-weighted mean, attention that knows how many a centroid is."""

from dataclasses import replace

import numpy as np
import pytest

from ralm.clustering import Clusters
from ralm.encoders.encoder import unit
from ralm.encoders.spectral import Spectral
from ralm.features import Interactions
from ralm.models import encoded
from ralm.models.encoded import EncodedConfig, EncodedLookalike, local_cosine
from ralm.seed_lists import SeedLists

CONFIG = EncodedConfig(Spectral(8))


def fitted(clicks: Interactions, config: EncodedConfig = CONFIG) -> EncodedLookalike:
    model = EncodedLookalike(config)
    model.fit(clicks, 0)
    return model


def seeds_of(planted: Interactions) -> SeedLists:
    return SeedLists.of_clicks(planted, np.array([3, 40, 7]))


def test_the_global_part_is_the_cosine_with_the_mean_of_the_seeds(planted: Interactions) -> None:
    model, seeds, users = fitted(planted), seeds_of(planted), np.array([5, 6, 100])
    scores = model.scores_of_seeds(users, seeds)
    for item in range(3):
        mean = model._vectors[seeds.of(item)].astype(np.float64).mean(axis=0)
        np.testing.assert_allclose(scores[:, item], model._vectors[users] @ mean / np.linalg.norm(mean), atol=1e-5)


def test_attention_over_centroids_of_one_seed_each_is_attention_over_seeds(planted: Interactions) -> None:
    model, seeds = fitted(planted, replace(CONFIG, alpha=0.0, beta=1.0, clusters=300)), seeds_of(planted)
    users = np.array([5, 6, 100])
    scores = model.scores_of_seeds(users, seeds)
    for item in range(3):
        cloud = model._vectors[seeds.of(item)].astype(np.float64)  # (n, h)
        a = np.exp(cloud @ model._vectors[users].T)  # (n, U)
        local = (a / a.sum(axis=0)).T @ cloud  # (U, h)
        np.testing.assert_allclose(scores[:, item], (unit(local) * model._vectors[users]).sum(axis=1), atol=1e-5)


def test_splitting_a_centroid_changes_nothing() -> None:
    """What stands for ten seeds weighs as much as ten centroids of one seed: only so is k without a say of its own."""
    rng = np.random.default_rng(0)
    users, centroids = unit(rng.normal(size=(6, 4))), rng.normal(size=(3, 4)).astype(np.float32)
    counts = np.array([10, 1, 4])
    split = Clusters(np.repeat(centroids, counts, axis=0), np.ones(15, np.int64))
    for temperature in (1.0, 0.1):
        whole = local_cosine(users, Clusters(centroids, counts), temperature)
        np.testing.assert_allclose(whole, local_cosine(users, split, temperature), atol=1e-5)


def test_without_a_local_part_nothing_is_clustered(planted: Interactions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoded, "cluster", None)
    fitted(planted).scores(np.arange(5), np.arange(5))


def test_prior_and_activity_are_added(planted: Interactions) -> None:
    users, seeds = np.array([5, 6, 100]), seeds_of(planted)
    plain = fitted(planted).scores_of_seeds(users, seeds)
    more = fitted(planted, replace(CONFIG, prior=0.1, activity=0.2)).scores_of_seeds(users, seeds)
    clicks = np.bincount(planted.clicks_user)[users]
    expected = plain + 0.1 * np.log1p(seeds.counts) + 0.2 * np.log1p(clicks)[:, None]
    np.testing.assert_allclose(more, expected, atol=1e-5)


def test_an_item_without_seeds_looks_like_nobody(planted: Interactions) -> None:
    for config in (CONFIG, replace(CONFIG, alpha=0.5, beta=0.5)):
        scores = fitted(planted, config).scores_of_seeds(np.arange(4), SeedLists(np.zeros(0, int), np.zeros(2, int)))
        assert not scores.any()
