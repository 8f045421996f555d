"""Brings items home after the clicks topic has another number of partitions, so that many keys' clicks go elsewhere.

An item's seeds are in the store of the partition to which its clicks went. So before the flow continues, each item is
moved to the store of the partition to which its clicks go now. Which one that is, is known once a partitioner explains
where all items are so far (``item_places.py``).

A topic that grows stays the same; one with fewer partitions is another topic of the same name. Then the stores without
a partition are removed, once everything in them has moved.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import NamedTuple, TypeAlias

from flows.seed_sets.item_places import ItemPlaces
from flows.seed_sets.keeper_state import ForNewOffsets, OpenWork, said_before
from flows.seed_sets.partitioners import PARTITIONERS, Partitioner
from flows.support.errors import RalmError
from flows.support.logs import get_logger
from flows.support.text import counted
from state.directory import STORES, forget_partitions, note_moved, note_partition_count, store_path
from state.owner_lock import file_lock
from state.store.meta import NO_MARK, NOTHING_SETTLED
from state.store.rocks import holds_data
from state.store.seed_store import Changes, ItemRecord, NothingWrittenError, SeedStore, StoreError

log = get_logger(__name__)

_BATCH_SEEDS = 2_000_000
"""Seeds that are moved in one write."""
_REMOVED = ".removed-"
"""Begins the name of a store that is being removed."""
_WAY_OUT = "Look for a full or failing disk and start again once it is fixed: nothing is lost."


Home: TypeAlias = Callable[[str], int]
"""The partition of an item's clicks."""


class SetRules(NamedTuple):
    """What bounds a seed set.

    Attributes:
        capacity: N, the most seeds of an item.
        max_gap: the longest time between two clicks of a set, ms; 0: any.
    """

    capacity: int
    max_gap: int = 0


def follow_partitions(state_dir: Path, topic: str, now: int, rules: SetRules, partitioner: str = "auto") -> Home | None:
    """Note how many partitions the topic has, and move items to theirs if that has changed, now or earlier.

    It may be interrupted anywhere and run again. In a cluster the first process does it for
    all that share the directory.

    Args:
        state_dir: the state directory.
        topic: the clicks topic.
        now: its partitions now.
        rules: what bounds a seed set.
        partitioner: a key of ``PARTITIONERS``; ``auto`` is the one that explains where the items lie so far; ``other``:
            nobody knows where items belong now, and none is moved.

    Returns:
        The partition of an item's clicks; None where they always came to the same, or it is not known.

    Raises:
        RalmError: when a store, or the note of the counts, cannot be used, where the items lie does not tell which
            partitioner it is, or items cannot be moved out of stores whose partitions are no more.
    """
    seeds = state_dir / STORES
    home: Home | None = None
    try:
        with file_lock(state_dir / "partitions.lock"):
            counts = note_partition_count(state_dir, now)
            # From then on each start looks for items that are not at home.
            gone = counts[-1] > now
            if len(counts) > 1:
                home = _follow(seeds, topic, counts, now, rules, partitioner)
            if gone:
                # First the stores: once the count is forgotten, nothing else says that this is another topic.
                _begin_anew(seeds, topic, now, rules)
                forget_partitions(state_dir, now)
            if seeds.is_dir():
                _remove_stores(seeds, now)
    except StoreError as error:
        raise RalmError(str(error)) from error
    except OSError as error:
        msg = f"items cannot be moved to their partitions in {state_dir}: {error}. {_WAY_OUT}"
        raise RalmError(msg) from error
    return home


def _stores(seeds: Path) -> dict[int, Path]:
    return {int(path.name): path for path in sorted(seeds.iterdir()) if path.name.isdecimal() and len(path.name) == 5}


def _follow(seeds: Path, topic: str, counts: list[int], now: int, rules: SetRules, given: str) -> Home | None:
    """Move items home; where any item is at home then, if that is known."""
    items = {partition: _items(path) for partition, path in _stores(seeds).items()} if seeds.is_dir() else {}
    places = ItemPlaces(items, counts, now)
    home = _home(places, given)
    why_not = _bring_home(seeds, topic, places, rules, given) if seeds.is_dir() else ""
    if why_not and counts[-1] > now:
        msg = f"the clicks topic {topic!r} has {counted(now, 'partition')}, and had {counts[-1]}: {why_not}"
        raise RalmError(msg)
    if why_not:
        log.warning(f"the topic has grown, and {why_not}", topic=topic, partitions=now)
        return None
    return home


