"""A batch that is gone from the middle of a store is noticed."""

import os
import shutil
from pathlib import Path

import pytest
from rocksdict import Options
from store_history import N, Writer, contents, read_all

from state.store import rocks
from state.store.check import check_store
from state.store.seed_store import StoreError


def many_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have RocksDB keep its logs: as in the seconds in which one is being made into a table."""
    usual = rocks.make_options

    def options(**how: object) -> Options:
        made = usual(**how)  # type: ignore[arg-type]
        made.set_write_buffer_size(64 << 10)
        made.set_max_write_buffer_number(64)
        made.set_min_write_buffer_number_to_merge(60)
        return made

    monkeypatch.setattr(rocks, "make_options", options)


def test_a_log_that_is_missing_before_a_later_one_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many_logs(monkeypatch)
    writer = Writer(tmp_path / "s", 5)
    writer.epochs(20)
    logs = sorted((tmp_path / "s").glob("*.log"))
    assert len(logs) > 3
    for number, way in enumerate(("delete", "empty", "cut")):
        path = shutil.copytree(tmp_path / "s", tmp_path / way)
        log = path / logs[1 + number % 2].name
        if way == "delete":
            log.unlink()
        else:
            os.truncate(log, 0 if way == "empty" else log.stat().st_size // 2)
        before = contents(path)
        if way == "cut":  # RocksDB notices it, and drops all that follows
            position, found = read_all(path)
            assert found == writer.states[position]
            continue
        with pytest.raises(StoreError, match="hole"):
            read_all(path)
        assert contents(path) == before
        assert check_store(path, N, lambda _: None).damages
    writer.store.close()


def test_a_manifest_that_is_older_than_what_was_built_upon_it_is_noticed(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "s", 6)
    writer.epochs(10)
    manifest = next((tmp_path / "s").glob("MANIFEST-*"))
    size = manifest.stat().st_size
    writer.store._db.flush()  # the first log becomes a table, and the MANIFEST says so
    writer.epochs(10)
    assert manifest.stat().st_size > size
    shutil.copytree(tmp_path / "s", tmp_path / "cut")
    writer.store.close()
    os.truncate(tmp_path / "cut" / manifest.name, size)
    before = contents(tmp_path / "cut")
    with pytest.raises(StoreError, match=r"hole|older or damaged MANIFEST"):
        read_all(tmp_path / "cut")
    assert contents(tmp_path / "cut") == before


def test_the_fingerprint_alone_notices_it_after_many_epochs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("state.store.epoch_chain.RING_SIZE", 4)
    test_a_manifest_that_is_older_than_what_was_built_upon_it_is_noticed(tmp_path)
