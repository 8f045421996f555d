"""Items follow their clicks to the partitions of a topic that has grown."""

import errno
import os
import shutil
from contextlib import closing, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from store_history import uninitialised

from flows.seed_sets import repartition
from flows.seed_sets.candidates import CandidateRegistry
from flows.seed_sets.keeper_state import OpenWork
from flows.seed_sets.partitioners import PARTITIONERS, crc32, murmur2
from flows.seed_sets.repartition import SetRules, follow_partitions
from flows.support.errors import RalmError
from ralm.seed_set import SeedSet, WindowClicks
from state.directory import begun_partitions, moved_positions, note_begun, partition_counts, write_format
from state.store.meta import NO_MARK, TopicMark
from state.store.seed_store import CandidateEntry, Changes, ItemRecord, SeedStore, StoreError

RULES = SetRules(100)
NAMES = [f"item-{number}" for number in range(60)]


def seeds_of(name: str) -> SeedSet:
    n = 1 + crc32(name.encode(), 7)
    return SeedSet(np.arange(n, dtype=np.uint64), np.arange(n) + 1000)


def fill(state: Path, placed: dict[str, int], partitions: int) -> None:
    for partition in range(partitions):
        mine = [name for name, place in placed.items() if place == partition]
        store = SeedStore.open(state / "seeds" / f"{partition:05d}", topic="clicks", partition=partition, capacity=100)
        changes = Changes(
            seeds=[(name, seeds_of(name)) for name in mine],
            items={name: ItemRecord(2000, len(seeds_of(name))) for name in mine},
            candidates={name: CandidateEntry(5000) for name in mine[:2]},
        )
        store.write(changes, position=50 + partition, model_version="m")
        store.close()


def found(state: Path) -> dict[str, tuple[int, list[int], bool]]:
    result: dict[str, tuple[int, list[int], bool]] = {}
    for path in sorted((state / "seeds").iterdir()):
        store = SeedStore.inspect(path)
        listed = dict(store.candidates())
        for name, _ in store.items():
            assert name not in result
            result[name] = (store.meta.partition, store.seeds(name).times.tolist(), name in listed)
        assert store.unacked_tombstones() == []
        store.close()
    return result


@pytest.mark.parametrize("partitioner", PARTITIONERS)
def test_every_item_is_moved_home_with_its_seeds_and_candidate_entry(tmp_path: Path, partitioner: str) -> None:
    choose = PARTITIONERS[partitioner]
    fill(tmp_path, {name: choose(name.encode(), 4) for name in NAMES}, 4)
    before = found(tmp_path)
    follow_partitions(tmp_path, "clicks", 6, RULES)
    after = found(tmp_path)
    assert {name: place for name, (place, _, _) in after.items()} == {n: choose(n.encode(), 6) for n in NAMES}
    assert {name: rest for name, (_, *rest) in after.items()} == {name: rest for name, (_, *rest) in before.items()}
    assert max(place for place, _, _ in after.values()) >= 4
    moved = moved_positions(tmp_path)
    for partition, position in moved.items():
        with closing(SeedStore.inspect(tmp_path / "seeds" / f"{partition:05d}")) as store:
            assert store.position == position > 0, "an older copy has read less, and lacks what came"
    follow_partitions(tmp_path, "clicks", 6, RULES)  # as after a crash: nothing more to do
    follow_partitions(tmp_path, "clicks", 9, RULES)  # and it may grow again
    assert {name: place for name, (place, _, _) in found(tmp_path).items()} == {n: choose(n.encode(), 9) for n in NAMES}


def test_the_models_whose_centroids_are_in_the_topic_are_remembered(tmp_path: Path) -> None:
    choose = PARTITIONERS["crc32"]
    fill(tmp_path, {name: choose(name.encode(), 4) for name in NAMES}, 4)
    path = tmp_path / "seeds" / "00000"
    with closing(SeedStore.open(path, topic="clicks", partition=0, capacity=100)) as store:
        store.write(Changes(), position=store.position, model_version="n", older_versions=("m", "l"))
    follow_partitions(tmp_path, "clicks", 6, RULES)
    known = {}
    for path in sorted((tmp_path / "seeds").iterdir()):
        with closing(SeedStore.inspect(path)) as store:
            known[store.meta.partition] = {store.meta.model_version, *store.meta.older_versions} - {""}
    assert known[0] == {"n", "m", "l"}
    assert all("m" in versions for versions in known.values())
    assert any(versions == {"n", "m", "l"} for partition, versions in known.items() if partition)


