"""What a process finds in its state directory."""

import json
from pathlib import Path

import pytest
from store_history import uninitialised

from flows.kafka.first_offset import HeldOffsets
from flows.seed_sets.state_facts import StateFacts, open_state_dir
from flows.support.errors import RalmError
from state.directory import read_format
from state.store.keys import META_KEY, WORK_KEY
from state.store.meta import STATE_FORMAT
from state.store.seed_store import SeedStore


def test_a_new_directory_is_marked_and_holds_nothing(tmp_path: Path) -> None:
    found = open_state_dir(tmp_path / "state")
    assert found == StateFacts()
    assert (found.partitions, found.stores) == (0, {})
    assert found.held("clicks", 0) is None
    assert read_format(tmp_path / "state") == STATE_FORMAT


def test_what_the_stores_say_is_found(state: Path) -> None:
    uninitialised(state / "seeds" / "00001", 1)
    found = open_state_dir(state)
    assert (found.partitions, sorted(found.stores)) == (4, [0, 3])
    at = found.stores[3].position
    assert found.held("clicks", 3) == HeldOffsets(at, at)
    assert found.held("candidates", 3) == HeldOffsets(0, 0)
    assert found.held("clicks", 1) is None
    assert [found.is_filled(partition) for partition in (0, 1, 3)] == [True, False, True]
    assert not found.has_candidates


def test_the_format_before_goes_on_where_its_stores_end(state: Path) -> None:
    store = SeedStore.open(state / "seeds" / "00003", topic="clicks", partition=3, capacity=50)
    meta = json.loads(store._db.get(META_KEY))
    del meta["resume"], meta["resume_candidates"]
    store._db.put(META_KEY, json.dumps({**meta, "format": 2}).encode())
    store._db.delete(WORK_KEY)
    store.close()
    (state / "format.json").write_text('{"format": 2}')
    found = open_state_dir(state)
    at = meta["position"]
    assert found.held("clicks", 3) == HeldOffsets(at, at)
    assert (read_format(state), found.partitions) == (STATE_FORMAT, 4)


def test_a_damaged_store_is_refused(state: Path) -> None:
    (state / "seeds" / "00003" / "CURRENT").write_text("MANIFEST")
    with pytest.raises(RalmError, match=r"00003.*from a backup"):
        open_state_dir(state)
