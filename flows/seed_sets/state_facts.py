"""What a state directory holds when a process starts: how many partitions there were, and what each store has."""

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from flows.kafka.first_offset import HeldOffsets
from flows.support.errors import RalmError
from state.directory import (
    BEFORE,
    begun_partitions,
    check_format,
    mark_format,
    moved_positions,
    noted_counts,
    partition_counts,
    store_paths,
)
from state.store.layout import StoreError
from state.store.meta import NOTHING_SETTLED, StoreMeta, of_another
from state.store.seed_store import NothingWrittenError, SeedStore


@dataclass(frozen=True)
class StateFacts:
    """What a state directory holds.

    Attributes:
        partitions: the most partitions that the clicks topic has had, 0 when nothing ran here yet.
        stores: what each store knows of itself, by partition.
        first_count: how many partitions the clicks topic had at first, 0 when that is not noted.
        begun: the partitions of each kind of topic of which it is fixed where the first start began; under ``BEFORE``
            those whose stores have clicks, too, of a topic that was there before.
        paths: where each store lies, by partition.
        moved: of stores to which items were moved how far they had read then, by partition.
    """

    partitions: int = 0
    stores: Mapping[int, StoreMeta] = field(default_factory=dict)
    first_count: int = 0
    begun: Mapping[str, frozenset[int]] = field(default_factory=dict)
    paths: Mapping[int, Path] = field(default_factory=dict)
    moved: Mapping[int, int] = field(default_factory=dict)

    def of_another(self, topic: str, partition: int) -> str:
        """What to say where the store of a partition is that of another topic or partition; empty where it is not."""
        meta = self.stores.get(partition)
        if meta is None or (meta.topic, meta.partition) == (topic, partition):
            return ""
        return of_another(self.paths.get(partition, Path(f"{partition:05d}")), meta, topic, partition)

    @property
    def has_candidates(self) -> bool:
        """Whether anything of the candidates topic was read."""
        return any(meta.candidates for meta in self.stores.values())

    def held(self, kind: str, partition: int) -> HeldOffsets | None:
        """What a partition's store says of ``clicks`` or ``candidates``; None where there is no store."""
        meta = self.stores.get(partition)
        if meta is None:
            return None
        if kind == "clicks":
            return HeldOffsets(meta.resume, meta.position, meta.clicks_mark)
        return HeldOffsets(meta.resume_candidates, meta.candidates, meta.candidates_mark)

    def was_lost(self, partition: int) -> bool:
        """Whether this directory knows a partition, and has no store of it."""
        return partition in self.begun.get("clicks", ()) and partition not in self.stores

    def is_first(self, partition: int) -> bool:
        """Whether nothing here says that a partition of clicks was begun, nor that it came when the topic grew."""
        grown = 0 < self.first_count <= partition
        return not grown and partition not in self.stores and partition not in self.begun.get("clicks", ())

    @property
    def has_grown(self) -> bool:
        """Whether the clicks topic has got partitions while this state directory was there."""
        return 0 < self.first_count < self.partitions

    def lacks_moved(self, partition: int) -> bool:
        """Whether a partition's store is a copy from before items were moved to it."""
        meta = self.stores.get(partition)
        return meta is not None and not meta.replaces and meta.position < self.moved.get(partition, 0)

    def is_anew(self, partition: int) -> bool:
        """Whether a partition's store is made anew, or still on the way from that to where the clicks are."""
        meta = self.stores.get(partition)
        return meta is None or not meta.model_version or meta.replaces

    def is_filled(self, partition: int) -> bool:
        """Whether anything that a partition's store holds has settled, and it takes no other's place any more."""
        meta = self.stores.get(partition)
        # Where clicks begin is fixed before any is read; candidates say when a first epoch has settled.
        return meta is not None and meta.resume_candidates != NOTHING_SETTLED and not meta.replaces


def open_state_dir(state_dir: Path) -> StateFacts:
    """What the owner of a state directory does before it starts the engine: check what is there, and mark it.

    Raises:
        RalmError: when it is of another format or cannot be used, or a store is damaged; says what to do.
    """
    return _read(state_dir, mark_format)


def look_into_state_dir(state_dir: Path) -> StateFacts:
    """What a state directory holds, for those who only look, also beside its owner.

    Raises:
        RalmError: when it is of another format or cannot be read, or a store is damaged; says what to do.
    """
    return _read(state_dir, check_format)


def _read(state_dir: Path, check: Callable[[Path], None]) -> StateFacts:
    try:
        check(state_dir)
        stores, paths = {}, store_paths(state_dir)
        for partition, path in paths.items():
            meta = _meta(path)
            if meta is not None:
                stores[partition] = meta
        counts, noted = partition_counts(state_dir), noted_counts(state_dir)
        begun = {kind: found for kind in ("clicks", "requests", BEFORE) if (found := begun_partitions(state_dir, kind))}
        return StateFacts(
            max(counts, default=0), stores, min(noted, default=0), begun, paths, moved_positions(state_dir)
        )
    except StoreError as error:
        raise RalmError(str(error)) from error
    except OSError as error:
        msg = (
            f"the state directory {state_dir} cannot be read or written: {error}. Look for a full or failing disk, or "
            "for files of another owner; once it is fixed, start again: nothing is lost."
        )
        raise RalmError(msg) from error


def _meta(path: Path) -> StoreMeta | None:
    """What a store knows of itself; None of one that a process was killed over before it wrote anything."""
    try:
        with closing(SeedStore.inspect(path)) as store:
            return store.meta
    except NothingWrittenError:
        return None