def test_the_seeds_of_both_partitions_are_united(tmp_path: Path) -> None:
    choose = PARTITIONERS["crc32"]
    name = next(n for n in NAMES if choose(n.encode(), 2) != choose(n.encode(), 3))
    fill(tmp_path, {name: choose(name.encode(), 2)}, 2)
    write_format(tmp_path, partitions=[2])
    home = choose(name.encode(), 3)
    store = SeedStore.open(tmp_path / "seeds" / f"{home:05d}", topic="clicks", partition=home, capacity=100)
    late = SeedSet(np.array([900], np.uint64), np.array([9000]))
    store.write(Changes(seeds=[(name, late)], items={name: ItemRecord(9000, 1)}), position=3, model_version="m")
    store.close()
    follow_partitions(tmp_path, "clicks", 3, RULES, "crc32")
    assert found(tmp_path)[name][:2] == (home, [*seeds_of(name).times.tolist(), 9000])


def test_without_a_partitioner_that_explains_it_nothing_is_moved(tmp_path: Path) -> None:
    fill(tmp_path, {name: number % 4 for number, name in enumerate(NAMES)}, 4)
    before = found(tmp_path)
    follow_partitions(tmp_path, "clicks", 6, RULES)
    assert found(tmp_path) == before


@pytest.mark.parametrize("partitioner", PARTITIONERS)
def test_after_a_single_partition_the_operator_must_say_which_partitioner_it_is(
    tmp_path: Path, partitioner: str
) -> None:
    fill(tmp_path, dict.fromkeys(NAMES, 0), 1)
    before = found(tmp_path)
    with pytest.raises(RalmError, match="--partitioner crc32"):
        follow_partitions(tmp_path, "clicks", 3, RULES)
    assert found(tmp_path) == before
    follow_partitions(tmp_path, "clicks", 3, RULES, partitioner)
    homes = {name: PARTITIONERS[partitioner](name.encode(), 3) for name in NAMES}
    assert {name: place for name, (place, _, _) in found(tmp_path).items()} == homes
    follow_partitions(tmp_path, "clicks", 3, RULES)  # now they tell


def test_nothing_is_looked_at_while_the_topic_is_as_it_was(tmp_path: Path) -> None:
    fill(tmp_path, {name: number % 4 for number, name in enumerate(NAMES)}, 4)
    before = found(tmp_path)
    for _ in range(2):
        follow_partitions(tmp_path, "clicks", 4, RULES)
        assert partition_counts(tmp_path) == [4]
        assert found(tmp_path) == before
    follow_partitions(tmp_path, "clicks", 6, RULES)
    assert partition_counts(tmp_path) == [4, 6]


def test_stores_that_a_start_was_stopped_from_making_are_no_obstacle(tmp_path: Path) -> None:
    choose = PARTITIONERS["crc32"]
    fill(tmp_path, {name: choose(name.encode(), 1) for name in NAMES}, 1)
    uninitialised(tmp_path / "seeds" / "00001", 1)
    follow_partitions(tmp_path, "clicks", 3, RULES, "crc32")
    assert {name: place for name, (place, _, _) in found(tmp_path).items()} == {n: choose(n.encode(), 3) for n in NAMES}


@pytest.mark.parametrize("before", [1, 4])
def test_without_a_note_the_stores_tell_how_many_partitions_there_were(tmp_path: Path, before: int) -> None:
    choose = PARTITIONERS["crc32"]
    fill(tmp_path, {name: choose(name.encode(), before) for name in NAMES}, before)
    follow_partitions(tmp_path, "clicks", 6, RULES, "crc32" if before == 1 else "auto")
    assert {name: place for name, (place, _, _) in found(tmp_path).items()} == {n: choose(n.encode(), 6) for n in NAMES}
    assert partition_counts(tmp_path) == [before, 6]


