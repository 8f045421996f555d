"""The stateful step: keeps a partition's seed sets and has the touched items clustered when a window closes.

Who remembers what: the store has the seeds and the offset they reach; the engine's snapshot has the watermark and the
items that await clustering. The store's batch is written when the engine asks for a snapshot, so the store may be
ahead of the snapshot, never behind. After a crash the engine replays the clicks since its snapshot: those that the
store already has (by offset) do not go in again, but they mark their items again, since the centroids that were made
of them may never have been delivered.
"""

from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from flows.batches import ClickBatch, Headers, Ints, OutMessage
from flows.clustering_pool import ClusteringPool, Job, Result
from flows.errors import RalmError
from flows.item_table import ItemTable
from flows.logs import get_logger
from flows.messages import SCHEMA_VERSION, centroids_key
from flows.windows import WindowClock, WindowOptions
from monitoring import metrics
from ralm.seed_set import by_item
from state.seed_store import Changes, ItemRecord, SeedStore

log = get_logger(__name__)

_LOOK_AGAIN = timedelta(milliseconds=20)
_HEADERS: Headers = [("schema_version", SCHEMA_VERSION.encode())]


@dataclass(frozen=True)
class KeeperState:
    """What the engine's snapshot holds of a partition.

    Attributes:
        partition: the Kafka partition.
        position: the offset after the last click that the store has.
        newest: greatest event time seen, ms, or None.
        closed: end of the last closed window, ms.
        dirty: items touched since their clustering, with the first and last window that did.
        pending: items of closed windows whose centroids are not emitted yet, with their window.
        retiring: items that were given up and must still leave the store.
    """

    partition: int
    position: int
    newest: int | None
    closed: int
    dirty: tuple[list[str], Ints, Ints]
    pending: dict[str, int]
    retiring: list[str]


@dataclass(frozen=True)
class KeeperOptions:
    """How seed sets are kept.

    Attributes:
        capacity: N, the most seeds of an item.
        item_ttl: an item is given up so long after its last click, ms of event time; 0 = never.
        windows: how event time is cut.
    """

    capacity: int
    item_ttl: int
    windows: WindowOptions


