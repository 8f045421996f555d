"""Where a process begins to read is fixed in its stores before any message is read."""

import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from partition_facts import Facts

from flows.config.settings import Settings
from flows.messages.batches import CandidateChange
from flows.seed_sets.candidates import CandidateRegistry
from flows.seed_sets.first_positions import FirstPositions
from flows.seed_sets.keeper_state import OpenWork
from flows.seed_sets.state_facts import look_into_state_dir, open_state_dir
from flows.support.errors import RalmError
from ralm.seed_set import SeedSet
from state.directory import (
    BEFORE,
    begun_partitions,
    moved_positions,
    note_moved,
    note_partition_count,
    noted_counts,
)
from state.store.layout import FOR_EVER
from state.store.meta import TopicMark
from state.store.seed_store import CandidateEntry, Changes, ItemRecord, SeedStore

OLD = TopicMark("old", 6, 1000)
BROKER = Facts(0, 20, time=1000)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A state directory with one store, of a topic ``old``."""
    none = np.zeros(0, np.int64)
    work = OpenWork(9000, 8000, None, ([], none, none), {"sent": 8000}, 8500).encode()
    records = {"once": ItemRecord(900, 2, 7000), "sent": ItemRecord(900, 2, 7000), "never": ItemRecord(900, 2)}
    seeds = [(name, SeedSet(np.arange(2, dtype=np.uint64), np.arange(2))) for name in records]
    with closing(SeedStore.open(tmp_path / "seeds" / "00000", topic="clicks", partition=0, capacity=9)) as store:
        more: dict[str, Any] = {"resume": 15, "clicks_mark": OLD, "work": work}
        store.write(Changes(items=records, seeds=seeds), position=15, **more)
    note_partition_count(tmp_path, 1)
    return Settings(state_dir=str(tmp_path), rebuild="partial")


def fixed(settings: Settings, topic_id: str, *, count: int = 1) -> tuple[int, dict[str, int]]:
    """Where the only partition begins, and the least window end that each item's next message may say."""
    state = Path(settings.state_dir)
    positions = FirstPositions(settings, look_into_state_dir(state), "clicks", count=count)
    begin = positions.begin("clicks", BROKER, 0, topic_id)
    positions.fix([0])
    with closing(SeedStore.inspect(state / "seeds" / "00000")) as store:
        assert store.position >= begin
        dropped = {"dropped": OpenWork.decode(store.work or b"").dropped_until}
        return begin, {name: record.emitted for name, record in store.items()} | dropped


def test_a_topic_that_is_known_again_is_read_on_and_nothing_is_written(settings: Settings) -> None:
    assert fixed(settings, "old") == (15, {"never": 0, "once": 7000, "sent": 7000, "dropped": 8500})
    assert begun_partitions(Path(settings.state_dir), "clicks") == {0}


@pytest.mark.parametrize(("read", "older"), [(15, False), (16, True)])
def test_an_older_copy_of_a_store_takes_the_place_of_the_one_that_was_there(
    settings: Settings, read: int, older: bool
) -> None:
    state = Path(settings.state_dir)
    positions = FirstPositions(settings, look_into_state_dir(state), "clicks", count=1)
    assert positions.begin("clicks", Facts(0, 20, read, OLD, 1000), 0, "old") == 15
    positions.fix([0])
    assert positions.is_older(0) == older
    with closing(SeedStore.inspect(state / "seeds" / "00000")) as store:
        assert (store.meta.replaces, store.position, store.meta.resume) == (older, 15, 15)


def test_offsets_that_begin_anew_are_never_compared_with_those_before(settings: Settings) -> None:
    later = {"never": 0, "once": 7001, "sent": 8001, "dropped": 8501}
    assert fixed(settings, "new") == (0, later)
    assert fixed(settings, "new") == (0, later), "once is enough"


def test_that_a_store_has_more_than_its_topic_is_noted_and_said_of_a_lost_one(settings: Settings) -> None:
    state = Path(settings.state_dir)
    fixed(settings, "old")
    assert begun_partitions(state, BEFORE) == frozenset()
    fixed(settings, "new")
    assert begun_partitions(state, BEFORE) == {0}
    shutil.rmtree(state / "seeds")
    careful = settings.model_copy(update={"rebuild": "complete"})
    lost = FirstPositions(careful, look_into_state_dir(state), "clicks", count=1)
    assert lost.has_more(0)
    (said,) = lost.refusals("clicks", Facts(0, 20), [0], "new")
    assert "clicks of a topic, too, that was there before" in said