def test_a_move_that_was_cut_off_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    choose = PARTITIONERS["crc32"]
    fill(tmp_path, {name: choose(name.encode(), 2) for name in NAMES}, 2)
    move, moved = repartition._move, []

    def cut_off(*arguments: Any) -> None:
        if len(moved) == 3:
            raise StoreError("cut off")
        moved.append(move(*arguments))

    with monkeypatch.context() as patch:
        patch.setattr(repartition, "_move", cut_off)
        with pytest.raises(RalmError, match="cut off"):
            follow_partitions(tmp_path, "clicks", 7, RULES)
    follow_partitions(tmp_path, "clicks", 7, RULES)
    assert {name: place for name, (place, _, _) in found(tmp_path).items()} == {n: choose(n.encode(), 7) for n in NAMES}
    assert partition_counts(tmp_path) == [2, 7]


def test_items_at_home_stay_there_though_a_first_start_was_cut_off(tmp_path: Path) -> None:
    names = [n for n in map(str, range(99)) if murmur2(n.encode(), 4) == crc32(n.encode(), 2) != crc32(n.encode(), 4)]
    names = names[:5]
    fill(tmp_path, {name: murmur2(name.encode(), 4) for name in names}, 2)  # the stores of 2 and 3 were not made
    before = found(tmp_path)
    follow_partitions(tmp_path, "clicks", 4, RULES)
    assert len(before) == 5
    assert found(tmp_path) == before


@pytest.mark.parametrize("count", [1, 3])
def test_too_few_items_to_tell_are_not_moved_by_a_guess(tmp_path: Path, count: int) -> None:
    """They lie by chance where the other partitioner had put them, or where it puts them now."""
    here = [n for n in NAMES if crc32(n.encode(), 4) == murmur2(n.encode(), 6) != crc32(n.encode(), 6)][:count]
    fill(tmp_path, {name: crc32(name.encode(), 4) for name in here}, 4)
    before = found(tmp_path)
    assert len(before) == count
    with pytest.raises(RalmError, match=r"do not show how its producers choose.*--partitioner other"):
        follow_partitions(tmp_path, "clicks", 6, RULES)
    assert found(tmp_path) == before
    follow_partitions(tmp_path, "clicks", 6, RULES, "crc32")
    assert {name: place for name, (place, _, _) in found(tmp_path).items()} == {n: crc32(n.encode(), 6) for n in here}


@pytest.mark.parametrize("partitioner", PARTITIONERS)
def test_items_come_home_though_the_topic_has_grown_twice_between_two_starts(tmp_path: Path, partitioner: str) -> None:
    choose, names = PARTITIONERS[partitioner], NAMES[:20]
    first = {name: choose(name.encode(), 4) for name in names}
    meanwhile = {n: home for n in names if (home := choose(n.encode(), 5)) < 4 and int(n[5:]) % 3}  # clicked in between
    fill(tmp_path, first | meanwhile, 4)
    follow_partitions(tmp_path, "clicks", 7, RULES)
    assert {name: place for name, (place, _, _) in found(tmp_path).items()} == {n: choose(n.encode(), 7) for n in names}


def test_items_of_a_partitioner_of_their_own_stay_where_they_are_once_that_is_said(tmp_path: Path) -> None:
    name = next(n for n in NAMES if crc32(n.encode(), 4) != crc32(n.encode(), 6))
    fill(tmp_path, {name: crc32(name.encode(), 4)}, 4)
    with pytest.raises(RalmError, match="1 item is too few to tell"):
        follow_partitions(tmp_path, "clicks", 6, RULES)
    before = found(tmp_path)
    follow_partitions(tmp_path, "clicks", 6, RULES, "other")
    assert found(tmp_path) == before
    with pytest.raises(RalmError, match="partitioner is other"):
        follow_partitions(tmp_path, "clicks", 3, RULES, "other")
    assert found(tmp_path) == before


def test_stores_of_a_topic_with_fewer_partitions_know_nothing_of_its_offsets(tmp_path: Path) -> None:
    """Wherever the start that moved their items was cut off: no message may be taken for one that was read before."""
    fill(tmp_path, {name: crc32(name.encode(), 4) for name in NAMES}, 4)
    mark = TopicMark("", 3, 1000)
    for number in range(4):
        path = tmp_path / "seeds" / f"{number:05d}"
        with closing(SeedStore.open(path, topic="clicks", partition=number, capacity=100)) as store:
            marks = {"clicks_mark": mark, "candidates_mark": mark, "candidates": 7, "resume_candidates": 7}
            store.write(Changes(), position=60, resume=60, **marks)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repartition, "forget_partitions", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            follow_partitions(tmp_path, "clicks", 2, RULES)
    assert partition_counts(tmp_path) == [2, 4]
    follow_partitions(tmp_path, "clicks", 2, RULES)
    for number in range(2):
        with closing(SeedStore.inspect(tmp_path / "seeds" / f"{number:05d}")) as store:
            meta = store.meta
            assert (meta.position, meta.resume, meta.candidates, meta.resume_candidates) == (0, -1, 0, -1)
            assert (meta.clicks_mark, meta.candidates_mark) == (NO_MARK, NO_MARK)
    assert len(found(tmp_path)) == len(NAMES)