class SeedKeeper:
    """Seed sets, windows and clustering of one partition; ``flows/operators.py`` makes it a step of the dataflow.

    Args:
        store: the partition's seed sets.
        pool: where clustering runs.
        options: how seed sets are kept.
        state: the engine's snapshot, None when there is none.

    Raises:
        RalmError: when the store is behind the snapshot, so that clicks between the two would be lost.
    """

    def __init__(
        self, store: SeedStore, pool: ClusteringPool, options: KeeperOptions, state: KeeperState | None
    ) -> None:
        self._store = store
        self._pool = pool
        self._options = options
        self._label = str(store.meta.partition)
        self._applied = store.position
        self._buffer: list[tuple[Ints, np.ndarray[tuple[int], np.dtype[np.uint64]], Ints]] = []
        self._changes = Changes()
        self._running: dict[str, Future[Result]] = {}
        self._leaving: list[str] = [] if state is None else list(state.retiring)
        self._retiring: list[str] = []
        self._items = ItemTable()
        for item_id, record in store.items():
            number = self._items.number(item_id)
            self._items.last_click[number], self._items.seeds[number] = record.last_click, record.seeds
        if state is not None:
            self._refuse_if_behind(state)
        self._resume(state)
        self._report()

    def take(self, batches: list[ClickBatch]) -> list[OutMessage]:
        """Take clicks in and close windows; emits centroids and tombstones."""
        out: list[OutMessage] = []
        for batch in batches:
            if len(batch.offsets):
                self._apply(batch)
            self._clock.see(batch.times, batch.idle)
            closed = self._clock.close()
            if closed is not None:
                out += self._close(closed)
        return out + self.collect()

    def collect(self) -> list[OutMessage]:
        """Emit what the pool has finished and give it the next items, oldest window first."""
        out: list[OutMessage] = []
        for item_id in [item for item, future in self._running.items() if future.done()]:
            result = self._running.pop(item_id).result()
            if item_id in self._items:
                out += self._finish(result)
        for item_id, window in self._pending.items():
            if len(self._running) >= self._pool.slots:
                break
            if item_id not in self._running:
                self._running[item_id] = self._pool.submit(self._store, Job(item_id, window))
        self._report()
        return out

    def notify_at(self) -> datetime | None:
        """Soon, while clustering runs."""
        return datetime.now(UTC) + _LOOK_AGAIN if self._pending else None

    def snapshot(self) -> KeeperState:
        """Write the epoch to the store, then say what the engine must remember."""
        retired = [item for item in self._leaving if item not in self._items]
        self._changes.retired += retired
        self._write()
        # Items given up in this epoch leave the store with the next one: until this snapshot is committed, a crash
        # would resume from before their tombstone was sent.
        self._leaving, self._retiring = self._retiring, []
        dirty = self._items.dirty()
        metrics.SNAPSHOT_TIME.labels(self._label).set_to_current_time()
        return KeeperState(
            self._store.meta.partition,
            self._applied,
            self._clock.newest,
            self._clock.closed,
            ([self._items.name(n) for n in dirty], self._items.dirty_from[dirty], self._items.dirty_to[dirty]),
            dict(self._pending),
            list(self._leaving),
        )

    def _refuse_if_behind(self, state: KeeperState) -> None:
        if self._store.position < state.position:
            msg = (
                f"partition {state.partition}: the store has clicks up to offset {self._store.position}, the recovery "
                f"data up to {state.position}; what lies between would be lost. Put the store of this partition back, "
                "restore both from one backup, or move the whole state directory away to rebuild the seed sets from "
                "the topic of clicks."
            )
            raise RalmError(msg)

    def _resume(self, state: KeeperState | None) -> None:
        items = self._items
        newest = int(items.last_click.max()) if state is None and len(items) else None
        self._clock = WindowClock(
            self._options.windows,
            newest if state is None else state.newest,
            0 if state is None else state.closed,
        )
        self._pending: dict[str, int] = {} if state is None else dict(state.pending)
        for item_id in self._leaving:
            if item_id in items:
                items.forget(item_id)
        if state is not None:
            names, first, last = state.dirty
            numbers = items.numbers(names)
            items.dirty_from[numbers], items.dirty_to[numbers] = first, last
        if state is None or self._store.meta.model_version != self._pool.model_version:
            # Nothing is known of what was emitted, or it was made by another model: make all of it anew.
            everything = np.flatnonzero(items.live)
            items.mark(everything, self._clock.window_ends(items.last_click[everything])[0])

    def _apply(self, batch: ClickBatch) -> None:
        numbers = self._items.numbers(batch.item_ids)[batch.items]
        windows, late = self._clock.window_ends(batch.times)
        self._items.click(numbers, batch.times)
        self._items.mark(numbers, windows)
        first = int(np.searchsorted(batch.offsets, self._applied))
        new = len(batch.offsets) - first
        if new:
            self._buffer.append((numbers[first:], batch.users[first:], batch.times[first:]))
        self._applied = max(self._applied, batch.next_offset)
        metrics.CLICKS.labels("applied").inc(new)
        metrics.CLICKS.labels("replayed").inc(first)
        metrics.LATE_CLICKS.inc(late)

    def _close(self, closed: int) -> list[OutMessage]:
        numbers, windows = self._items.touched_until(closed)
        if len(numbers):
            self._write()  # the pool reads the store
        for number, window in zip(numbers.tolist(), windows.tolist(), strict=True):
            self._pending[self._items.name(number)] = window
        metrics.WINDOWS_CLOSED.inc(len(np.unique(windows)))
        metrics.WINDOW_END.labels(self._label).set(closed / 1000)
        return self._expire(closed)

    def _expire(self, closed: int) -> list[OutMessage]:
        if not self._options.item_ttl:
            return []
        idle = self._items.idle_since(closed - self._options.item_ttl)
        expired = [item for item in idle if item not in self._pending]
        for item_id in expired:
            self._items.forget(item_id)
        self._retiring += expired
        metrics.ITEMS_EXPIRED.inc(len(expired))
        return [OutMessage(centroids_key(self._pool.model_version, item), None, _HEADERS) for item in expired]

    def _finish(self, result: Result) -> list[OutMessage]:
        item_id = result.job.item_id
        number = self._items.number(item_id)
        self._items.seeds[number] = result.seeds
        metrics.SEED_EVICTIONS.inc(result.evicted)
        self._changes.items[item_id] = ItemRecord(int(self._items.last_click[number]), result.seeds)
        if self._pending.get(item_id) == result.job.window_end:
            del self._pending[item_id]
        if result.centroids is None:
            return []
        self._changes.centroids[item_id] = result.centroids
        metrics.CENTROIDS_TIME.set_to_current_time()
        headers = [*_HEADERS, ("model_version", self._pool.model_version.encode())]
        return [OutMessage(centroids_key(self._pool.model_version, item_id), result.centroids, headers)]

    def _write(self) -> None:
        """Bring the store up to the last click that was taken in."""
        changes, self._changes = self._changes, Changes()
        if self._buffer:
            numbers, users, times = (np.concatenate(column) for column in zip(*self._buffer, strict=True))
            self._buffer.clear()
            for number, seeds in by_item(numbers, users, times, self._options.capacity):
                item_id = self._items.name(number)
                changes.seeds.append((item_id, seeds))
                last, count = int(self._items.last_click[number]), int(self._items.seeds[number])
                changes.items[item_id] = ItemRecord(last, count)
        if changes or self._applied > self._store.position:
            with metrics.STORE_WRITE_SECONDS.time():
                self._store.write(changes, position=self._applied, model_version=self._pool.model_version)

    def _report(self) -> None:
        label, items = self._label, self._items
        metrics.ITEMS.labels(label).set(len(items))
        metrics.SEEDS.labels(label).set(int(items.seeds[items.live].sum()))
        metrics.DIRTY_ITEMS.labels(label).set(len(items.dirty()))
        metrics.PENDING_ITEMS.labels(label).set(len(self._pending))
        if self._clock.watermark is not None:
            metrics.WATERMARK.labels(label).set(self._clock.watermark / 1000)
