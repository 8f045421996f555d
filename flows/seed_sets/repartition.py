"""Brings items home after the clicks topic has another number of partitions, so that many keys' clicks go elsewhere.

An item's seeds lie in the store of the partition where its clicks came. So before the flow goes on, each item is moved
to the store of the partition where its clicks come now. Which that is, is known once a partitioner explains where all
items lie so far.

A topic grows as it is; one with fewer partitions is another topic of its name. Then the stores that have no partition
any more are removed once all that was in them is elsewhere.
"""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NamedTuple

from flows.seed_sets.keeper_state import ForNewOffsets, OpenWork
from flows.seed_sets.partitioners import PARTITIONERS, Partitioner
from flows.support.errors import RalmError
from flows.support.logs import get_logger
from state.directory import forget_partitions, note_partition_count
from state.owner_lock import file_lock
from state.store.layout import ELSEWHERE
from state.store.rocks import holds_data
from state.store.seed_store import Changes, ItemRecord, NothingWrittenError, SeedStore, StoreError

log = get_logger(__name__)

_BATCH_SEEDS = 2_000_000
"""Seeds that are moved in one write."""
_REMOVED = ".removed-"
"""Begins the name of a store that is being removed."""
_WAY_OUT = "Look for a full or failing disk and start again once it is mended: nothing is lost."


class SetRules(NamedTuple):
    """What bounds a seed set.

    Attributes:
        capacity: N, the most seeds of an item.
        max_gap: the longest time between two clicks of a set, ms; 0: any.
    """

    capacity: int
    max_gap: int = 0


def follow_partitions(state_dir: Path, topic: str, now: int, rules: SetRules, partitioner: str = "auto") -> None:
    """Note how many partitions the topic has, and move items to theirs if that has changed, now or earlier.

    It may be cut off anywhere and begun anew. In a cluster the first process does it for all that share the directory.

    Args:
        state_dir: the state directory.
        topic: the clicks topic.
        now: its partitions now.
        rules: what bounds a seed set.
        partitioner: a key of ``PARTITIONERS``; ``auto`` is the one that explains where the items lie so far.

    Raises:
        RalmError: when a store, or the note of the counts, cannot be used, several partitioners explain it, or items
            cannot be moved out of stores whose partitions are no more.
    """
    seeds = state_dir / "seeds"
    try:
        with file_lock(state_dir / "partitions.lock"):
            counts = note_partition_count(state_dir, now)
            # From then on each start looks for items that are not at home.
            gone = counts[-1] > now
            if len(counts) > 1 and seeds.is_dir():
                why_not = _bring_home(seeds, topic, counts, now, rules, partitioner)
                if why_not and gone:
                    msg = f"the clicks topic {topic!r} has {now} partitions, and had {counts[-1]}: {why_not}"
                    raise RalmError(msg)
                if why_not:
                    log.warning(f"the topic has grown, and {why_not}", topic=topic, partitions=now)
            if gone:
                forget_partitions(state_dir, now)
            if seeds.is_dir():
                _remove_stores(seeds, now)
    except StoreError as error:
        raise RalmError(str(error)) from error
    except OSError as error:
        msg = f"items cannot be moved to their partitions in {state_dir}: {error}. {_WAY_OUT}"
        raise RalmError(msg) from error


def _stores(seeds: Path) -> dict[int, Path]:
    return {int(path.name): path for path in sorted(seeds.iterdir()) if path.name.isdecimal() and len(path.name) == 5}