def test_what_was_said_of_moved_items_is_older_than_what_their_new_partition_says(tmp_path: Path) -> None:
    names = [n for n in NAMES if crc32(n.encode(), 4) == 0 != crc32(n.encode(), 6)]
    fill(tmp_path, dict.fromkeys(names, 0), 1)
    entries = {name: CandidateEntry(5000 + number, 100 + number) for number, name in enumerate(names)}
    with closing(SeedStore.open(tmp_path / "seeds" / "00000", topic="clicks", partition=0, capacity=100)) as store:
        store.write(Changes(candidates=dict(entries)), position=60, candidates=200)
    for count in (6, 9):
        follow_partitions(tmp_path, "clicks", count, RULES, "crc32")
        offsets = {}
        for path in sorted((tmp_path / "seeds").iterdir()):
            with closing(SeedStore.inspect(path)) as store:
                offsets |= {name: entry for name, entry in store.candidates() if name in entries}
        assert all(entry.offset < 0 for entry in offsets.values())
        assert sorted(offsets, key=lambda name: offsets[name].offset) == names
        assert {n: e.expires_at for n, e in offsets.items()} == {n: e.expires_at for n, e in entries.items()}


def test_items_go_where_their_clicks_come_now_not_where_they_came_with_the_most_partitions(tmp_path: Path) -> None:
    fill(tmp_path, {name: crc32(name.encode(), 6) for name in NAMES}, 6)
    write_format(tmp_path, partitions=[4, 6])
    follow_partitions(tmp_path, "clicks", 5, RULES)  # of a topic that was made anew
    assert {name: place for name, (place, _, _) in found(tmp_path).items()} == {n: crc32(n.encode(), 5) for n in NAMES}


@pytest.mark.parametrize("partitioner", PARTITIONERS)
def test_of_a_topic_with_fewer_partitions_all_comes_home_and_the_stores_that_are_left_over_go(
    tmp_path: Path, partitioner: str
) -> None:
    choose = PARTITIONERS[partitioner]
    fill(tmp_path, {name: choose(name.encode(), 4) for name in NAMES}, 4)
    note_begun(tmp_path, "clicks", range(4))
    before = found(tmp_path)
    follow_partitions(tmp_path, "clicks", 3, RULES)
    after = found(tmp_path)
    assert {name: place for name, (place, _, _) in after.items()} == {n: choose(n.encode(), 3) for n in NAMES}
    assert {name: rest for name, (_, *rest) in after.items()} == {name: rest for name, (_, *rest) in before.items()}
    assert sorted(path.name for path in (tmp_path / "seeds").iterdir()) == ["00000", "00001", "00002"]
    assert partition_counts(tmp_path) == [3], "the state knows three now, and takes them for all there were"
    assert begun_partitions(tmp_path, "clicks") == {0, 1, 2}
    follow_partitions(tmp_path, "clicks", 5, RULES)
    assert {name: place for name, (place, _, _) in found(tmp_path).items()} == {n: choose(n.encode(), 5) for n in NAMES}


@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_start_that_is_cut_off_while_it_removes_stores_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    fill(tmp_path, {name: crc32(name.encode(), 4) for name in NAMES}, 4)
    remove, removed = shutil.rmtree, []

    def cut_off(path: Path) -> None:
        if len(removed) == after - 1:
            (path / "CURRENT").unlink(missing_ok=True)
            msg = "cut off"
            raise OSError(msg)
        removed.append(remove(path))

    with monkeypatch.context() as patch:
        patch.setattr(repartition, "shutil", SimpleNamespace(rmtree=cut_off))
        with pytest.raises(RalmError, match="cut off") if after < 3 else nullcontext():
            follow_partitions(tmp_path, "clicks", 2, RULES)
    follow_partitions(tmp_path, "clicks", 2, RULES)
    assert {name: place for name, (place, _, _) in found(tmp_path).items()} == {n: crc32(n.encode(), 2) for n in NAMES}
    assert sorted(path.name for path in (tmp_path / "seeds").iterdir()) == ["00000", "00001"]


