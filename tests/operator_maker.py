"""Operators on stores of their own, and batches for them, for the tests."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from toys import toy_bundle

from flows.config.groups import ClusteringSettings
from flows.messages.batches import CandidateBatch, CandidateChange, ClickBatch, OutMessage
from flows.messages.codec import decode_centroids, split_centroids_key
from flows.messages.emission_order import EmissionOrder, order_of_centroids, order_of_tombstone
from flows.messages.types import Centroids
from flows.seed_sets.clustering import ClusteringPool
from flows.seed_sets.keeper import SeedSetOperator
from state.user_keys import user_keys

IDS = [str(number) for number in range(60)]
USERS = user_keys(IDS)
WINDOWS: dict[str, Any] = {"window": "1s", "allowed_lateness": 0, "idle_after": "500ms"}
Build = Callable[..., SeedSetOperator]
FIRST = [("a", user, 100 + user) for user in range(5)] + [("b", 1, 200), ("c", 55, 210), ("c", 56, 211), ("c", 57, 212)]
"""Clicks of one window: on ``a`` of users with vectors, on ``c`` of users without, too few on ``b``."""


def make_pool(path: Path, rng_seed: int, **more: Any) -> ClusteringPool:
    """A pool with a bundle of random weights, in which the last ten users have no vector."""
    bundle = toy_bundle(path, IDS[:50], rng_seed=rng_seed)
    return ClusteringPool(bundle, ClusteringSettings(**{"clusters": 4, "min_seeds": 3, "cluster_sample": 1000, **more}))


def batch(
    offset: int, *clicks: tuple[str, int, int], idle: int = 0, now: int = 0, heard: int | None = None
) -> ClickBatch:
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
        None,
        now,
        heard,
    )


def listing(offset: int, item: str, *, expires_at: int | None = None) -> CandidateBatch:
    """A message that lists an item."""
    return CandidateBatch(0, offset + 1, [CandidateChange(offset, item, False, expires_at)])


def tombstone(offset: int, item: str) -> CandidateBatch:
    """A message that retires an item."""
    return CandidateBatch(0, offset + 1, [CandidateChange(offset, item, True, None)])


def settle(operator: SeedSetOperator) -> list[OutMessage]:
    """Let the pool finish."""
    out: list[OutMessage] = []
    until = time.monotonic() + 120
    while operator.notify_at() is not None:
        assert time.monotonic() < until
        out += operator.collect()
    return out


def emitted(out: list[OutMessage]) -> dict[str, Centroids | None]:
    """The last word on each item."""
    return {
        split_centroids_key(message.key)[1]: None if message.value is None else decode_centroids(message.value)
        for message in out
    }


def orders(out: list[OutMessage], item: str) -> list[EmissionOrder]:
    """As of when an item's messages are, in the order in which they were emitted."""
    found: list[EmissionOrder] = []
    for message in out:
        if split_centroids_key(message.key)[1] != item:
            continue
        if message.value is None:
            order = order_of_tombstone(message.headers)
            assert order is not None
            found.append(order)
        else:
            found.append(order_of_centroids(decode_centroids(message.value), message.value))
    return found
