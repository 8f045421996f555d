"""A clustering that fails is not forgotten, and not tried without end."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from operator_maker import USERS, WINDOWS, batch, emitted, make_pool, settle

from flows.config.groups import SeedSettings
from flows.messages.codec import decode_centroids, encode_centroids
from flows.seed_sets import clustering
from flows.seed_sets.clustering import ClusteringJob, ClusteringPool, ClusteringResult
from flows.seed_sets.keeper import SeedSetOperator
from monitoring import metrics
from ralm.clustering import is_compiled
from ralm.seed_set import SeedSet
from ralm.sketch import Sketch
from state.store.seed_store import Changes, ItemRecord, SeedStore, StoreError

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
    cluster_many = clustering.cluster_many

    def fail(*args: Any, **options: Any) -> Any:
        if len(raised) < times:
            raised.append(MemoryError("no room"))
            raise raised[-1]
        return cluster_many(*args, **options)

    monkeypatch.setattr(clustering, "cluster_many", fail)
    return raised


def test_an_item_whose_clustering_failed_is_tried_again_when_the_next_window_closes(
    pool: ClusteringPool, store: SeedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised, before, operator = failing(monkeypatch, 2), failed(), operator_on(store, pool)
    operator.apply([CLICKS])
    for number in (1, 2):  # nobody clicks it any more; each window tries once
        assert emitted(operator.apply([batch(5, idle=number * 1000)]) + settle(operator)) == {}
        assert len(raised) == number
    message = emitted(operator.apply([batch(5, idle=3000)]) + settle(operator))["a"]
    assert message is not None
    assert (message.window_end, message.seeds) == (1000, 5)
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


def many_items(store: SeedStore, count: int, seeds: int = 6) -> list[str]:
    """Items with seeds that have vectors, in a store."""
    changes = Changes()
    names = [f"item-{number:03d}" for number in range(count)]
    for number, name in enumerate(names):
        users = USERS[(np.arange(seeds) * 7 + number) % 50]
        changes.seeds.append((name, SeedSet.of_clicks(users, np.arange(seeds), 20)))
        changes.items[name] = ItemRecord(seeds, seeds)
    store.write(changes, position=store.position + 1)
    return names


def results(pool: ClusteringPool, store: SeedStore, names: list[str], **job: Any) -> list[ClusteringResult]:
    futures = [pool.submit(store, ClusteringJob(name, 1000, 1000, **job)) for name in names]
    return [future.result(timeout=60) for future in futures]


def test_many_jobs_are_done_in_one_call_and_each_as_if_it_were_alone(
    tmp_path: Path, store: SeedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    names, calls = many_items(store, 150), []
    cluster_many, began = clustering.cluster_many, threading.Event()

    def counted(vectors: Any, offsets: Any, *args: Any, **options: Any) -> Any:
        assert began.wait(60)
        calls.append(len(offsets) - 1)
        return cluster_many(vectors, offsets, *args, **options)

    monkeypatch.setattr(clustering, "cluster_many", counted)
    pool = make_pool(tmp_path / "many", 0)
    futures = [pool.submit(store, ClusteringJob(name, 1000, 1000)) for name in names]
    began.set()
    together = [future.result(timeout=60) for future in futures]
    assert sum(calls) == 150
    assert len(calls) < 10 or not is_compiled()
    assert together == [results(pool, store, [name])[0] for name in names]
    assert {result.outcome for result in together} == {"emitted"}
    pool.close()


def test_a_set_that_cannot_be_clustered_fails_alone(
    pool: ClusteringPool, store: SeedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    names, cluster_many = many_items(store, 5), clustering.cluster_many

    def one_is_not_finite(vectors: Any, offsets: Any, *args: Any, **options: Any) -> Any:
        found = cluster_many(vectors, offsets, *args, **options)
        return [None, *found[1:]]

    monkeypatch.setattr(clustering, "cluster_many", one_is_not_finite)
    before = failed()
    assert results(pool, store, names[:1])[0].outcome == "failed"
    assert failed() == before + 1


def test_a_store_that_cannot_be_read_fails_its_own_jobs_alone(
    pool: ClusteringPool, store: SeedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    names, merged_seeds = many_items(store, 5), store.merged_seeds

    def torn(item: str, **options: Any) -> Any:
        if item == names[2]:
            msg = "torn"
            raise StoreError(msg)
        return merged_seeds(item, **options)

    monkeypatch.setattr(store, "merged_seeds", torn)
    futures = [pool.submit(store, ClusteringJob(name, 1000, 1000)) for name in names]
    with pytest.raises(StoreError, match="torn"):
        futures.pop(2).result(timeout=60)
    assert {future.result(timeout=60).outcome for future in futures} == {"emitted"}


def test_closing_drops_what_has_not_begun(tmp_path: Path, store: SeedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    names, pool = many_items(store, 200), make_pool(tmp_path / "closing", 0)
    begun, go_on, cluster_many = threading.Event(), threading.Event(), clustering.cluster_many

    def slow(*args: Any, **options: Any) -> Any:
        begun.set()
        assert go_on.wait(60)
        return cluster_many(*args, **options)

    monkeypatch.setattr(clustering, "cluster_many", slow)
    futures = [pool.submit(store, ClusteringJob(name, 1000, 1000)) for name in names]
    assert begun.wait(60)
    closing = threading.Thread(target=pool.close)
    closing.start()
    while not futures[-1].cancelled():
        closing.join(0.001)
    go_on.set()
    closing.join(60)
    assert futures[0].result(timeout=60).outcome == "emitted"
    assert all(future.done() for future in futures)


def test_without_the_compiled_form_the_pool_says_so_and_clusters_all_the_same(
    tmp_path: Path, store: SeedStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(clustering, "is_compiled", lambda: False)
    pool = make_pool(tmp_path / "uncompiled", 0)
    told = capsys.readouterr()
    assert "without its compiled code" in told.out + told.err
    assert results(pool, store, many_items(store, 1))[0].outcome == "emitted"
    pool.close()


_SERVE = """
import sys
import numpy as np
import flows.look_alike, flows.run
from ralm.clustering import cluster
assert len(cluster(np.random.default_rng(0).normal(size=(99, 8)).astype("f4"), 20, rng_seed=0).counts) == 20
assert not {"sklearn", "torch"} & set(sys.modules), "a flow starts seconds later"
"""


@pytest.mark.skipif(not is_compiled(), reason="the compiled k-means was not built here")
def test_a_flow_does_without_scikit_learn_until_it_needs_it() -> None:
    done = subprocess.run([sys.executable, "-c", _SERVE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_centroids_have_a_sketch_of_all_seeds_where_the_setting_says_so(tmp_path: Path, store: SeedStore) -> None:
    for number, sketches in enumerate((True, False)):
        pool = make_pool(tmp_path / f"b{number}", 0, sketches=sketches)
        clicked = [("a", user, 1000 * number + user) for user in (*range(5), 55)]  # the last has no vector
        operator = operator_on(store, pool)
        out = operator.apply([batch(6 * number, *clicked), batch(6 * number + 6, idle=1000 * number + 1000)])
        message = emitted(out + settle(operator))["a"]
        pool.close()
        assert message is not None
        assert message.seeds == 6
        expected = Sketch.of_keys(USERS[[*range(5), 55]]).hashes if sketches else []
        np.testing.assert_array_equal(message.sketch_array(), expected)
