"""Whatever is done to a store's files: it is refused in words, or it is as it was at an earlier position."""

import os
import random
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from store_history import Crashed, N, contents, crash_image, epoch, open_store, read_all, state_of, uninitialised

from ralm.seed_set import SeedSet
from state.store.check import check_store
from state.store.seed_store import Changes, SeedStore, StoreError

IRRELEVANT = re.compile(r"LOG.*|LOCK|IDENTITY|OPTIONS.*|rocksdict-config.json")


def damage(rng: random.Random, file: Path) -> str:
    data = bytearray(file.read_bytes())
    ways = ["delete"] + (["flip", "truncate", "zero", "noise"] if data else [])
    way = rng.choice(ways)
    place = rng.randrange(len(data)) if data else 0
    if way == "delete":
        file.unlink()
    elif way == "truncate":
        os.truncate(file, place)
    else:
        if way == "flip":
            data[place] ^= 1 << rng.randrange(8)
        elif way == "zero":
            data[place : place + 64] = bytes(len(data[place : place + 64]))
        else:
            data[place : place + 64] = rng.randbytes(len(data[place : place + 64]))
        file.write_bytes(data)
    return f"{way} {file.name} at {place}"


@pytest.mark.parametrize("rng_seed", range(3))
def test_any_damage_is_refused_or_leaves_an_earlier_state(crashed: Crashed, tmp_path: Path, rng_seed: int) -> None:
    rng, newest, outcomes = random.Random(rng_seed), max(crashed.states), set()
    for _ in range(30):
        path = crashed.copy(tmp_path / "s")
        files = sorted(path.iterdir())
        relevant = [file for file in files if not IRRELEVANT.fullmatch(file.name)]
        file = rng.choice(relevant if rng.random() < 0.8 else files)
        what = damage(rng, file)
        before = contents(path)
        report = check_store(path, N, lambda _: None)
        assert contents(path) == before, what
        try:
            position, found = read_all(path)
        except StoreError as error:
            refusal = str(error)
        else:
            refusal = ""
        if refusal:
            outcomes.add("refused")
            assert report.damages, what
            assert "backup" in refusal, what
            assert contents(path) == before or "opened" not in refusal, what
            continue
        assert found == crashed.states[position], what
        outcomes.add("same" if position == newest else "behind")
        assert report.meta is None or report.meta.position == position, what
        if IRRELEVANT.fullmatch(file.name):
            assert position == newest, what
            assert not report.damages, what
            assert report.items == len(found)
    assert outcomes >= {"refused", "same"}


def test_what_an_owner_reads_first_is_read_before_rocksdb_may_write(tmp_path: Path) -> None:
    """RocksDB changes files as soon as it opens a store to write: a damaged record must be found before."""
    store, refused, opened = open_store(tmp_path / "w"), 0, 0
    epoch(store, np.arange(2000), np.arange(2000, dtype=np.uint64), np.arange(2000))
    store.compact()
    store.close()
    (table,) = (tmp_path / "w").glob("*.sst")
    size = table.stat().st_size
    for place in range(0, size, size // 40):
        path = tmp_path / f"s{place}"
        shutil.copytree(tmp_path / "w", path)
        data = bytearray((path / table.name).read_bytes())
        data[place] ^= 1
        (path / table.name).write_bytes(data)
        before = contents(path)
        try:
            store = open_store(path)
        except StoreError:
            refused += 1
            assert contents(path) == before
        else:
            opened += 1
            assert len(list(store.items())) == 2000
            store.close()
    assert refused
    assert opened


def test_a_block_that_is_damaged_while_the_flow_runs_stops_it_in_words(crashed: Crashed, tmp_path: Path) -> None:
    path = crashed.copy(tmp_path / "s")
    table = min(path.glob("*.sst"))
    data = bytearray(table.read_bytes())
    data[len(data) // 2] ^= 1
    table.write_bytes(data)
    store = SeedStore.open(path, topic="clicks", partition=3, capacity=N)
    with pytest.raises(StoreError, match=rf"checksum mismatch.*{re.escape(str(table))}"):
        state_of(store)
    with pytest.raises(StoreError, match="could not be compacted"):
        store.compact()
    position = store.position
    with pytest.raises(StoreError, match=r"refuses a write.*verify"):
        store.write(Changes(), position=position + 1, model_version="m")
    assert store.position == position
    store.close()


def test_a_log_whose_end_is_dropped_is_told(crashed: Crashed, tmp_path: Path) -> None:
    path = crashed.copy(tmp_path / "s")
    log = max(path.glob("*.log"), key=lambda file: file.stat().st_size)
    data = bytearray(log.read_bytes())
    data[len(data) // 2] ^= 1
    log.write_bytes(data)
    assert any("log of the store" in words for words in check_store(path, N, lambda _: None).damages)
    store = SeedStore.open(path, topic="clicks", partition=3, capacity=N)
    assert store.wal_truncated is not None
    assert "checksum mismatch" in store.wal_truncated
    assert 0 < store.position < max(crashed.states)
    assert state_of(store) == crashed.states[store.position]
    store.close()


def test_a_process_killed_while_it_makes_a_store_leaves_no_obstacle(tmp_path: Path) -> None:
    path = uninitialised(tmp_path / "s", 3)
    report = check_store(path, N, lambda _: None)
    assert (report.damages, report.notes) == ([], ["nothing is written yet"])
    assert check_store(tmp_path / "nowhere", N, lambda _: None).damages
    SeedStore.open(tmp_path / "s", topic="clicks", partition=3, capacity=N).close()


def test_a_crash_brings_no_delta_of_a_retired_item_back(tmp_path: Path) -> None:
    store = SeedStore.open(tmp_path / "s", topic="clicks", partition=3, capacity=N)
    for number in range(8):
        seeds = SeedSet(np.arange(number, number + 10, dtype=np.uint64), np.full(10, number))
        store.write(Changes(seeds=[("x", seeds)]), position=number + 1, model_version="m")
        if number % 3 == 2:
            store.merged_seeds("x")
    store.write(Changes(evicted=["x"]), position=9, model_version="m")
    crash_image(tmp_path / "s", tmp_path / "crashed")
    store.close()
    again = SeedStore.open(tmp_path / "crashed", topic="clicks", partition=3, capacity=N)
    assert len(again.seeds("x")) == 0
    assert again.unacked_tombstones() == ["x"]
    again.close()


def test_values_that_are_no_seed_sets_are_refused(tmp_path: Path) -> None:
    store = SeedStore.open(tmp_path / "s", topic="clicks", partition=3, capacity=N)
    for users, times in (([2, 1], [1, 1]), ([1, 1], [1, 1]), ([1], [-1]), ([1], [1 << 53])):
        bad = SeedSet(np.array(users, np.uint64), np.array(times, np.int64))
        store.write(Changes(seeds=[("x", bad)]), position=store.position + 1, model_version="m")
        with pytest.raises(StoreError, match="seeds of item 'x' are damaged"):
            store.seeds("x")
        store.write(Changes(evicted=["x"]), position=store.position, model_version="m")
    store._db.put(b"B\x00\x01x", b"123")
    with pytest.raises(StoreError, match="multiple of 16"):
        store.seeds("x")
    store.close()
    assert any("multiple of 16" in words for words in check_store(tmp_path / "s", N, lambda _: None).damages)
