"""A clustering that fails is not forgotten, and not tried without end."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from operator_maker import WINDOWS, batch, emitted, settle

from flows.config.groups import SeedSettings
from flows.messages.codec import decode_centroids, encode_centroids
from flows.seed_sets import clustering
from flows.seed_sets.clustering import ClusteringPool
from flows.seed_sets.keeper import SeedSetOperator
from monitoring import metrics
from state.store.seed_store import Changes, SeedStore

CLICKS = batch(0, *[("a", user, 100 + user) for user in range(5)])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SeedStore]:
    made = SeedStore.open(tmp_path / "s", topic="clicks", partition=0, capacity=20)
    yield made
    made.close()


def operator_on(store: SeedStore, pool: ClusteringPool) -> SeedSetOperator:
    return SeedSetOperator(store, pool, SeedSettings(max_seeds=20, item_ttl=0, **WINDOWS))


def failed() -> float:
    count: float = metrics.RECLUSTERS.labels("failed")._value.get()
    return count


def failing(monkeypatch: pytest.MonkeyPatch, times: int) -> list[Exception]:
    """Has clustering run out of memory so many times; what was raised."""
    raised: list[Exception] = []
    cluster = clustering.cluster

    def fail(*args: Any, **options: Any) -> Any:
        if len(raised) < times:
            raised.append(MemoryError("no room"))
            raise raised[-1]
        return cluster(*args, **options)

    monkeypatch.setattr(clustering, "cluster", fail)
    return raised


def test_an_item_whose_clustering_failed_is_tried_again_when_the_next_window_closes(
    pool: ClusteringPool, store: SeedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised, before, operator = failing(monkeypatch, 2), failed(), operator_on(store, pool)
    operator.apply([CLICKS])
    for number in (1, 2):  # nobody clicks it any more; each window tries once, as of its end
        assert emitted(operator.apply([batch(5, idle=number * 1000)]) + settle(operator)) == {}
        assert len(raised) == number
    message = emitted(operator.apply([batch(5, idle=3000)]) + settle(operator))["a"]
    assert message is not None
    assert (message.window_end, message.seeds) == (3000, 5)
    assert failed() == before + 2
    assert emitted(operator.apply([batch(5, idle=9000)]) + settle(operator)) == {}


def test_a_failed_clustering_is_remembered_over_a_restart(
    pool: ClusteringPool, store: SeedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, 1)
    operator = operator_on(store, pool)
    operator.apply([CLICKS, batch(5, idle=1000)])
    assert settle(operator) == []
    operator.snapshot()
    again = operator_on(store, pool)
    assert emitted(again.collect()) == {}
    assert set(emitted(again.apply([batch(5, idle=2000)]) + settle(again))) == {"a"}


def other_length(last: bytes) -> bytes:
    longer = np.ones((2, 9), "f4")
    message = decode_centroids(last)
    return encode_centroids(
        msgspec.structs.replace(
            message, k=2, h=9, counts=[1, 1], centroids=longer.tobytes(), global_=longer[0].tobytes()
        )
    )


@pytest.mark.parametrize("damage", [lambda _: b"\x81", lambda last: last[:-1], other_length])
def test_last_centroids_that_cannot_be_read_are_no_start_and_fail_nothing(
    pool: ClusteringPool, store: SeedStore, damage: Any
) -> None:
    before, operator = failed(), operator_on(store, pool)
    first = emitted(operator.apply([CLICKS, batch(5, idle=1000)]) + settle(operator))["a"]
    operator.snapshot()
    store.write(Changes(centroids={"a": damage(store.centroids("a"))}), position=5)
    found = emitted(operator.apply([batch(5, ("a", 4, 1500)), batch(6, idle=1000)]) + settle(operator))["a"]
    assert first is not None
    assert found is not None
    assert found.centroids == first.centroids  # a first clustering of the same seeds
    assert failed() == before


def test_unreadable_last_centroids_are_warned_of_by_item(
    pool: ClusteringPool, store: SeedStore, capsys: pytest.CaptureFixture[str]
) -> None:
    store.write(Changes(centroids={"a": b"\x81"}), position=0)
    assert pool._start(store, "a") is None
    told = capsys.readouterr()
    assert "cannot be read" in told.out + told.err
    assert "item=a" in told.out + told.err
