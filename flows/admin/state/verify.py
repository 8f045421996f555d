"""``ralm state verify``: the stores against their checksums, and against what the engine would resume from."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from flows.messages.codec import decode_centroids
from flows.messages.rejects import InvalidMessage
from flows.recovery.recovery_files import RecoveryData, read_recovery, source_positions, with_way_out
from flows.support.errors import RalmError
from state.directory import read_format, recovery_folders, refusal, refuse_cut_off, store_paths
from state.owner_lock import OwnedElsewhereError, owners
from state.store.check import StoreReport, check_store
from state.store.layout import STATE_FORMAT, StoreError

_T = TypeVar("_T")
_AGAIN = (
    "at its next start the flow reads the messages between from the topic again; if the topic no longer has them, it "
    "refuses to start"
)


@dataclass(frozen=True)
class PartitionSnapshot:
    """What the recovery data of a dataflow says of a partition.

    Attributes:
        flow: the dataflow.
        position: the offset that the seed sets reach, None without a snapshot of them.
        candidates: the same of the candidates topic.
        source: the next offset of the source of clicks, None without one.
    """

    flow: str
    position: int | None = None
    candidates: int | None = None
    source: int | None = None


@dataclass
class PartitionReport:
    """What was found of a partition.

    Attributes:
        partition: its number.
        store: what was found in its store.
        snapshots: what the recovery data of each dataflow says.
        behind: messages: in which way the store is behind.
    """

    partition: int
    store: StoreReport
    snapshots: list[PartitionSnapshot] = field(default_factory=list)
    behind: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether nothing is damaged or behind."""
        return not self.store.damages and not self.behind

    def line(self) -> str:
        """The report in one line, without the damages."""
        meta, store = self.store.meta, self.store
        what = "whole" if self.whole else "BEHIND" if self.behind and not store.damages else "DAMAGED"
        parts = [f"partition {self.partition}: {what}"]
        if meta is not None:
            seeds = f"{store.seeds:,} seeds and {store.delta_seeds:,} not yet merged"
            parts.append(f"{store.items:,} items, {seeds}, position {meta.position}")
        for snapshot in self.snapshots:
            if snapshot.position is not None:
                ahead = "" if meta is None else f" ({_distance(meta.position - snapshot.position)})"
                parts.append(f"snapshot of {snapshot.flow} at {snapshot.position}{ahead}")
        return "; ".join([*parts, *store.notes])

    def as_json(self) -> dict[str, Any]:
        """The report for programs."""
        meta = self.store.meta
        return {
            "partition": self.partition,
            "whole": self.whole,
            "topic": meta and meta.topic,
            "position": meta and meta.position,
            "items": self.store.items,
            "seeds": self.store.seeds,
            "delta_seeds": self.store.delta_seeds,
            "snapshots": [vars(snapshot) for snapshot in self.snapshots],
            "damages": self.store.damages,
            "behind": self.behind,
            "notes": self.store.notes,
        }


class StateVerifier:
    """Verifies a state directory, read-only, also beside the flow that runs on it.

    Args:
        state_dir: the directory.
        capacity: N, the most seeds of an item.

    Attributes:
        damages: messages: what is damaged beside the stores.
        notes: messages about what is unusual but not damaged.

    Raises:
        RalmError: when there is nothing to verify.
    """

    def __init__(self, state_dir: Path, capacity: int) -> None:
        self._state_dir = state_dir
        self._capacity = capacity
        self.damages: list[str] = []
        self.notes: list[str] = []
        try:
            refuse_cut_off(state_dir)
        except StoreError as error:
            raise RalmError(str(error)) from error
        if not self._listed(store_paths) and not self._listed(recovery_folders):
            msg = f"there are no stores and no recovery data in {state_dir}"
            raise RalmError(msg)
        try:
            found = read_format(state_dir)
        except StoreError as error:
            self.damages.append(str(error))
        else:
            if found != STATE_FORMAT:
                raise RalmError(refusal(state_dir, found or 1))
        self._running = True
        try:
            held = owners(state_dir)
        except OwnedElsewhereError as error:
            self.notes.append(str(error))
        else:
            self._running = bool(held)
            self.notes += [f"a flow is running on it, so it moves: {who}" for who in held]

    def run(self) -> Iterator[PartitionReport]:
        """Verify one partition after the other."""
        # The recovery data first: what the flow writes meanwhile puts the stores ahead of it, never behind.
        folders = {folder.name: folder for folder in self._listed(recovery_folders)}
        flows = {name: read_recovery(folder, running=self._running) for name, folder in folders.items()}
        for name, data in flows.items():
            self.damages += with_way_out(folders[name], data.damages)
        snapshots = self._snapshots(flows)
        paths = self._listed(store_paths)
        for partition in sorted({*paths, *snapshots}):
            yield self._partition(partition, paths.get(partition), snapshots.get(partition, []))
        for name, data in flows.items():
            now = read_recovery(folders[name], running=self._running).epoch
            if now != data.epoch:
                self.notes.append(f"the recovery data of {name} moved meanwhile, from epoch {data.epoch} to {now}")

    def _listed(self, what: Callable[[Path], _T]) -> _T:
        try:
            return what(self._state_dir)
        except StoreError as error:
            raise RalmError(str(error)) from error

    def _partition(self, partition: int, path: Path | None, snapshots: list[PartitionSnapshot]) -> PartitionReport:
        if path is None:
            store = StoreReport(self._state_dir / "seeds" / f"{partition:05d}", notes=["there is no store"])
        else:
            store = check_store(path, self._capacity, _wrong_centroids)
            if store.meta is not None and store.meta.partition != partition:
                store.damages.append(f"{path} holds the store of partition {store.meta.partition}")
        report = PartitionReport(partition, store, snapshots)
        if store.meta is not None or not store.damages:  # of a store that cannot be read, no position is known
            report.behind = [words for snapshot in snapshots for words in _behind(store, snapshot)]
        return report

    def _snapshots(self, flows: dict[str, RecoveryData]) -> dict[int, list[PartitionSnapshot]]:
        found: dict[int, list[PartitionSnapshot]] = {}
        for flow, data in flows.items():
            keepers = {keeper.partition: keeper for keeper in data.keepers.values()}
            sources = source_positions(data, "clicks")
            for partition in sorted({*keepers, *sources}):
                keeper, source = keepers.get(partition), sources.get(partition)
                snapshot = (
                    PartitionSnapshot(flow, source=source)
                    if keeper is None
                    else PartitionSnapshot(flow, keeper.position, keeper.candidates, source)
                )
                found.setdefault(partition, []).append(snapshot)
        return found


def _behind(store: StoreReport, snapshot: PartitionSnapshot) -> Iterator[str]:
    has = 0 if store.meta is None else store.meta.position
    listed = 0 if store.meta is None else store.meta.candidates
    needed = max(snapshot.position or 0, snapshot.source or 0)
    if has < needed:
        yield (
            f"the store in {store.path} has clicks up to offset {has}, the recovery data of {snapshot.flow} up to "
            f"{needed}: {_AGAIN}"
        )
    if listed < (snapshot.candidates or 0):
        yield (
            f"the store in {store.path} has candidates up to offset {listed}, the recovery data of {snapshot.flow} up "
            f"to {snapshot.candidates}: {_AGAIN}"
        )


def _distance(ahead: int) -> str:
    return "level" if not ahead else f"store {ahead} ahead" if ahead > 0 else f"store {-ahead} behind"


def _wrong_centroids(value: bytes) -> str | None:
    try:
        decode_centroids(value)
    except InvalidMessage as error:
        return str(error)
    return None