def test_fewer_partitions_are_refused_where_a_store_is_missing_or_nothing_tells_where_items_go(tmp_path: Path) -> None:
    fill(tmp_path, {name: crc32(name.encode(), 4) for name in NAMES}, 4)
    aside = (tmp_path / "seeds" / "00003").rename(tmp_path / "aside")
    before = found(tmp_path)
    write_format(tmp_path, partitions=[4])
    with pytest.raises(RalmError, match=r"has 2 partitions, and had 4: the stores of partitions 3 are not in this"):
        follow_partitions(tmp_path, "clicks", 2, RULES)
    assert found(tmp_path) == before
    aside.rename(tmp_path / "seeds" / "00003")
    follow_partitions(tmp_path, "clicks", 2, RULES)
    assert len(found(tmp_path)) == len(NAMES)
    shutil.copytree(tmp_path, copy := tmp_path / "copy")  # as the refusal says, for another process
    follow_partitions(copy, "clicks", 2, RULES)
    assert found(copy) == found(tmp_path)
    odd = tmp_path / "odd"
    fill(odd, {name: number % 4 for number, name in enumerate(NAMES)}, 4)
    before = found(odd)
    with pytest.raises(RalmError, match="nothing shows where its producers send an item"):
        follow_partitions(odd, "clicks", 2, RULES)
    assert found(odd) == before


def test_a_tombstone_that_was_not_delivered_moves_with_its_item(tmp_path: Path) -> None:
    fill(tmp_path, {name: crc32(name.encode(), 4) for name in NAMES}, 4)
    name = next(n for n in NAMES if crc32(n.encode(), 4) == 3)
    dropped = next(n for n in map(str, range(99)) if crc32(n.encode(), 4) == 3)
    with closing(SeedStore.open(tmp_path / "seeds" / "00003", topic="clicks", partition=3, capacity=100)) as store:
        gone = {name: ItemRecord(2000, 3, 7001, withdrawn=True)}
        store.write(Changes(withdrawn=[name, dropped], items=gone), position=60)
    follow_partitions(tmp_path, "clicks", 3, RULES)
    unacked = {}
    for path in sorted((tmp_path / "seeds").iterdir()):
        with closing(SeedStore.inspect(path)) as store:
            unacked |= dict.fromkeys(store.unacked_tombstones(), store.meta.partition)
    assert unacked == {n: crc32(n.encode(), 3) for n in (name, dropped)}


def test_what_is_emitted_of_a_moved_item_next_is_later_than_what_may_have_been_sent(tmp_path: Path) -> None:
    name = next(n for n in NAMES if crc32(n.encode(), 2) != crc32(n.encode(), 3))
    fill(tmp_path, {name: crc32(name.encode(), 2)}, 2)
    home = crc32(name.encode(), 2)
    none = np.zeros(0, np.int64)
    with closing(
        SeedStore.open(tmp_path / "seeds" / f"{home:05d}", topic="clicks", partition=home, capacity=9)
    ) as store:
        work = OpenWork(9000, 8000, None, ([], none, none), {name: 8000}, 8500)
        store.write(Changes(items={name: ItemRecord(2000, 1, 7000)}), position=60, work=work.encode())
    follow_partitions(tmp_path, "clicks", 3, RULES, "crc32")
    there = tmp_path / "seeds" / f"{crc32(name.encode(), 3):05d}"
    with closing(SeedStore.inspect(there)) as store:
        assert dict(store.items())[name] == ItemRecord(2000, 1, 8001, unsure=True)
        assert OpenWork.decode(store.work or b"").dropped_until == 8501


def test_a_start_that_cannot_write_the_note_leaves_it_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, {}, 4)
    follow_partitions(tmp_path, "clicks", 6, RULES)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        follow_partitions(tmp_path, "clicks", 6, RULES)  # writes nothing where nothing has changed
        with pytest.raises(RalmError, match=r"cannot be moved.*No space left.*start again"):
            follow_partitions(tmp_path, "clicks", 9, RULES)
    assert partition_counts(tmp_path) == [4, 6]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["format.json", "partitions.lock", "seeds"]


