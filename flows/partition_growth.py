"""Brings items home after the topic of clicks has grown: with more partitions, the clicks of many keys go elsewhere.

An item's seeds lie in the store of the partition where its clicks came. So before the flow goes on, each item is moved
to the store of the partition where its clicks come now. Which that is, is known once a partitioner explains where all
items lie so far.
"""

import fcntl
import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

from flows.errors import RalmError
from flows.logs import get_logger
from flows.partitioners import PARTITIONERS, Partitioner
from state.seed_store import Changes, ItemRecord, SeedStore, StoreError
from state.state_dir import store_paths

log = get_logger(__name__)

_MARK = "grown.json"
"""How many partitions there were at each time; from then on each start looks for items that are not at home."""
_BATCH_SEEDS = 2_000_000
"""Seeds that are moved in one write."""


def follow_partitions(state_dir: Path, topic: str, known: int, now: int, capacity: int) -> None:
    """Move items to their partitions if the topic has grown, now or earlier.

    It may be cut off anywhere and begun anew. In a cluster the first process does it for all that share the directory.

    Args:
        state_dir: the state directory.
        topic: the topic of clicks.
        known: its partitions when the flow last ran.
        now: its partitions now.
        capacity: N, the most seeds of an item.

    Raises:
        RalmError: when a store cannot be used.
    """
    seeds, mark = state_dir / "seeds", state_dir / _MARK
    if not seeds.is_dir() or not (now > known > 0 or mark.exists()):
        return
    with (state_dir / "grown.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        counts = sorted({*(json.loads(mark.read_text()) if mark.exists() else ()), known, now} - {0})
        mark.write_text(json.dumps(counts))
        try:
            _bring_home(seeds, topic, counts, capacity)
        except StoreError as error:
            raise RalmError(str(error)) from error


def _bring_home(seeds: Path, topic: str, counts: list[int], capacity: int) -> None:
    now = counts[-1]
    here = store_paths(seeds.parent)
    items = {partition: _items(path) for partition, path in here.items()}
    partitioner = _partitioner(items, counts)
    if partitioner is None:
        log.warning(
            "the topic has grown, and nothing tells where its producers send an item now: items whose clicks come in "
            "another partition begin there anew",
            topic=topic,
            partitions=now,
        )
        return
    moves: dict[int, dict[int, list[str]]] = {}
    for partition, names in items.items():
        for name in names:
            home = partitioner(name.encode(), now)
            if home != partition:
                moves.setdefault(partition, {}).setdefault(home, []).append(name)
    lost = sorted(set(range(counts[0])) - set(here))
    if moves and lost:
        log.warning("stores of other partitions are not on this disk; no item is moved", topic=topic, missing=lost)
        return
    for partition, homes in moves.items():
        for home, names in homes.items():
            _move(seeds, topic, (partition, home), names, capacity)
    moved = sum(len(names) for homes in moves.values() for names in homes.values())
    log.info("items were moved to their partitions", topic=topic, partitions=now, items=moved)


def _items(path: Path) -> list[str]:
    try:
        with closing(SeedStore.inspect(path)) as store:
            return sorted({name for name, _ in store.items()} | {name for name, _ in store.listings()})
    except StoreError as error:
        if "nothing written" in str(error):
            return []
        raise


def _partitioner(items: dict[int, list[str]], counts: list[int]) -> Partitioner | None:
    """The one that explains where the items lie, with as many partitions as there were at some time."""
    for partitioner in PARTITIONERS.values():
        if all(
            partition in {partitioner(key, count) for count in counts}
            for partition, names in items.items()
            for key in map(str.encode, names)
        ):
            return partitioner
    return None


def _move(seeds: Path, topic: str, way: tuple[int, int], names: list[str], capacity: int) -> None:
    with ExitStack() as stack:
        source, target = (
            stack.enter_context(
                closing(SeedStore.open(seeds / f"{partition:05d}", topic=topic, partition=partition, capacity=capacity))
            )
            for partition in way
        )
        records, listings, there_already = dict(source.items()), dict(source.listings()), dict(target.items())
        for batch in _batches(names, records):
            there = Changes(
                seeds=[(name, source.seeds(name)) for name in batch if name in records],
                items={name: _both(records[name], there_already.get(name)) for name in batch if name in records},
                listings={name: listings[name] for name in batch if name in listings},
            )
            # Without a model's name the target makes all its centroids anew: those of the moved may have been due.
            target.write(there, position=target.position, model_version="")
            source.write(Changes(retired=batch, listings=dict.fromkeys(batch)), position=source.position)
            source.write(Changes(told=batch), position=source.position)


def _both(one: ItemRecord, other: ItemRecord | None) -> ItemRecord:
    return one if other is None else ItemRecord(max(one.last_click, other.last_click), max(one.seeds, other.seeds))


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