def _bring_home(seeds: Path, topic: str, counts: list[int], now: int, rules: SetRules, given: str) -> str:
    """Move each item to its partition's store; returns why none was moved, empty where that is not so."""
    here = _stores(seeds)
    items = {partition: _items(path) for partition, path in here.items()}
    partitioner = PARTITIONERS.get(given) or _partitioner(items, counts, now)
    if partitioner is None:
        return (
            "nothing tells where its producers send an item now: items whose clicks come in another partition would "
            "begin there anew. If they use crc32 or murmur2, start again with --partitioner"
        )
    moves: dict[int, dict[int, list[str]]] = {}
    for partition, names in items.items():
        for name in names:
            home = partitioner(name.encode(), now)
            if home != partition:
                moves.setdefault(partition, {}).setdefault(home, []).append(name)
    gone = counts[-1] > now
    lost = sorted(set(range(counts[-1] if gone else counts[0])) - set(here))
    if lost and (moves or gone):
        return (
            f"the stores of partitions {', '.join(map(str, lost))} are not in this state directory, so that no item is "
            "moved. Put the folders seeds/NNNNN of all partitions into one state directory, and start with it"
        )
    for partition, homes in moves.items():
        for home, names in homes.items():
            _move(seeds, topic, (partition, home), names, rules)
    moved = sum(len(names) for homes in moves.values() for names in homes.values())
    log.info("items were moved to their partitions", topic=topic, partitions=now, items=moved)
    return ""


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


def _partitioner(items: dict[int, list[str]], counts: list[int], now: int) -> Partitioner | None:
    """The one that explains where the items lie; None if none does.

    Raises:
        RalmError: when several do and would send an item to different partitions, as after there was only one.
    """
    # First whether all are at home: a few items may seem to fit another partitioner by what there was once.
    fitting = _fitting(items, [now]) or _fitting(items, counts)
    keys = [name.encode() for names in items.values() for name in names]
    if any(len({partitioner(key, now) for partitioner in fitting}) > 1 for key in keys):
        msg = (
            f"the clicks topic has grown to {now} partitions, and where the items lie so far does not tell how its "
            "producers choose an item's partition. Say it: --partitioner crc32 for librdkafka's default (clients in "
            "C, Python, Go, .NET), --partitioner murmur2 for Java's."
        )
        raise RalmError(msg)
    return next(iter(fitting), None)


def _fitting(items: dict[int, list[str]], counts: list[int]) -> list[Partitioner]:
    """Those that may have put the items where they lie, with one of these counts of partitions."""
    return [
        partitioner
        for partitioner in PARTITIONERS.values()
        if all(
            partition in {partitioner(key, count) for count in counts}
            for partition, names in items.items()
            for key in map(str.encode, names)
        )
    ]


def _move(seeds: Path, topic: str, way: tuple[int, int], names: list[str], rules: SetRules) -> None:
    most, gap = rules
    with ExitStack() as stack:
        source, target = (
            stack.enter_context(
                closing(SeedStore.open(seeds / f"{at:05d}", topic=topic, partition=at, capacity=most, max_gap=gap))
            )
            for at in way
        )
        kept, entries, there_already = ForNewOffsets.of(source), dict(source.candidates()), dict(target.items())
        records, unacked = kept.records, set(source.unacked_tombstones())
        # What was said of an item where its clicks come now is newer. What was said elsewhere is older than all of it,
        # whatever its offset: that would be the last to be forgotten for want of room.
        said = {name for name, _ in target.candidates()}
        entries = {name: entry._replace(offset=ELSEWHERE) for name, entry in entries.items() if name not in said}
        # Closed windows are folded in here, as they would be if nothing moved: those of the other partition's clock may
        # end before them.
        closed = 0 if kept.work is None else kept.work.closed
        for batch in _batches(names, records):
            here = [name for name in batch if name in records]
            there = Changes(
                seeds=[(name, source.seeds(name, until=closed)) for name in here],
                windows=[(name, w) for name in batch for w in source.open_windows(name) if w.closes > closed],
                items={name: _both(records[name], there_already.get(name)) for name in here},
                candidates={name: entries[name] for name in batch if name in entries},
                withdrawn=[name for name in batch if name in unacked],
            )
            mine = None if target.work is None else OpenWork.decode(target.work)
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


def _both(one: ItemRecord, other: ItemRecord | None) -> ItemRecord:
    """The record of a moved item; what is emitted of it next counts as later: its partition has other offsets."""
    last = other or one
    return ItemRecord(
        max(one.last_click, last.last_click),
        max(one.seeds, last.seeds),
        max(one.emitted, last.emitted),
        one.withdrawn and last.withdrawn,
        one.unsure or last.unsure or max(one.emitted, last.emitted) > 0,
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
