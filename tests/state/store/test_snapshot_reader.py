"""Reading, checking and copying a store beside the process that writes it."""

import errno
import tempfile
import threading
from pathlib import Path

import pytest
from store_history import N, Writer, state_of

from state.store import snapshot_reader
from state.store.check import check_store
from state.store.copy import copy_store
from state.store.layout import StoreError
from state.store.seed_store import SeedStore


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


def test_without_a_folder_for_temporary_files_the_state_directory_takes_the_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state" / "seeds" / "00000"
    Writer(path, 3).epochs(2)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    monkeypatch.setattr(snapshot_reader, "_SHARED_MEMORY", tmp_path / "gone-too")
    assert check_store(path, N, lambda _: None).damages == []
    assert [file.name for file in (tmp_path / "state").iterdir()] == ["seeds"]
    refuse_everywhere(monkeypatch)
    with pytest.raises(StoreError, match="Set TMPDIR to a folder that can be written"):
        snapshot_reader.ReadOnlySnapshot(path)


def refuse_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(snapshot_reader, "TemporaryDirectory", refuse)
