"""Operators of the tests of seed sets."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from operator_maker import WINDOWS, Build, no_history

from flows.config.groups import SeedSettings
from flows.seed_sets.clustering import ClusteringPool
from flows.seed_sets.keeper import Missed, SeedSetOperator
from flows.seed_sets.keeper_state import OperatorSnapshot
from state.store.seed_store import SeedStore


@pytest.fixture
def build(tmp_path: Path, pool: ClusteringPool) -> Iterator[Build]:
    """Builds operators on one store, as a restart does."""
    opened: list[SeedStore] = []

    def make(
        state: OperatorSnapshot | None = None,
        *,
        use: ClusteringPool = pool,
        disk: str = "s",
        missed: Missed = no_history,
        **options: Any,
    ) -> SeedSetOperator:
        while opened:
            opened.pop().close()
        opened.append(SeedStore.open(tmp_path / disk, topic="clicks", partition=0, capacity=20))
        state = None if state is None else OperatorSnapshot.decode(state.encode())
        return SeedSetOperator(
            opened[-1],
            use,
            SeedSettings(max_seeds=20, item_ttl=f"{options.pop('ttl', 0)}ms", **WINDOWS, **options),
            state,
            missed,
        )

    yield make
    for store in opened:
        store.close()
