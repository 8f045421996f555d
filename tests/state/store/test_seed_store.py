"""The seed store: what it says is the rule's answer, and it knows which clicks it has."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store_history import N, epoch, open_store, same

from ralm.seed_set import SeedSet, WindowClicks, fold
from state.store.check import check_store
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


WINDOW = 100
CLICKS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 1499), st.integers(0, 2)), max_size=12)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(CLICKS, st.booleans(), st.booleans()), max_size=8), st.sampled_from([0, 150, 400]))
def test_a_set_as_of_a_windows_end_does_not_change_by_what_comes_or_is_folded_later(
    epochs: list[tuple[list[tuple[int, int, int]], bool, bool]], max_gap: int
) -> None:
    """Epochs of clicks of open windows, some late; between them windows close, items are merged, stores reopened."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "s"

        def opened() -> SeedStore:
            return SeedStore.open(path, topic="clicks", partition=3, capacity=N, max_gap=max_gap)

        store, everything, closed = opened(), [], 0
        for number, (clicks, merge, reopen) in enumerate(epochs):
            changes = Changes(items={"x": ItemRecord(1, 1)})
            parts = {}
            for user, time, late in clicks:
                own = (time // WINDOW + 1) * WINDOW
                closes = max(own, closed + WINDOW) + late * WINDOW
                parts.setdefault((closes, own), []).append((user, time))
            for ends, found in parts.items():
                users, times = (np.array(column) for column in zip(*found, strict=True))
                seeds = SeedSet.of_clicks(users.astype(np.uint64), times, N)
                part = WindowClicks(*ends, int(times.min()), seeds)
                changes.windows.append(("x", part))
                everything.append(part)
            store.write(changes, position=number, model_version="m")
            as_of = closed + WINDOW * (number % 3)  # beyond what is closed, as where a partition is idle
            expected = fold([], [part for part in everything if part.closes <= as_of], N, max_gap)[0]
            if merge:
                assert same(store.merged_seeds("x", closed=closed, until=as_of).seeds, expected)
            assert same(store.seeds("x", until=as_of), expected)
            assert same(store.seeds("x"), fold([], everything, N, max_gap)[0])
            if reopen:
                store.close()
                store = opened()
            closed += WINDOW
        store.close()


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
    store.write(Changes(evicted=["item-1"]), position=6, model_version="m")
    assert len(store.seeds("item-1")) == 0
    assert store.centroids("item-1") is None
    assert [name for name, _ in store.items()] == ["item-2"]


def test_clicks_from_before_a_gap_stay_out_until_their_item_is_gone(tmp_path: Path) -> None:
    def window(user: int, time: int, closes: int) -> Changes:
        seeds = SeedSet(np.array([user], np.uint64), np.array([time]))
        own = (time // WINDOW + 1) * WINDOW
        return Changes(windows=[("x", WindowClicks(closes, own, time, seeds))], items={"x": ItemRecord(time, 1)})

    path = tmp_path / "s"
    store = SeedStore.open(path, topic="clicks", partition=3, capacity=N, max_gap=200)
    for user, time, closes in ((1, 50, 100), (2, 950, 1000), (1, 50, 1100), (3, 749, 1200), (4, 750, 1200)):
        store.write(window(user, time, closes), position=user, model_version="m")
        found = store.seeds("x", until=closes)
        assert same(store.merged_seeds("x", closed=closes, until=closes).seeds, found)
        store.close()
        store = SeedStore.open(path, topic="clicks", partition=3, capacity=N, max_gap=200)
    assert store.seeds("x").users.tolist() == [2, 4]
    assert store.folded("x").since == 750
    assert check_store(path, N, lambda _: None).damages == []
    store.write(Changes(evicted=["x"]), position=6)
    store.write(window(1, 50, 2000), position=7)
    assert store.seeds("x").users.tolist() == [1]
    store.close()


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
