"""What the experiment scores is what the stream scores: one training, both ways from clicks to scores."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from operator_maker import settle

from flows.config.groups import ClusteringSettings, ScoringSettings, SeedSettings
from flows.messages.batches import ClickBatch, OutMessage, RequestBatch
from flows.messages.codec import decode_centroids, decode_scores, split_centroids_key
from flows.messages.types import Request
from flows.offline.datasets.layout import Dataset
from flows.offline.fitting import FitOptions
from flows.offline.training import Split, train_bundle
from flows.scoring.enricher import Enricher
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


def model_of(encoder: str, neighbours: tuple[float, ...] = ()) -> Model:
    if encoder == "paper":
        return LookalikeModel(replace(CONFIG, prior=False))
    return EncodedLookalike(EncodedConfig(SizedSpectral(), alpha=0.5, beta=0.5, clusters=5, neighbours=neighbours))


def index_of(bundle: Bundle, folder: Path, data: Dataset, *, sketched: bool = False) -> LiveIndex:
    """The live index as the streamed centroids make it."""
    pool = ClusteringPool(bundle, ClusteringSettings(clusters=5, min_seeds=1, sketches=sketched))
    store = SeedStore.open(folder, topic="clicks", partition=0, capacity=1000)
    index = LiveIndex(bundle.form, sketched=sketched)
    for message in streamed(pool, store, data):
        assert message.value is not None
        index.update({split_centroids_key(message.key)[1]: IndexEntry.of(decode_centroids(message.value))})
    store.close()
    pool.close()
    return index


@pytest.mark.parametrize("encoder", ["spectral", "paper"])
def test_the_stream_scores_what_the_experiment_scored(tmp_path: Path, encoder: Any) -> None:
    data = clicks_of_two_kinds()
    train_bundle(data, split=Split(before=CUT), path=tmp_path / "b", options=FitOptions(encoder, towers=CONFIG))
    interactions, model = data.interactions(), model_of(encoder)
    model.fit(interactions.only(interactions.clicks_time < CUT), CONFIG.rng_seed)
    expected = model.scores(np.arange(60), np.arange(24))

    bundle = Bundle.open(tmp_path / "b")
    index = index_of(bundle, tmp_path / "s", data)
    (block,) = index.view.blocks
    slots = [index.view.slot(item) for item in data.item_ids.tolist()]
    rows = bundle.vectors.rows(user_keys(data.user_ids.tolist()))
    served = score(bundle.vectors.gather(rows), block.items, bundle.form).score[:, slots]
    np.testing.assert_allclose(served, expected, atol=1e-5)


def test_the_stream_scores_neighbours_as_the_experiment_does(tmp_path: Path) -> None:
    data = clicks_of_two_kinds()
    train_bundle(data, split=Split(before=CUT), path=tmp_path / "b", options=FitOptions("spectral"))
    interactions, model = data.interactions(), model_of("spectral", neighbours=(0.7,))
    model.fit(interactions.only(interactions.clicks_time < CUT), CONFIG.rng_seed)
    expected = model.scores(np.arange(60), np.arange(24))
    plain = model_of("spectral")
    plain.fit(interactions.only(interactions.clicks_time < CUT), CONFIG.rng_seed)
    assert np.abs(expected - plain.scores(np.arange(60), np.arange(24))).max() > 0.3

    bundle = Bundle.open(tmp_path / "b")
    index = index_of(bundle, tmp_path / "s", data, sketched=True)
    assert index.view.sketched is not None
    assert not index.view.sketched.without_sketch
    options = ScoringSettings(prior=0, neighbours=0.7, score_batch=7, request_timeout=0)
    asking = RequestBatch(0, [Request("r", user, 5000) for user in data.user_ids.tolist()], [0] * 60)
    for row, out in enumerate(Enricher(bundle, index, options).answer(asking)):
        served = {item.item_id: item for item in decode_scores(out.value).scores}
        np.testing.assert_allclose(
            [served[item].score for item in data.item_ids.tolist()], expected[row], atol=1e-5, err_msg=f"user {row}"
        )
        parts = [(item.global_part, item.local_part, item.neighbours_part) for item in served.values()]
        np.testing.assert_allclose(
            np.array(parts) @ [0.5, 0.5, 0.7], [item.score for item in served.values()], atol=1e-5
        )
