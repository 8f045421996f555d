"""Operators of the tests of seed sets."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from operator_maker import WINDOWS, Build

from flows.config.groups import SeedSettings
from flows.seed_sets.clustering import ClusteringPool
from flows.seed_sets.keeper import SeedSetOperator
from state.store.seed_store import SeedStore


@pytest.fixture
def build(tmp_path: Path, pool: ClusteringPool) -> Iterator[Build]:
    """Builds operators on one store, as a restart does."""
    opened: list[SeedStore] = []

    def make(*, use: ClusteringPool = pool, disk: str = "s", replaces: bool = False, **options: Any) -> SeedSetOperator:
        while opened:
            opened.pop().close()
        gap = options.get("ttl", 0)
        opened.append(SeedStore.open(tmp_path / disk, topic="clicks", partition=0, capacity=20, max_gap=gap))
        return SeedSetOperator(
            opened[-1],
            use,
            SeedSettings(max_seeds=20, item_ttl=f"{options.pop('ttl', 0)}ms", **{**WINDOWS, **options}),
            replaces=replaces,
        )

    yield make
    for store in opened:
        store.close()
