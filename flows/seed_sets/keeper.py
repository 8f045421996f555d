"""The stateful operator: a partition's seed sets, clustered item by item when a window closes.

The store is the only truth. One synced batch holds the seeds, the offsets that they reach, the watermark, the items
that await clustering or whose centroids may not have been delivered, and where to read on after a restart. It is
written when the engine asks for a snapshot, and before the pool is to see clicks. An item whose clustering failed is
dirty again and tried with the next window to close.

When the engine asks for a snapshot, all sinks have settled the epoch before, and none the one that ends. So what was
sent counts as delivered at the second snapshot after it, and reading is resumed at the position of the snapshot before:
what lies between is read again, its dead letters are sent again, and its clicks, which the store has, are passed over.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from flows.config.groups import SeedSettings
from flows.messages.batches import CandidateBatch, ClickBatch, Headers, OutMessage
from flows.messages.codec import SCHEMA_VERSION, centroids_key
from flows.messages.emission_order import order_headers
from flows.seed_sets.candidates import CandidateRegistry
from flows.seed_sets.clustering import ClusteringJob, ClusteringPool, ClusteringResult
from flows.seed_sets.intake import EvictionReason, SeedSetWriter
from flows.seed_sets.item_table import ItemTable
from flows.seed_sets.keeper_state import OpenWork
from flows.seed_sets.windows import WindowClock
from monitoring import metrics
from monitoring.recent_windows import WINDOWS
from state.store.seed_store import SeedStore

_LOOK_AGAIN = timedelta(milliseconds=20)
_HEADERS: Headers = [("schema_version", SCHEMA_VERSION.encode())]

_EVERY_S = 0.5
"""Counting items and seeds scans all of them, which is too much for every poll."""


class SeedSetOperator:
    """Seed sets, windows and clustering of one partition; ``flows/engine/steps.py`` makes it a step of the dataflow.

    Args:
        store: the partition's seed sets.
        pool: where clustering runs.
        options: how seed sets and windows are kept.

    Raises:
        RalmError: when what the store says is still to be done cannot be read.
    """

    def __init__(self, store: SeedStore, pool: ClusteringPool, options: SeedSettings) -> None:
        self._store = store
        self._pool = pool
        self._options = options
        self._writer = SeedSetWriter(store, options)
        self._running: dict[str, Future[ClusteringResult]] = {}
        self._acked: list[str] = []
        self._in_flight: list[str] = []
        self._metrics = PartitionMetrics(store.meta.partition)
        self._older = self._versions()
        self._versions_in_flight = False
        self._startup_messages: list[OutMessage] = []
        self._unwritten = False  # clicks that the pool must see before it clusters their items
        self._resume_at = (store.meta.resume, store.meta.resume_candidates)
        self._reached: tuple[int, int] | None = None  # at the last snapshot
        self._pending: dict[str, int] = {}
        self._sent: dict[str, int] = {}  # since the last snapshot
        self._settling: dict[str, int] = {}  # in the epoch before that
        items, work = self._writer.items, None if store.work is None else OpenWork.decode(store.work)
        if work is None:
            self._clock = WindowClock(options, int(items.last_click.max()) if len(items) else None)
        else:
            self._clock = WindowClock(options, work.newest, work.closed)
            self._pending = {item: window for item, window in work.pending.items() if item in items}
        self._writer.beside = self._beside
        self._resume(work)

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

    def snapshot(self) -> None:
        """Write the epoch that ends; all that was sent in the epoch before it has been delivered."""
        self._settling = {}
        self._resume_at = self._reached or self._resume_at
        self._writer.ack_tombstones(self._acked)
        self._write()
        self._settling, self._sent = self._sent, {}
        self._reached = (self._writer.position, self._writer.candidates)
        self._acked, self._in_flight = self._in_flight, []
        self._older = self._older[:1] if self._versions_in_flight else self._older
        self._versions_in_flight = True
        self._metrics.snapshot()

    def settled(self) -> None:
        """Write that all that was sent has been delivered, once the dataflow has ended by itself."""
        for _ in range(2):
            self.snapshot()

    def _beside(self) -> dict[str, Any]:
        """What is written beside the seed sets."""
        items, clock = self._writer.items, self._clock
        dirty = items.dirty()
        marks = ([items.name(n) for n in dirty], items.dirty_from[dirty], items.dirty_to[dirty])
        pending = {item: window for item, window in (self._settling | self._sent).items() if item in items}
        resume, resume_candidates = self._resume_at
        return {
            "work": OpenWork(clock.newest, clock.closed, marks, pending | self._pending).encode(),
            "resume": resume,
            "resume_candidates": resume_candidates,
            "model_version": self._pool.model_version,
            "older_versions": self._older,
        }

    def _resume(self, work: OpenWork | None) -> None:
        items = self._writer.items
        if work is not None:
            names, first, last = work.dirty
            numbers = items.find(names)
            known = numbers >= 0
            items.dirty_from[numbers[known]], items.dirty_to[numbers[known]] = first[known], last[known]
        if work is None or self._store.meta.model_version != self._pool.model_version:
            # Nothing is known of what was emitted, or it was made by another model: cluster every item again.
            everything = np.flatnonzero(items.live)
            items.mark(everything, self._clock.window_ends(items.last_click[everything])[0])
        out = self._evict(self._writer.evictable(self._clock.closed))
        unacked = self._store.unacked_tombstones()
        self._in_flight += unacked
        # One that came back since may have lost its centroids to the tombstone that is sent again: cluster it again.
        numbers = items.find(item for item in unacked if item in items)
        items.mark(numbers, np.full(len(numbers), self._clock.next_end()))
        self._startup_messages = self._forgotten_versions() + self._tombstones(unacked) + out

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
        metrics.CLICKS.labels("applied").inc(len(applied.numbers))
        metrics.CLICKS.labels("replayed").inc(applied.replayed)
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
            if item_id in self._pending and item_id not in self._running:
                shed += 1
                WINDOWS.settled(self._pending[item_id], "shed")
            # An item that waits keeps its place, so that the longest waiting is always next and none is forgotten.
            self._pending[item_id] = window
        metrics.RECLUSTERS.labels("shed").inc(shed)
        ends, touched = np.unique(windows, return_counts=True)
        metrics.WINDOWS_CLOSED.inc(len(ends))
        WINDOWS.closed(self._store.meta.partition, dict(zip(ends.tolist(), touched.tolist(), strict=True)))
        self._metrics.window_end(closed)
        writer.forget_candidates(closed)
        return self._evict(writer.evictable(closed))

    def _evict(self, items: dict[str, EvictionReason]) -> list[OutMessage]:
        for item_id in items:
            if (window := self._pending.pop(item_id, None)) is not None:
                WINDOWS.settled(window, "evicted")
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
        WINDOWS.settled(result.job.window_end, result.outcome)
        self._writer.clustered(item_id, result.seeds, result.centroids)
        if self._pending.get(item_id) == result.job.window_end:
            del self._pending[item_id]
            if result.outcome == "failed":  # once a window: at once, it would fail at once again
                items = self._writer.items
                items.mark(items.find([item_id]), np.array([self._clock.next_end()]))
        if result.centroids is None:
            return []
        metrics.CENTROIDS_TIME.set_to_current_time()
        self._sent[item_id] = result.job.window_end
        headers = [*_HEADERS, ("model_version", self._pool.model_version.encode())]
        return [OutMessage(centroids_key(self._pool.model_version, item_id), result.centroids, headers)]

    def _write(self) -> None:
        self._unwritten = False
        self._writer.write()


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