def test_a_note_that_cannot_be_read_is_refused_in_words(tmp_path: Path) -> None:
    fill(tmp_path, {}, 2)
    (tmp_path / "format.json").mkdir()
    with pytest.raises(RalmError, match=r"format\.json cannot be read"):
        follow_partitions(tmp_path, "clicks", 2, RULES)
    (tmp_path / "partitions.lock").unlink()
    (tmp_path / "partitions.lock").mkdir()
    with pytest.raises(RalmError, match=r"partitions\.lock.*start again"):
        follow_partitions(tmp_path, "clicks", 2, RULES)


NAME = next(name for name in NAMES if crc32(name.encode(), 3) != 0)
HOME = crc32(NAME.encode(), 3)


def moved(state: Path, changes: Changes, work: OpenWork | None = None, **meta: Any) -> SeedStore:
    """An item moves from a single partition; the store of its new one."""
    store = SeedStore.open(state / "seeds" / "00000", topic="clicks", partition=0, capacity=100)
    said = {"position": 50, "model_version": "m", **meta}
    store.write(changes, work=None if work is None else work.encode(), **said)
    store.close()
    write_format(state, partitions=[1])
    follow_partitions(state, "clicks", 3, RULES, "crc32")
    return SeedStore.inspect(state / "seeds" / f"{HOME:05d}")


def test_what_was_said_elsewhere_is_older_than_what_is_said_here(tmp_path: Path) -> None:
    store = moved(tmp_path, Changes(candidates={NAME: CandidateEntry(5000, 70)}), candidates=80)
    assert dict(store.candidates()) == {NAME: CandidateEntry(5000, -10)}
    store.close()
    store = SeedStore.open(tmp_path / "seeds" / f"{HOME:05d}", topic="clicks", partition=HOME, capacity=100)
    mine = next(name for name in NAMES if name != NAME and crc32(name.encode(), 3) == HOME)
    store.write(Changes(candidates={mine: CandidateEntry(6000, 0)}), position=0)
    registry = CandidateRegistry(store.candidates(), most=1)
    store.close()
    assert registry.forget() == [NAME]
    # A store that was lost, and read anew what the topic said before it grew, undoes no takedown.
    again = SeedStore.open(tmp_path / "seeds" / "00000", topic="clicks", partition=0, capacity=100)
    again.write(Changes(candidates={mine: CandidateEntry(9000, 80)}), position=50)
    again.close()
    follow_partitions(tmp_path, "clicks", 3, RULES, "crc32")
    store = SeedStore.inspect(tmp_path / "seeds" / f"{HOME:05d}")
    assert dict(store.candidates())[mine] == CandidateEntry(6000, 0)
    store.close()


def test_a_tombstone_that_was_not_delivered_goes_with_its_item(tmp_path: Path) -> None:
    record = ItemRecord(2000, 3, 5000, withdrawn=True)
    gone = Changes(seeds=[(NAME, seeds_of(NAME))], items={NAME: record}, withdrawn=[NAME])
    store = moved(tmp_path, gone)
    assert store.unacked_tombstones() == [NAME]
    store.close()
    source = SeedStore.inspect(tmp_path / "seeds" / "00000")
    assert source.unacked_tombstones() == []
    source.close()


def test_what_was_said_of_an_item_and_is_still_to_be_done_goes_with_it(tmp_path: Path) -> None:
    other = next(name for name in NAMES if crc32(name.encode(), 3) == 0)
    both = {name: ItemRecord(2000, 3, 3000) for name in (NAME, other)}
    dirty = ([NAME, other], np.array([9000, 7000]), np.array([9000, 8000]))
    work = OpenWork(6500, 6000, 6600, dirty, {NAME: 5000, other: 4000}, 8000)
    changes = Changes(seeds=[(name, seeds_of(name)) for name in both], items=both)
    store = moved(tmp_path, changes, work, older_versions=("l",))
    assert store.work is not None
    found = OpenWork.decode(store.work)
    # A partition that nothing has come to yet goes on with the clock of the one that its items come from.
    assert (found.newest, found.closed, found.heard) == (6500, 6000, 6600)
    assert (found.dirty[0], found.dirty[1].tolist(), found.pending) == ([NAME], [9000], {NAME: 5000})
    assert found.dropped_until == 8001
    record = dict(store.items())[NAME]
    assert record.emitted == 5001  # more than what may have been sent, since offsets begin anew
    assert record.unsure
    assert store.meta.older_versions == ("m", "l")
    store.close()


