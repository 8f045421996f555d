"""Keepers on stores of their own, and batches for them, for the tests."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from flows.config.settings import ClusteringSettings
from flows.messages.batches import CandidateBatch, CandidateChange, ClickBatch, OutMessage
from flows.messages.codec import decode_centroids, split_centroids_key
from flows.messages.types import Centroids
from flows.seed_sets.clustering import ClusteringPool
from flows.seed_sets.keeper import SeedKeeper
from flows.seed_sets.keeper_state import KeeperState
from flows.support.errors import RalmError
from ralm.scoring import AttentionWeights
from state.bundle.bundle import Bundle, write_bundle
from state.user_keys import user_keys

USERS = user_keys([str(number) for number in range(60)])
WINDOWS: dict[str, Any] = {"window": "1s", "allowed_lateness": 0, "idle_after": "500ms"}
Build = Callable[..., SeedKeeper]


def make_pool(path: Path, rng_seed: int) -> ClusteringPool:
    """A pool with a bundle of random weights, in which the last ten users have no vector."""
    rng, h = np.random.default_rng(rng_seed), 8
    weights = AttentionWeights(*(rng.normal(size=s).astype("f4") for s in ((h, h), (4, h), (4,))))
    vectors = rng.normal(size=(50, h)).astype("f4")
    write_bundle(
        path, towers=weights, user_tower={}, lookalike={}, keys=USERS[:50], vectors=vectors, details={"clusters": 4}
    )
    return ClusteringPool(Bundle.open(path), ClusteringSettings(clusters=4, min_seeds=3, cluster_sample=1000))


def no_history(_: KeeperState) -> tuple[list[ClickBatch], list[CandidateBatch]]:
    """What a topic says that has nothing of what a store has missed."""
    msg = "the topic has nothing"
    raise RalmError(msg)


def batch(offset: int, *clicks: tuple[str, int, int], idle: int = 0) -> ClickBatch:
    """Clicks (item, number of the user, time) from an offset on."""
    ids = sorted({item for item, _, _ in clicks})
    return ClickBatch(
        0,
        offset + len(clicks),
        idle,
        ids,
        np.array([ids.index(item) for item, _, _ in clicks], np.int64),
        USERS[[user for _, user, _ in clicks]] if clicks else USERS[:0],
        np.array([ts for _, _, ts in clicks], np.int64),
        np.arange(offset, offset + len(clicks)),
    )


def listing(offset: int, item: str, *, sent: int, expires_at: int | None = None) -> CandidateBatch:
    """A message that lists an item."""
    return CandidateBatch(0, offset + 1, [CandidateChange(offset, item, False, expires_at, sent)])


def tombstone(offset: int, item: str, *, sent: int) -> CandidateBatch:
    """A message that retires an item."""
    return CandidateBatch(0, offset + 1, [CandidateChange(offset, item, True, None, sent)])


def settle(keeper: SeedKeeper) -> list[OutMessage]:
    """Let the pool finish."""
    out: list[OutMessage] = []
    until = time.monotonic() + 20
    while keeper.notify_at() is not None:
        assert time.monotonic() < until
        out += keeper.collect()
    return out


def emitted(out: list[OutMessage]) -> dict[str, Centroids | None]:
    """The last word on each item."""
    return {
        split_centroids_key(message.key)[1]: None if message.value is None else decode_centroids(message.value)
        for message in out
    }
