"""A copy of a store goes on as the store itself."""

from pathlib import Path

import pytest
from store_history import N, Writer, state_of, uninitialised

from state.store.check import check_store
from state.store.copy import copy_store
from state.store.seed_store import SeedStore, StoreError


def test_a_copy_is_gone_on_with_as_the_store_itself(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "s", 12)
    writer.epochs(25)
    meta = copy_store(tmp_path / "s", tmp_path / "copy")
    writer.store.close()
    assert meta is not None
    assert meta.position == writer.store.position
    writer.path = tmp_path / "copy"
    writer.open()
    assert state_of(writer.store) == writer.states[meta.position]
    before = writer.store.meta.epoch
    writer.epochs(30)  # no new delta takes the place of one that was copied
    assert writer.store.meta.epoch == before + 30
    writer.reopen()
    assert state_of(writer.store) == writer.states[writer.store.position]
    writer.store.close()
    assert check_store(tmp_path / "copy", N, lambda _: None).damages == []


def test_an_empty_store_is_not_copied_and_a_damaged_one_refused(tmp_path: Path) -> None:
    SeedStore.open(tmp_path / "empty", topic="clicks", partition=3, capacity=N).close()
    assert copy_store(tmp_path / "empty", tmp_path / "copy") is None
    assert copy_store(uninitialised(tmp_path / "uninitialised", 3), tmp_path / "copy") is None
    assert not (tmp_path / "copy").exists()
    writer = Writer(tmp_path / "s", 13)
    writer.epochs(10)
    writer.store.close()
    table = next((tmp_path / "s").glob("*.sst"))
    data = bytearray(table.read_bytes())
    data[len(data) // 2] ^= 1
    table.write_bytes(data)
    with pytest.raises(StoreError, match="checksum mismatch"):
        copy_store(tmp_path / "s", tmp_path / "copy")