def test_what_is_to_be_done_of_two_partitions_is_united() -> None:
    one = OpenWork(6500, 6000, 6600, (["a", "b"], np.array([7000, 8000]), np.array([7000, 9000])), {"a": 5000}, 100)
    other = OpenWork(4500, 4000, None, (["a"], np.array([5000]), np.array([5000])), {"a": 6000}, 200)
    found = one.handed_over(["a"], other)
    assert (found.newest, found.closed, found.heard, found.dropped_until) == (4500, 4000, None, 6000)
    assert (found.dirty[0], found.dirty[1].tolist(), found.pending) == (["a", "a"], [5000, 7000], {"a": 6000})


@pytest.mark.parametrize(("items", "clock"), [(["a"], (6500, 6000, 6600)), ([], (None, 0, None))])
def test_a_partition_without_clicks_goes_on_with_the_clock_of_its_items(
    items: list[str], clock: tuple[int | None, int, int | None]
) -> None:
    nothing = (list[str](), np.zeros(0, np.int64), np.zeros(0, np.int64))
    one = OpenWork(6500, 6000, 6600, nothing, {}, 100)
    for other in (None, OpenWork(None, 0, None, nothing, {})):  # not read yet, and read while it was empty
        found = one.handed_over(items, other)
        assert (found.newest, found.closed, found.heard) == clock
        assert found.dropped_until == 6000


def test_closed_windows_are_folded_in_before_their_item_moves(tmp_path: Path) -> None:
    """A click of the other partition, whose clock is behind, is no earlier than those."""
    seeds = {end: SeedSet(np.array([end], np.uint64), np.array([end - 500])) for end in (6000, 7000)}
    windows = [(NAME, WindowClicks(end, end, end - 500, each)) for end, each in seeds.items()]
    nothing = (list[str](), np.zeros(0, np.int64), np.zeros(0, np.int64))
    work = OpenWork(6500, 6000, 6600, nothing, {})
    store = moved(tmp_path, Changes(windows=windows, items={NAME: ItemRecord(6500, 2)}), work)
    assert [clicks.closes for clicks in store.open_windows(NAME)] == [7000]
    assert store.seeds(NAME, until=0).users.tolist() == [6000]
    store.close()


def test_what_a_gap_has_ended_stays_so_where_its_item_moves(tmp_path: Path) -> None:
    users = {900: 1, 5900: 2}  # the second begins a set anew
    seeds = {time: SeedSet(np.array([user], np.uint64), np.array([time])) for time, user in users.items()}
    windows = [(NAME, WindowClicks(time + 100, time + 100, time, each)) for time, each in seeds.items()]
    nothing = (list[str](), np.zeros(0, np.int64), np.zeros(0, np.int64))
    work = OpenWork(6000, 6000, 6000, nothing, {}).encode()
    with closing(SeedStore.open(tmp_path / "seeds" / "00000", topic="clicks", partition=0, capacity=9)) as store:
        store.write(Changes(windows=windows, items={NAME: ItemRecord(5900, 1)}), position=2, work=work)
    write_format(tmp_path, partitions=[1])
    follow_partitions(tmp_path, "clicks", 3, SetRules(9, 1000), "crc32")
    with closing(SeedStore.inspect(tmp_path / "seeds" / f"{HOME:05d}")) as store:
        assert (store.folded(NAME).since, store.seeds(NAME).users.tolist()) == (4900, [2])