def _home(places: ItemPlaces, given: str) -> Home | None:
    """Where any item is at home, also one that is in no store; None if that is neither given nor proven."""
    partitioner = PARTITIONERS.get(given)
    if partitioner is None and given == "auto":
        partitioner = places.partitioner_of_all()
    if partitioner is None:
        return None
    found = partitioner
    return lambda item_id: found(item_id.encode(), places.now)


def _bring_home(seeds: Path, topic: str, places: ItemPlaces, rules: SetRules, given: str) -> str:
    """Move each item to its partition's store.

    Returns:
        Why none was moved; empty if they were.
    """
    items, counts, now = places.items, places.counts, places.now
    if given == "other":
        return "partitioner is other: items whose clicks go to another partition now begin from nothing there"
    partitioner = PARTITIONERS.get(given) or places.partitioner_of_these()
    if partitioner is None:
        return (
            "nothing shows where its producers send an item now: items whose clicks go to another partition would "
            "begin from nothing there. Start again with --partitioner crc32 or --partitioner murmur2, if it is one of "
            "these"
        )
    moves = _moves(items, partitioner, now)
    gone = counts[-1] > now
    lost = sorted(set(range(counts[-1] if gone else counts[0])) - set(items))
    if lost and (moves or gone):
        return (
            f"the stores of partitions {', '.join(map(str, lost))} are not in this state directory, so that no item is "
            "moved. Put the folders seeds/NNNNN of all partitions into one state directory, and start one process with "
            "it alone, without addresses; then give each process a copy of that directory"
        )
    # First, so that no move is without it; the moves themselves leave the positions as they are.
    note_moved(seeds.parent, _positions(seeds, {home for homes in moves.values() for home in homes}))
    for partition, homes in moves.items():
        for home, names in homes.items():
            _move(seeds, topic, (partition, home), names, rules)
    moved = sum(len(names) for homes in moves.values() for names in homes.values())
    log.info("items were moved to their partitions", topic=topic, partitions=now, items=moved)
    return ""


def _positions(seeds: Path, partitions: set[int]) -> dict[int, int]:
    """How far the stores of partitions have read; of those that have."""
    found = {}
    for partition in sorted(partitions):
        path = store_path(seeds.parent, partition)
        if holds_data(path):
            with suppress(NothingWrittenError), closing(SeedStore.inspect(path)) as store:
                found[partition] = store.position
    return {partition: position for partition, position in found.items() if position}


def _moves(items: Mapping[int, Sequence[str]], partitioner: Partitioner, now: int) -> dict[int, dict[int, list[str]]]:
    """The items that are not at home, by where they are and where they belong."""
    moves: dict[int, dict[int, list[str]]] = {}
    for partition, names in items.items():
        for name in names:
            home = partitioner(name.encode(), now)
            if home != partition:
                moves.setdefault(partition, {}).setdefault(home, []).append(name)
    return moves


def _begin_anew(seeds: Path, topic: str, now: int, rules: SetRules) -> None:
    """Have the stores say that nothing of the topics that are there now was read."""
    nothing_read = {"resume": NOTHING_SETTLED, "resume_candidates": NOTHING_SETTLED, "candidates": 0}
    of_no_topic = {"clicks_mark": NO_MARK, "candidates_mark": NO_MARK}
    for partition, path in _stores(seeds).items() if seeds.is_dir() else ():
        if partition >= now or not holds_data(path):
            continue
        with closing(_open(seeds, topic, partition, rules)) as store:
            if (store.position, store.meta.resume, store.meta.resume_candidates) == (
                0,
                NOTHING_SETTLED,
                NOTHING_SETTLED,
            ):
                continue
            kept = ForNewOffsets.of(store)
            work = None if kept.work is None else kept.work.encode()
            changes = Changes(items=kept.records, candidates=dict(said_before(store)))
            store.write(changes, position=0, work=work, **nothing_read, **of_no_topic)


