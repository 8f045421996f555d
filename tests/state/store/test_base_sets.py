"""Large base sets in pieces: a fold is whole or not at all, and a missing piece is noticed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from store_history import N, epoch, open_store, same

from state.store.check import check_store
from state.store.rocks import OpenStore
from state.store.seed_store import Changes, StoreError


def test_a_fold_that_is_cut_off_anywhere_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("state.store.base_sets.PIECE", 8)
    rng = np.random.default_rng(4)
    store = open_store(tmp_path / "s")
    epoch(store, np.zeros(60, np.int64), rng.integers(0, 500, 60).astype(np.uint64), np.arange(60))
    store.merged_seeds("item-0")
    epoch(store, np.zeros(40, np.int64), rng.integers(0, 500, 40).astype(np.uint64), np.arange(60, 100))
    expected = store.seeds("item-0")
    for writes in range(7):
        with monkeypatch.context() as patched:
            left, usual = iter(range(writes)), OpenStore.write

            def write(self: OpenStore, *arguments: Any, left: Any = left, usual: Any = usual) -> None:
                if next(left, None) is None:
                    msg = "cut off"
                    raise StoreError(msg)
                usual(self, *arguments)

            patched.setattr(OpenStore, "write", write)
            with pytest.raises(StoreError, match="cut off"):
                store.merged_seeds("item-0")
        assert same(store.seeds("item-0"), expected)
        store.close()
        report = check_store(tmp_path / "s", N, lambda _: None)
        assert report.damages == []
        assert any("cut off by a crash" in note for note in report.notes) == (writes > 0)
        store = open_store(tmp_path / "s")
    assert same(store.merged_seeds("item-0").seeds, expected)
    assert same(store.seeds("item-0"), expected)
    store.close()
    assert check_store(tmp_path / "s", N, lambda _: None).notes == []


def test_a_piece_that_is_missing_is_noticed_and_its_item_can_be_retired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("state.store.base_sets.PIECE", 8)
    store = open_store(tmp_path / "s")
    epoch(store, np.zeros(40, np.int64), np.arange(40, dtype=np.uint64), np.arange(40))
    store.merged_seeds("item-0")
    store._db.delete(next(key for key, _ in store._store.scan(b"P")))
    with pytest.raises(StoreError, match="32 of 40 are there"):
        store.seeds("item-0")
    assert any("32 of 40" in words for words in check_store(tmp_path / "s", N, lambda _: None).damages)
    store.write(Changes(evicted=["item-0"]), position=store.position, model_version="m")
    assert [key for key, _ in store._store.scan(b"") if key[:1] in b"BHPDIC"] == []
    store.close()