def test_a_gap_that_no_window_has_closed_yet_ends_nothing_where_a_move_is_done_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The move was cut off between its two writes, so that the item's open windows are there already."""
    times = {900: 6500, 5900: 7000}  # both windows are open, and the second ends the set of the first
    one = {time: SeedSet(np.array([time], np.uint64), np.array([time])) for time in times}
    windows = [(NAME, WindowClicks(closes, time + 100, time, one[time])) for time, closes in times.items()]
    nothing = (list[str](), np.zeros(0, np.int64), np.zeros(0, np.int64))
    work = OpenWork(6000, 6000, 6000, nothing, {}).encode()
    with closing(SeedStore.open(tmp_path / "seeds" / "00000", topic="clicks", partition=0, capacity=9)) as store:
        store.write(Changes(windows=windows, items={NAME: ItemRecord(5900, 0)}), position=2, work=work)
    write_format(tmp_path, partitions=[1])
    write = SeedStore.write

    def cut_off(store: SeedStore, changes: Changes, **beside: Any) -> None:
        if changes.moved:
            raise StoreError("cut off")
        write(store, changes, **beside)

    with monkeypatch.context() as patch:
        patch.setattr(SeedStore, "write", cut_off)
        with pytest.raises(RalmError, match="cut off"):
            follow_partitions(tmp_path, "clicks", 3, SetRules(9, 1000), "crc32")
    follow_partitions(tmp_path, "clicks", 3, SetRules(9, 1000), "crc32")
    with closing(
        SeedStore.open(tmp_path / "seeds" / f"{HOME:05d}", topic="clicks", partition=HOME, capacity=9, max_gap=1000)
    ) as store:
        assert store.seeds(NAME, until=6500).users.tolist() == [900]
        assert store.seeds(NAME).users.tolist() == [5900]


def test_a_gap_ends_a_set_whose_parts_come_from_two_stores(tmp_path: Path) -> None:
    """A store that was filled anew had folded in a window that is open still where its item had moved to before."""
    old, new = (SeedSet(np.array([user], np.uint64), np.array([time])) for user, time in ((1, 900), (2, 5900)))
    nothing = (list[str](), np.zeros(0, np.int64), np.zeros(0, np.int64))
    open_still = [(NAME, WindowClicks(6000, 6000, 5900, new))]
    with closing(
        SeedStore.open(tmp_path / "seeds" / f"{HOME:05d}", topic="clicks", partition=HOME, capacity=9)
    ) as store:
        there = Changes(seeds=[(NAME, old)], windows=open_still, items={NAME: ItemRecord(5900, 1)})
        store.write(there, position=2, work=OpenWork(5500, 5500, 5500, nothing, {}).encode())
    work = OpenWork(9000, 9000, 9000, nothing, {})
    moved(tmp_path, Changes(seeds=[(NAME, new)], since={NAME: 4900}, items={NAME: ItemRecord(5900, 1)}), work).close()
    path = tmp_path / "seeds" / f"{HOME:05d}"
    with closing(SeedStore.open(path, topic="clicks", partition=HOME, capacity=9, max_gap=1000)) as store:
        assert store.seeds(NAME).users.tolist() == [2]
        assert store.merged_seeds(NAME, closed=9000, until=9000).seeds.users.tolist() == [2]


def test_what_an_item_says_next_is_later_than_what_its_new_partition_said_of_it_without_having_it(
    tmp_path: Path,
) -> None:
    nothing = (list[str](), np.zeros(0, np.int64), np.zeros(0, np.int64))
    path = tmp_path / "seeds" / f"{HOME:05d}"
    with closing(SeedStore.open(path, topic="clicks", partition=HOME, capacity=9)) as store:
        store.write(Changes(), position=2, work=OpenWork(5500, 5500, 5500, nothing, {}, 8000).encode())
    store = moved(tmp_path, Changes(items={NAME: ItemRecord(2000, 1, 7000)}), OpenWork(6500, 6000, 6600, nothing, {}))
    assert dict(store.items())[NAME].emitted == 8001
    store.close()


@pytest.mark.parametrize(
    ("names", "partitioner", "known"), [(NAMES[:40], "auto", True), ([], "auto", False), ([], "crc32", True)]
)
def test_where_an_item_is_at_home_is_known_where_it_was_said_or_where_items_lie_shows_it(
    tmp_path: Path, names: list[str], partitioner: str, known: bool
) -> None:
    """Items that lie in no store have a home too; a store that is lost leaves nothing that would show it."""
    fill(tmp_path, {name: crc32(name.encode(), 4) for name in names}, 4)
    write_format(tmp_path, partitions=[4])
    home = follow_partitions(tmp_path, "clicks", 6, RULES, partitioner)
    assert (home is not None) == known
    assert home is None or [home(name) for name in NAMES] == [crc32(name.encode(), 6) for name in NAMES]
