"""What the experiment scores is what the stream scores: one training, both ways from clicks to scores."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from operator_maker import settle

from flows.config.groups import ClusteringSettings, SeedSettings
from flows.messages.batches import ClickBatch, OutMessage
from flows.messages.codec import decode_centroids, split_centroids_key
from flows.offline.datasets.layout import Dataset
from flows.offline.fitting import FitOptions
from flows.offline.training import Split, train_bundle
from flows.scoring.live_index import IndexEntry, LiveIndex
from flows.seed_sets.clustering import ClusteringPool
from flows.seed_sets.keeper import SeedSetOperator
from ralm.encoders.sized_spectral import SizedSpectral
from ralm.models.encoded import EncodedConfig, EncodedLookalike
from ralm.models.lookalike_model import LookalikeModel
from ralm.models.model import Model
from ralm.scoring import score
from ralm.towers.training_config import TrainingConfig
from state.bundle.bundle import Bundle
from state.store.seed_store import SeedStore
from state.user_keys import user_keys

CONFIG = TrainingConfig(dim=16, field_dim=8, attention_size=4, epochs_user=2, epochs_lookalike=2, clusters=5)
CUT = 3_000_000


def clicks_of_two_kinds() -> Dataset:
    """Sixty users of two kinds, who click mostly on items of their own."""
    rng, count = np.random.default_rng(0), 4000
    users, items = np.array([f"u{n:02d}" for n in range(60)]), np.array([f"i{n:02d}" for n in range(24)])
    user = rng.integers(0, 60, count)
    item = np.where(rng.random(count) < 0.8, user % 2 + 2 * rng.integers(0, 12, count), rng.integers(0, 24, count))
    kind = ("categorical", np.array(["a", "b"])[np.arange(60) % 2])
    return Dataset(
        "two kinds",
        users[user],
        items[item],
        np.arange(count) * 1000,
        users,
        {"kind": kind},
        items,
        np.array(["x"] * 24),
    )


def streamed(pool: ClusteringPool, store: SeedStore, data: Dataset) -> list[OutMessage]:
    """The centroids that the seed operator emits for the clicks before the cut, in one window."""
    options = SeedSettings(max_seeds=1000, item_ttl=0, window=f"{CUT}ms", allowed_lateness=0, idle_after="1ms")
    operator = SeedSetOperator(store, pool, options)
    before = np.flatnonzero(data.event_times < CUT)
    before = before[np.random.default_rng(3).permutation(len(before))]  # in no order
    named, place = np.unique(data.event_items[before], return_inverse=True)
    ids = named.tolist()
    keys, times = user_keys(data.event_users[before].tolist()), data.event_times[before]
    out = operator.apply([ClickBatch(0, len(before), 0, ids, place, keys, times, np.arange(len(before)))])
    out += operator.apply([ClickBatch(0, len(before), CUT, [], place[:0], keys[:0], times[:0], np.zeros(0, np.int64))])
    return out + settle(operator)


def model_of(encoder: str) -> Model:
    if encoder == "paper":
        return LookalikeModel(replace(CONFIG, prior=False))
    return EncodedLookalike(EncodedConfig(SizedSpectral(), alpha=0.5, beta=0.5, clusters=5))


@pytest.mark.parametrize("encoder", ["spectral", "paper"])
def test_the_stream_scores_what_the_experiment_scored(tmp_path: Path, encoder: Any) -> None:
    data = clicks_of_two_kinds()
    train_bundle(data, split=Split(before=CUT), path=tmp_path / "b", options=FitOptions(encoder, towers=CONFIG))
    interactions, model = data.interactions(), model_of(encoder)
    model.fit(interactions.only(interactions.clicks_time < CUT), CONFIG.rng_seed)
    expected = model.scores(np.arange(60), np.arange(24))

    bundle = Bundle.open(tmp_path / "b")
    pool = ClusteringPool(bundle, ClusteringSettings(clusters=5, min_seeds=1))
    store = SeedStore.open(tmp_path / "s", topic="clicks", partition=0, capacity=1000)
    index = LiveIndex(bundle.form)
    for message in streamed(pool, store, data):
        assert message.value is not None
        index.update({split_centroids_key(message.key)[1]: IndexEntry.of(decode_centroids(message.value))})
    store.close()
    pool.close()

    (block,) = index.view.blocks
    slots = [index.view.slot(item) for item in data.item_ids.tolist()]
    rows = bundle.vectors.rows(user_keys(data.user_ids.tolist()))
    served = score(bundle.vectors.gather(rows), block.items, bundle.form).score[:, slots]
    np.testing.assert_allclose(served, expected, atol=1e-5)