def test_a_copy_of_a_store_from_before_items_were_moved_to_it_is_refused(settings: Settings) -> None:
    state, careful = Path(settings.state_dir), settings.model_copy(update={"rebuild": "complete"})
    note_moved(state, {0: 15})
    assert fixed(careful, "old")[0] == 15
    note_moved(state, {0: 16})
    with pytest.raises(RalmError, match=r"a copy from before the topic had grown.*--rebuild partial"):
        fixed(careful, "old")
    assert fixed(settings, "old")[0] == 15
    with closing(SeedStore.inspect(state / "seeds" / "00000")) as store:
        assert store.meta.replaces
    assert fixed(careful, "old")[0] == 15, "it is accepted once"
    assert moved_positions(state) == {0: 16}
    fixed(settings, "new")
    assert moved_positions(state) == {}, "offsets begin anew"


def test_a_topic_with_fewer_partitions_is_another_one_whatever_its_messages_say(settings: Settings) -> None:
    note_partition_count(Path(settings.state_dir), 2)
    assert fixed(settings, "", count=1)[0] == 0
    with pytest.raises(RalmError, match="fewer partitions than before: the topic was made anew"):
        fixed(settings.model_copy(update={"rebuild": "complete"}), "", count=1)


def test_stores_of_another_topic_are_refused_before_items_are_moved_between_them(settings: Settings) -> None:
    state = look_into_state_dir(Path(settings.state_dir))
    careful = settings.model_copy(update={"rebuild": "complete"})
    for count in (0, 1):  # nothing is moved
        FirstPositions(careful, state, "clicks", count=count).see_that_stores_fit(BROKER, "new")
    FirstPositions(careful, state, "clicks", count=2).see_that_stores_fit(BROKER, "old")
    FirstPositions(settings, state, "clicks", count=2).see_that_stores_fit(BROKER, "new")
    with pytest.raises(RalmError, match=r"its id is new, and was old.*Nothing was changed"):
        FirstPositions(careful, state, "clicks", count=2).see_that_stores_fit(BROKER, "new")


@pytest.mark.parametrize("where", ["candidates", "clicks"])
def test_candidates_made_anew_are_newer_than_all_that_was_said_before(settings: Settings, where: str) -> None:
    """By their offsets too, which decide which of them are forgotten where there are too many."""
    path, said = Path(settings.state_dir) / "seeds" / "00000", {"a": 11, "b": 12, "c": 13}
    with closing(SeedStore.open(path, topic="clicks", partition=0, capacity=9)) as store:
        entries = {item: CandidateEntry(FOR_EVER, offset) for item, offset in said.items()}
        store.write(Changes(candidates=dict(entries)), position=15, candidates=14, candidates_mark=OLD)
    positions = FirstPositions(settings, look_into_state_dir(Path(settings.state_dir)), "clicks")
    for kind in ("clicks", "candidates"):
        positions.begin(kind, BROKER, 0, "new" if kind == where else "old")
    positions.fix([0])
    with closing(SeedStore.inspect(path)) as store:
        offsets = {item: entry.offset for item, entry in store.candidates()}
        known = CandidateRegistry(store.candidates(), 3)
    assert offsets == (said if where == "clicks" else {"a": -3, "b": -2, "c": -1})
    if where == "candidates":
        assert known.apply(CandidateChange(0, "d", False, None)) == {"d": CandidateEntry(FOR_EVER, 0), "a": None}


def test_a_store_of_another_topic_is_said_and_read_once_the_name_is_set_back(
    settings: Settings,
) -> None:
    state = look_into_state_dir(Path(settings.state_dir))
    for rebuild in ("complete", "partial"):
        positions = FirstPositions(settings.model_copy(update={"rebuild": rebuild}), state, "ralm.clicks")
        (said,) = positions.refusals("clicks", BROKER, [0], "new")
        assert "set it back" in said
        assert "--rebuild" not in said
    assert fixed(settings, "old") == (15, {"never": 0, "once": 7000, "sent": 7000, "dropped": 8500})


def test_what_the_group_knows_of_a_growth_is_noted_where_nothing_else_does(tmp_path: Path) -> None:
    group = Facts(0, 20, 12, OLD, 1000, had=1)
    nowhere = tmp_path / "nowhere"
    for topic_id, noted, first_count in (("new", [], 2), ("old", [1], 1)):
        positions = FirstPositions(Settings(state_dir=str(nowhere)), open_state_dir(nowhere), "clicks", count=2)
        positions.note_count_before(group, [0, 1], topic_id)
        assert (noted_counts(nowhere), positions.first_count) == (noted, first_count)
    nobody = tmp_path / "nobody"
    emitted = FirstPositions(Settings(state_dir=str(nobody)), open_state_dir(nobody), "clicks", count=2)
    emitted.emitted_count = lambda: 1
    emitted.note_count_before(Facts(0, 20), [0, 1], "old")
    assert (noted_counts(nobody), emitted.first_count) == ([1], 1)
    known = tmp_path / "known"
    note_partition_count(known, 2)
    positions = FirstPositions(Settings(state_dir=str(known)), look_into_state_dir(known), "clicks", count=2)
    positions.note_count_before(group, [0, 1], "old")
    assert (noted_counts(known), positions.first_count) == ([2], 2)
