"""The stateful operator: a partition's seed sets, clustered item by item when a window closes.

State ownership: the store holds the seeds and the offsets they reach; the engine's snapshot holds the watermark and the
items that await clustering. The store's batch is written when the engine asks for a snapshot, so the store may be ahead
of the snapshot, never behind. An item whose clustering failed is dirty again and tried with the next window to close.
After a crash the engine replays the messages since its snapshot: clicks that the store already has (by offset) are not
applied again, but they mark their items again, since the centroids that were made of them may never have been
delivered. A store that is behind all the same (another disk, a backup) is restored from the topics first.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import numpy as np

from flows.config.groups import SeedSettings
from flows.messages.batches import CandidateBatch, ClickBatch, Headers, OutMessage
from flows.messages.codec import SCHEMA_VERSION, centroids_key
from flows.messages.emission_order import order_headers
from flows.seed_sets.candidates import CandidateRegistry
from flows.seed_sets.catch_up import restore_from_topic
from flows.seed_sets.clustering import ClusteringJob, ClusteringPool, ClusteringResult
from flows.seed_sets.intake import EvictionReason, SeedSetWriter
from flows.seed_sets.item_table import ItemTable
from flows.seed_sets.keeper_state import OperatorSnapshot
from flows.seed_sets.windows import WindowClock
from monitoring import metrics
from state.store.seed_store import SeedStore

_LOOK_AGAIN = timedelta(milliseconds=20)
_HEADERS: Headers = [("schema_version", SCHEMA_VERSION.encode())]

Missed: TypeAlias = Callable[[OperatorSnapshot], tuple[Iterable[ClickBatch], Iterable[CandidateBatch]]]
"""Reads what a store that is behind a snapshot has missed, or raises RalmError when the topics no longer have it."""
_EVERY_S = 0.5
"""Counting items and seeds scans all of them, which is too much for every poll."""


class SeedSetOperator:
    """Seed sets, windows and clustering of one partition; ``flows/engine/steps.py`` makes it a step of the dataflow.

    Args:
        store: the partition's seed sets.
        pool: where clustering runs.
        options: how seed sets and windows are kept.
        snapshot: the engine's snapshot, None when there is none.
        missed: asked when the store is behind the snapshot.

    Raises:
        RalmError: when the store is behind the snapshot and cannot catch up.
    """

    def __init__(
        self,
        store: SeedStore,
        pool: ClusteringPool,
        options: SeedSettings,
        snapshot: OperatorSnapshot | None,
        missed: Missed,
    ) -> None:
        self._store = store
        self._pool = pool
        self._options = options
        self._writer = SeedSetWriter(store, options)
        if snapshot is not None and (store.position < snapshot.position or store.meta.candidates < snapshot.candidates):
            clicks, candidates = missed(snapshot)
            restore_from_topic(self._writer, options, clicks, candidates, (snapshot.position, snapshot.candidates))
        self._running: dict[str, Future[ClusteringResult]] = {}
        self._acked: list[str] = []
        self._in_flight: list[str] = []
        self._metrics = PartitionMetrics(store.meta.partition)
        self._older = self._versions()
        self._versions_in_flight = False
        self._startup_messages: list[OutMessage] = []
        self._unwritten = False  # clicks that the pool must see before it clusters their items
        items = self._writer.items
        if snapshot is None:
            self._clock = WindowClock(options, int(items.last_click.max()) if len(items) else None)
            self._pending: dict[str, int] = {}
        else:
            self._clock = WindowClock(options, snapshot.newest, snapshot.closed)
            self._pending = {item: window for item, window in snapshot.pending.items() if item in items}
        self._resume(snapshot)

    def apply(self, batches: "list[ClickBatch | CandidateBatch]") -> list[OutMessage]:
        """Apply clicks and candidates and close windows; emits centroids and tombstones."""
        out: list[OutMessage] = []
        for batch in batches:
            if isinstance(batch, CandidateBatch):
                out += self._apply_candidates(batch)
                continue
            for closed, part in self._clock.cut(batch):
                if closed is not None:
                    out += self._close(closed)
                self._apply_clicks(part)
        return out + self.collect()

    def collect(self) -> list[OutMessage]:
        """Emit what the pool has finished and give it the next items, oldest window first."""
        out, self._startup_messages = self._startup_messages, []
        for item_id in [item for item, future in self._running.items() if future.done()]:
            out += self._finish(self._running.pop(item_id).result())
        if self._unwritten:
            self._write()  # the pool reads the store
        for item_id, window in self._pending.items():
            if len(self._running) >= self._pool.slots:
                break
            if item_id not in self._running:
                listed = self._writer.registry.is_candidate(item_id)
                # The store's position is synced: what a crash loses is not said to be in centroids.
                job = ClusteringJob(item_id, window, listed, self._store.position)
                self._running[item_id] = self._pool.submit(self._store, job)
        self._metrics.update(self._writer.items, self._writer.registry, self._pending, self._clock)
        return out

    def notify_at(self) -> datetime | None:
        """When to call ``collect`` next: soon while clustering runs, else None."""
        return datetime.now(UTC) + _LOOK_AGAIN if self._pending or self._startup_messages else None

    def snapshot(self) -> OperatorSnapshot:
        """Write the epoch to the store, then give the engine what it must keep."""
        # The epoch before this one has ended, so its tombstones are with the broker.
        self._writer.ack_tombstones(self._acked)
        self._write()
        self._acked, self._in_flight = self._in_flight, []
        self._older = self._older[:1] if self._versions_in_flight else self._older
        self._versions_in_flight = True
        self._metrics.snapshot()
        items = self._writer.items
        dirty = items.dirty()
        return OperatorSnapshot(
            self._store.meta.partition,
            self._writer.position,
            self._writer.candidates,
            self._clock.newest,
            self._clock.closed,
            ([items.name(n) for n in dirty], items.dirty_from[dirty], items.dirty_to[dirty]),
            dict(self._pending),
        )

    def _resume(self, snapshot: OperatorSnapshot | None) -> None:
        items = self._writer.items
        if snapshot is not None:
            names, first, last = snapshot.dirty
            numbers = items.find(names)
            known = numbers >= 0
            items.dirty_from[numbers[known]], items.dirty_to[numbers[known]] = first[known], last[known]
        out = self._evict(self._writer.evictable(self._clock.closed))
        unacked = self._store.unacked_tombstones()
        self._in_flight += unacked
        # One that came back since may have lost its centroids to the tombstone that is sent again: cluster it again.
        numbers = items.find(item for item in unacked if item in items)
        items.mark(numbers, np.full(len(numbers), self._clock.next_end()))
        self._startup_messages = self._forgotten_versions() + self._tombstones(unacked) + out
        if snapshot is None or self._store.meta.model_version != self._pool.model_version:
            # Nothing is known of what was emitted, or it was made by another model: cluster every item again.
            everything = np.flatnonzero(items.live)
            items.mark(everything, self._clock.window_ends(items.last_click[everything])[0])

    def _versions(self) -> tuple[str, ...]:
        """Older bundles whose centroids may be in the topic; the newest of them is kept for who still uses it."""
        meta, mine = self._store.meta, self._pool.model_version
        older = [meta.model_version, *meta.older_versions]
        return tuple(dict.fromkeys(version for version in older if version not in ("", mine)))

    def _forgotten_versions(self) -> list[OutMessage]:
        names = [item_id for item_id, _ in self._store.items()] if self._older[1:] else []
        keys = [centroids_key(version, name) for version in self._older[1:] for name in names]
        return [OutMessage(key, None, self._tombstone_headers()) for key in keys]

    def _apply_clicks(self, batch: ClickBatch) -> None:
        applied = self._writer.apply_clicks(batch, self._clock.closed)
        windows, late = self._clock.window_ends(applied.times)
        self._writer.items.mark(applied.numbers, windows)
        metrics.CLICKS.labels("applied").inc(applied.new)
        metrics.CLICKS.labels("replayed").inc(len(applied.numbers) - applied.new)
        metrics.CLICKS.labels("refused").inc(applied.refused)
        metrics.LATE_CLICKS.inc(late)

    def _apply_candidates(self, batch: CandidateBatch) -> list[OutMessage]:
        out: list[OutMessage] = []
        writer = self._writer
        for change in batch.changes:
            if not writer.apply_candidate(change) or change.item_id not in writer.items:
                continue
            if writer.registry.is_expired(change.item_id, self._clock.closed):
                out += self._evict({change.item_id: "retired" if change.retired else "expired"})
            elif self._options.candidates == "listed":
                number = writer.items.find([change.item_id])
                writer.items.mark(number, np.array([self._clock.next_end()]))
        writer.candidates = max(writer.candidates, batch.next_offset)
        return out

    def _close(self, closed: int) -> list[OutMessage]:
        items, writer = self._writer.items, self._writer
        numbers, windows = items.touched_until(closed)
        self._unwritten |= len(numbers) > 0
        shed = 0
        for number, window in zip(numbers.tolist(), windows.tolist(), strict=True):
            item_id = items.name(number)
            shed += item_id in self._pending and item_id not in self._running
            # An item that waits keeps its place, so that the longest waiting is always next and none is forgotten.
            self._pending[item_id] = window
        metrics.RECLUSTERS.labels("shed").inc(shed)
        metrics.WINDOWS_CLOSED.inc(len(np.unique(windows)))
        self._metrics.window_end(closed)
        writer.forget_candidates(closed)
        return self._evict(writer.evictable(closed))

    def _evict(self, items: dict[str, EvictionReason]) -> list[OutMessage]:
        for item_id in items:
            self._pending.pop(item_id, None)
            running = self._running.pop(item_id, None)
            if running is not None and not running.cancel():
                running.result()  # it may be tidying the very seeds that are to go
        self._writer.evict(items)
        self._in_flight += items
        return self._tombstones(items)

    def _tombstones(self, item_ids: Iterable[str]) -> list[OutMessage]:
        versions = (self._pool.model_version, *self._older)
        headers = self._tombstone_headers()
        return [OutMessage(centroids_key(version, item), None, headers) for item in item_ids for version in versions]

    def _tombstone_headers(self) -> Headers:
        return [*_HEADERS, *order_headers(self._clock.closed, self._writer.position)]

    def _finish(self, result: ClusteringResult) -> list[OutMessage]:
        item_id = result.job.item_id
        metrics.SEED_EVICTIONS.inc(result.evicted)
        self._writer.clustered(item_id, result.seeds, result.centroids)
        if self._pending.get(item_id) == result.job.window_end:
            del self._pending[item_id]
            if result.outcome == "failed":  # once a window: at once, it would fail at once again
                items = self._writer.items
                items.mark(items.find([item_id]), np.array([self._clock.next_end()]))
        if result.centroids is None:
            return []
        metrics.CENTROIDS_TIME.set_to_current_time()
        headers = [*_HEADERS, ("model_version", self._pool.model_version.encode())]
        return [OutMessage(centroids_key(self._pool.model_version, item_id), result.centroids, headers)]

    def _write(self) -> None:
        self._unwritten = False
        self._writer.write(model_version=self._pool.model_version, older_versions=self._older)


class PartitionMetrics:
    """The metrics of one partition.

    Args:
        partition: the Kafka partition.
        clock: seconds that only go forward.
    """

    def __init__(self, partition: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._label = str(partition)
        self._clock = clock
        self._last = -_EVERY_S

    def update(
        self, items: ItemTable, registry: CandidateRegistry, pending: Mapping[str, int], clock: WindowClock
    ) -> None:
        """Set the gauges, at most every ``_EVERY_S`` seconds."""
        now = self._clock()
        if now - self._last < _EVERY_S:
            return
        self._last = now
        metrics.ITEMS.labels(self._label).set(len(items))
        metrics.SEEDS.labels(self._label).set(int(items.seeds[items.live].sum()))
        metrics.DIRTY_ITEMS.labels(self._label).set(len(items.dirty()))
        metrics.PENDING_ITEMS.labels(self._label).set(len(pending))
        metrics.LISTINGS.labels(self._label).set(len(registry))
        if clock.watermark is not None:
            metrics.WATERMARK.labels(self._label).set(clock.watermark / 1000)

    def window_end(self, closed: int) -> None:
        """Set the end of the last closed window, ms."""
        metrics.WINDOW_END.labels(self._label).set(closed / 1000)

    def snapshot(self) -> None:
        """Set the time of the last snapshot; the next ``update`` sets all gauges."""
        self._last = -_EVERY_S
        metrics.SNAPSHOT_TIME.labels(self._label).set_to_current_time()
