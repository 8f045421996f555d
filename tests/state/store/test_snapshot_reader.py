"""Reading, checking and copying a store beside the process that writes it."""

import threading
from pathlib import Path

import pytest
from store_history import N, Writer, state_of, uninitialised

from state.store.check import check_store
from state.store.copy import copy_store
from state.store.seed_store import SeedStore, StoreError


def test_readers_see_one_moment_while_files_come_and_go(tmp_path: Path) -> None:
    writer, stop = Writer(tmp_path / "s", 11), threading.Event()
    writer.epochs(2)

    def write() -> None:
        while not stop.is_set():
            writer.epochs(2)
            writer.store._db.flush()
            writer.store.compact()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for number in range(15):
            reader = SeedStore.inspect(tmp_path / "s", N)
            found, position = state_of(reader), reader.position
            reader.close()
            report = check_store(tmp_path / "s", N, lambda _: None)
            assert report.damages == []
            meta = copy_store(tmp_path / "s", tmp_path / f"copy-{number}")
            assert meta is not None
            copy = SeedStore.open(tmp_path / f"copy-{number}", topic="clicks", partition=3, capacity=N)
            copied = state_of(copy)
            copy.close()
            for at, seen in ((position, found), (meta.position, copied)):
                while at not in writer.states:  # the writer notes a state after it has written it
                    stop.wait(0.001)
                assert seen == writer.states[at]
    finally:
        stop.set()
        thread.join()
        writer.store.close()


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
