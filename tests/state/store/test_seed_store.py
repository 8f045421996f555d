"""The seed store: what it says is the rule's answer, and it knows which clicks it has."""

from pathlib import Path

import numpy as np
import pytest
from store_history import N, epoch, open_store, same

from ralm.seed_set import SeedSet
from state.store.seed_store import Changes, ItemRecord, SeedStore, StoreError


@pytest.mark.parametrize("piece", [7, 20, 1000])
def test_every_set_is_the_rules_however_it_was_written_and_merged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    monkeypatch.setattr("state.store.base_sets.PIECE", piece)  # the bases are in pieces, some of them, or none
    rng = np.random.default_rng(0)
    store = open_store(tmp_path / "s")
    history = []
    for number in range(30):
        items, users = rng.integers(0, 6, 80), rng.integers(0, 200, 80).astype(np.uint64)
        times = rng.integers(0, 1000, 80)
        history.append((items, users, times))
        epoch(store, items, users, times)
        if number % 4 == 0:
            store.merged_seeds(f"item-{number % 6}")
        if number % 7 == 0:  # a restart loses nothing
            store.close()
            store = open_store(tmp_path / "s")
    items, users, times = (np.concatenate(column) for column in zip(*history, strict=True))
    assert store.position == len(items)
    for item in range(6):
        expected = SeedSet.of_clicks(users[items == item], times[items == item], N)
        assert same(store.seeds(f"item-{item}"), expected)
        assert same(store.merged_seeds(f"item-{item}").seeds, expected)
        assert same(store.seeds(f"item-{item}"), expected)


def test_evicted_seeds_are_counted_once(tmp_path: Path) -> None:
    store = open_store(tmp_path / "s")
    users = np.arange(2 * N, dtype=np.uint64)
    epoch(store, np.zeros(N, np.int64), users[:N], np.arange(N))
    assert store.merged_seeds("item-0").evicted == 0
    epoch(store, np.zeros(N, np.int64), users[N:], np.arange(N, 2 * N))
    assert store.merged_seeds("item-0").evicted == N
    assert store.merged_seeds("item-0").evicted == 0


def test_names_that_begin_alike_are_kept_apart(tmp_path: Path) -> None:
    store = open_store(tmp_path / "s")
    names = ["a", "a\x00", "aa", "é", "a" * 256]
    for user, name in enumerate(names):
        seeds = SeedSet(np.array([user], np.uint64), np.array([user]))
        changes = Changes(seeds=[(name, seeds)], items={name: ItemRecord(user, 1)})
        store.write(changes, position=user + 1, model_version="m")
    assert sorted(name for name, _ in store.items()) == sorted(names)
    for user, name in enumerate(names):
        assert store.seeds(name).users.tolist() == [user]


def test_a_retired_item_is_gone_whole(tmp_path: Path) -> None:
    store = open_store(tmp_path / "s")
    for _ in range(3):
        epoch(store, np.array([1, 2]), np.array([1, 2], np.uint64), np.array([1, 2]))
        store.merged_seeds("item-1")
    store.write(Changes(centroids={"item-1": b"x"}), position=6, model_version="m")
    store.write(Changes(retired=["item-1"]), position=6, model_version="m")
    assert len(store.seeds("item-1")) == 0
    assert store.centroids("item-1") is None
    assert [name for name, _ in store.items()] == ["item-2"]


def test_a_reader_sees_the_writers_last_epoch(tmp_path: Path) -> None:
    store = open_store(tmp_path / "s")
    epoch(store, np.array([1]), np.array([7], np.uint64), np.array([9]))
    reader = SeedStore.inspect(tmp_path / "s")
    assert reader.meta == store.meta
    assert reader.seeds("item-1").users.tolist() == [7]


def test_a_second_writer_and_a_strange_partition_are_refused(tmp_path: Path) -> None:
    store = open_store(tmp_path / "s")
    with pytest.raises(StoreError, match="in use"):
        open_store(tmp_path / "s")
    epoch(store, np.array([1]), np.array([7], np.uint64), np.array([9]))
    store.close()
    with pytest.raises(StoreError, match=r"partition 3.*not of.*partition 4"):
        open_store(tmp_path / "s", partition=4)
    open_store(tmp_path / "s").close()


def test_there_is_nothing_to_inspect_where_no_store_is(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no store"):
        SeedStore.inspect(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_a_damaged_store_is_refused_with_the_way_out(tmp_path: Path) -> None:
    store = open_store(tmp_path / "s")
    epoch(store, np.array([1]), np.array([7], np.uint64), np.array([9]))
    store.close()
    for manifest in (tmp_path / "s").glob("MANIFEST-*"):
        manifest.write_bytes(b"nonsense" * 20)
    with pytest.raises(StoreError, match="backup"):
        open_store(tmp_path / "s")