def _open(seeds: Path, topic: str, partition: int, rules: SetRules) -> SeedStore:
    most, gap = rules
    return SeedStore.open(
        store_path(seeds.parent, partition), topic=topic, partition=partition, capacity=most, max_gap=gap
    )


def _remove_stores(seeds: Path, now: int) -> None:
    """Remove the stores of partitions that are no more, once nothing is in them; a start that was cut off too."""
    for partition, path in _stores(seeds).items():
        if partition >= now and not _items(path):
            path.rename(path.with_name(f"{_REMOVED}{path.name}"))  # half a store would be a damaged one
    for path in seeds.glob(f"{_REMOVED}*"):
        shutil.rmtree(path)


def _items(path: Path) -> list[str]:
    if not holds_data(path):  # a process was stopped while it made the store; it is made when it is next opened
        return []
    try:
        with closing(SeedStore.inspect(path)) as store:
            named = {name for name, _ in store.items()} | {name for name, _ in store.candidates()}
            return sorted(named.union(store.unacked_tombstones()))
    except NothingWrittenError:
        return []


def _move(seeds: Path, topic: str, way: tuple[int, int], names: list[str], rules: SetRules) -> None:
    with ExitStack() as stack:
        source, target = (stack.enter_context(closing(_open(seeds, topic, at, rules))) for at in way)
        kept, entries, there_already = ForNewOffsets.of(source), said_before(source), dict(target.items())
        records, unacked = kept.records, set(source.unacked_tombstones())
        for name, _ in target.candidates():
            entries.pop(name, None)  # what was said of an item where its clicks come now is newer
        # Closed windows are folded in here, as they would be if nothing moved: those of the other partition's clock may
        # end before them.
        closed = 0 if kept.work is None else kept.work.closed
        at_first = OpenWork.of(target)
        # A tombstone may have been said there of one that lay in no store.
        least = at_first.dropped_until + 1 if at_first and at_first.dropped_until > at_first.closed else 0
        for batch in _batches(names, records):
            here = [name for name in batch if name in records]
            folded = {name: source.folded(name, until=closed) for name in here}
            there = Changes(
                seeds=[(name, found.seeds) for name, found in folded.items()],
                since={name: max(found.since, target.since(name)) for name, found in folded.items()},
                windows=[(name, w) for name in batch for w in source.open_windows(name) if w.closes > closed],
                items={name: _both(records[name], there_already.get(name), least) for name in here},
                candidates={name: entries[name] for name in batch if name in entries},
                withdrawn=[name for name in batch if name in unacked],
            )
            mine = OpenWork.of(target)
            # Without a model's name the target makes all its centroids anew: those of the moved may have been due. The
            # models are older ones then, whose centroids are taken back in their time.
            target.write(
                there,
                position=target.position,
                work=None if kept.work is None else kept.work.handed_over(here, mine).encode(),
                model_version="",
                older_versions=_models(target, source),
            )
            source.write(Changes(moved=batch, candidates=dict.fromkeys(batch)), position=source.position)


def _models(*stores: SeedStore) -> tuple[str, ...]:
    """The models whose centroids of the stores' items may be in the topic, the newest first."""
    named = [version for store in stores for version in (store.meta.model_version, *store.meta.older_versions)]
    return tuple(dict.fromkeys(version for version in named if version))


def _both(one: ItemRecord, other: ItemRecord | None, least: int = 0) -> ItemRecord:
    """The record of a moved item; what is emitted of it next counts as later: its partition has other offsets."""
    last = other or one
    emitted = max(one.emitted, last.emitted)
    return ItemRecord(
        max(one.last_click, last.last_click),
        max(one.seeds, last.seeds),
        emitted if other else max(emitted, least),
        one.withdrawn and last.withdrawn,
        one.unsure or last.unsure or emitted > 0,
    )


def _batches(names: list[str], records: dict[str, ItemRecord]) -> Iterator[list[str]]:
    batch: list[str] = []
    held = 0
    for name in names:
        batch.append(name)
        held += max(100, records[name].seeds if name in records else 0)
        if held >= _BATCH_SEEDS:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch
