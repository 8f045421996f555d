"""Checks a store in full: every block against its checksum, every value against what it must be."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeAlias

from rocksdict import Rdict, ReadOptions

from state.store import rocks
from state.store.epoch_chain import checked_meta
from state.store.keys import WORK_KEY, StoreKey, split_key
from state.store.layout import (
    DamagedValueError,
    ItemRecord,
    StoreError,
    decode_candidate_entry,
    decode_head,
    decode_record,
    decode_seeds,
    decode_since,
    decode_window,
    of_store,
)
from state.store.meta import StoreMeta
from state.store.snapshot_reader import ReadOnlySnapshot

ValueCheck: TypeAlias = Callable[[bytes], str | None]
"""Says what is wrong with a value that another room has encoded, None if nothing."""

_EMPTY = "nothing is written yet"
_MOST_NAMED = 20
"""Of damages, and of notes, only so many are listed."""


@dataclass
class StoreReport:
    """What a check found.

    Attributes:
        path: the store's directory.
        meta: what it knows of itself, None when that cannot be read or nothing is written.
        items: how many items have a record.
        seeds: seeds in the base sets.
        delta_seeds: seeds in the deltas and in open windows, some of which are in the base sets too.
        damages: a message for each damage, and for what could not be read.
        notes: messages about what is unusual but not damaged.
    """

    path: Path
    meta: StoreMeta | None = None
    items: int = 0
    seeds: int = 0
    delta_seeds: int = 0
    damages: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def unread(self) -> bool:
        """Whether nothing is damaged as far as could be looked: the system refused to read the rest."""
        return bool(self.damages) and all(map(rocks.refused_by_system, self.damages))


def check_store(
    path: Path, capacity: int, check_centroids: ValueCheck, check_work: ValueCheck = lambda _: None
) -> StoreReport:
    """Check a store in full, also beside the process that writes it, as it is now; nothing is written.

    Args:
        path: its directory.
        capacity: N, the most seeds of an item.
        check_centroids: says what is wrong with encoded centroids, None if nothing.
        check_work: the same of what is still to be done.

    Returns:
        What was found; a damage never raises. A directory in which no store was made yet is not damaged.
    """
    report = StoreReport(path)
    try:
        if not rocks.holds_data(path):
            if path.is_dir():  # a process was stopped while it made the store; the next one makes it
                report.notes.append(_EMPTY)
            else:
                report.damages.append(f"there is no store in {path}")
            return report
        snapshot = ReadOnlySnapshot(path)
    except (StoreError, OSError) as error:
        report.damages.append(str(error))
        return report
    with snapshot:
        if snapshot.wal_truncated is not None:
            report.damages.append(
                f"the log of the store in {path} is damaged ({snapshot.wal_truncated}); what was written after that "
                "place is not there. The flow goes on from before it and reads the clicks since then again."
            )
        _Check(report, snapshot.db, capacity, check_centroids, check_work).run()
    return report


class _Check:
    def __init__(
        self, report: StoreReport, db: Rdict, capacity: int, check_centroids: ValueCheck, check_work: ValueCheck
    ) -> None:
        self._report = report
        self._db = db
        self._capacity = capacity
        self._check_centroids = check_centroids
        self._check_work = check_work
        self._records: dict[str, ItemRecord] = {}
        self._bare: set[str] = set()  # items with a record, of which no seeds were met
        self._orphans: dict[str, int] = {}
        self._pieces: dict[tuple[str, int], int] = {}  # seeds in the pieces of an item's generation

    def run(self) -> None:
        """Read everything; each kind of key in turn."""
        self._collect_damage(self._meta)
        self._collect_damage(self._filters)
        self._collect_damage(self._work)
        checks: dict[bytes, Callable[[StoreKey, bytes], None]] = {
            b"I": self._record,
            b"B": self._base,
            b"P": self._piece,
            b"H": self._head,
            b"D": self._delta,
            b"O": self._window,
            b"G": self._since,
            b"C": self._centroids,
            b"L": self._candidate,
        }
        for kind, check in checks.items():  # records first
            for key, value in self._entries(kind):
                self._collect_damage(partial(self._entry, check, key, value))
        for _ in self._entries(b"T"):
            pass
        self._report.items = len(self._records)
        self._sum_up()

    def _meta(self) -> None:
        self._report.meta = checked_meta(self._report.path, self._db)
        if self._report.meta is None:
            self._report.notes.append(_EMPTY)

    def _work(self) -> None:
        value = self._get(WORK_KEY)
        wrong = None if value is None else self._check_work(value)
        if wrong is not None:
            raise DamagedValueError(wrong)

    def _filters(self) -> None:
        """Meet every file's filter, which reading from end to end does not."""
        for file in self._db.live_files():
            for key in (file["start_key"], file["end_key"]):
                self._get(bytes(key))

    def _entries(self, kind: bytes) -> Iterator[tuple[bytes, bytes]]:
        """All entries of a kind; after a damaged block, those behind it, from the end backwards."""
        last = kind
        try:
            for key, value in rocks.scan(self._db, self._report.path, kind):
                last = key
                yield key, value
            return
        except StoreError as error:
            self._damage(f"{error} (after key {last!r})")
        yield from self._backwards(kind, last)

    def _backwards(self, kind: bytes, until: bytes) -> Iterator[tuple[bytes, bytes]]:
        options = ReadOptions()
        options.set_total_order_seek(True)
        cursor = self._db.iter(options)
        cursor.seek_for_prev(kind + b"\xff" * 12)
        while cursor.valid() and cursor.key() > until:
            yield cursor.key(), cursor.value()
            cursor.prev()

    @staticmethod
    def _entry(check: Callable[[StoreKey, bytes], None], key: bytes, value: bytes) -> None:
        check(split_key(key), value)

    def _record(self, key: StoreKey, value: bytes) -> None:
        item = key.item
        self._bare.add(item)
        self._records[item] = ItemRecord(0, 0)  # known, even if what it says is damaged
        self._records[item] = decode_record(value, item)

    def _base(self, key: StoreKey, value: bytes) -> None:
        self._met(key.item, "base seed set")
        self._sum(key.item, len(decode_seeds(value, key.item)))

    def _piece(self, key: StoreKey, value: bytes) -> None:
        place = (key.item, key.epoch >> 32)
        self._pieces[place] = self._pieces.get(place, 0) + len(decode_seeds(value, key.item))

    def _head(self, key: StoreKey, value: bytes) -> None:
        head = decode_head(value, key.item)
        self._met(key.item, "head of a base seed set")
        self._sum(key.item, head.seeds)
        there = self._pieces.pop((key.item, head.generation), 0)
        if there != head.seeds:
            msg = f"the seeds of item {key.item!r} are damaged: {there:,} of {head.seeds:,} are there"
            raise DamagedValueError(msg)

    def _sum(self, item: str, seeds: int) -> None:
        self._report.seeds += seeds
        if seeds > self._capacity:
            self._note(f"item {item!r} has {seeds:,} seeds; its next clustering cuts them to {self._capacity:,}")

    def _delta(self, key: StoreKey, value: bytes) -> None:
        self._met(key.item, "delta")
        self._report.delta_seeds += len(decode_seeds(value, key.item))

    def _window(self, key: StoreKey, value: bytes) -> None:
        self._met(key.item, "open window")
        self._report.delta_seeds += len(decode_window(value, key.item, key.closes, key.window).seeds)

    def _since(self, key: StoreKey, value: bytes) -> None:
        if key.item not in self._records:
            self._orphans["beginning of a set"] = self._orphans.get("beginning of a set", 0) + 1
        decode_since(value, key.item)

    def _centroids(self, key: StoreKey, value: bytes) -> None:
        item = key.item
        if item not in self._records:
            self._orphans["centroids"] = self._orphans.get("centroids", 0) + 1
        wrong = self._check_centroids(value)
        if wrong is not None:
            msg = f"the centroids of item {item!r} are damaged: {wrong}"
            raise DamagedValueError(msg)

    def _candidate(self, key: StoreKey, value: bytes) -> None:
        decode_candidate_entry(value, key.item)

    def _met(self, item: str, what: str) -> None:
        self._bare.discard(item)
        if item not in self._records:
            self._orphans[what] = self._orphans.get(what, 0) + 1

    def _sum_up(self) -> None:
        """What is missing is reported only of a store that could be read whole: else it may be in what could not."""
        if self._report.damages:
            return
        for item in sorted(self._bare):
            if self._records[item].seeds:
                self._damage(f"item {item!r} has a record of {self._records[item].seeds:,} seeds and no seed set")
            else:
                self._note(f"item {item!r} has a record and no seeds")
        if self._pieces:
            self._note(f"{len(self._pieces):,} folds were cut off by a crash; the next ones clear up after them")
        for what, count in self._orphans.items():
            self._note(f"orphans: {count:,} x {what} of items without a record")

    def _get(self, key: bytes) -> bytes | None:
        value: bytes | None = rocks.reading(self._report.path, lambda: self._db.get(key))
        return value

    def _collect_damage(self, check: Callable[[], None]) -> None:
        try:
            with of_store(self._report.path):
                check()
        except StoreError as error:
            self._damage(str(error))

    def _damage(self, words: str) -> None:
        _add(self._report.damages, words)

    def _note(self, words: str) -> None:
        _add(self._report.notes, words)


def _add(found: list[str], text: str) -> None:
    if len(found) < _MOST_NAMED:
        found.append(text)
    elif len(found) == _MOST_NAMED:
        found.append("and more of the kind")
