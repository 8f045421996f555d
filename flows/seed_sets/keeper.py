"""The stateful step: keeps a partition's seed sets and has the touched items clustered when a window closes.

Who remembers what: the store has the seeds and the offsets they reach; the engine's snapshot has the watermark and the
items that await clustering. The store's batch is written when the engine asks for a snapshot, so the store may be
ahead of the snapshot, never behind. An item whose clustering failed is dirty again and tried with the window that
closes next. After a crash the engine replays the messages since its snapshot: clicks that the store already has (by
offset) do not go in again, but they mark their items again, since the centroids that were made of them may never have
been delivered. A store that is behind all the same (another disk, a backup) catches up first.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import numpy as np

from flows.config.settings import SeedSettings
from flows.messages.batches import CandidateBatch, ClickBatch, Headers, OutMessage
from flows.messages.codec import SCHEMA_VERSION, centroids_key
from flows.seed_sets.candidates import Listings
from flows.seed_sets.catch_up import catch_up
from flows.seed_sets.clustering import ClusteringPool, Job, Result
from flows.seed_sets.intake import Reason, SeedIntake
from flows.seed_sets.item_table import ItemTable
from flows.seed_sets.keeper_state import KeeperState
from flows.seed_sets.windows import WindowClock
from monitoring import metrics
from state.store.seed_store import SeedStore

_LOOK_AGAIN = timedelta(milliseconds=20)
_HEADERS: Headers = [("schema_version", SCHEMA_VERSION.encode())]

Missed: TypeAlias = Callable[[KeeperState], tuple[Iterable[ClickBatch], Iterable[CandidateBatch]]]
"""Reads what a store that is behind a snapshot has missed, or raises RalmError when the topics no longer have it."""
_EVERY_S = 0.5
"""To count items and seeds takes a look at all of them, which is too much for every poll."""


class SeedKeeper:
    """Seed sets, windows and clustering of one partition; ``flows/engine/steps.py`` makes it a step of the dataflow.

    Args:
        store: the partition's seed sets.
        pool: where clustering runs.
        options: how seed sets and windows are kept.
        state: the engine's snapshot, None when there is none.
        missed: asked when the store is behind the snapshot.

    Raises:
        RalmError: when the store is behind the snapshot and cannot catch up.
    """

    def __init__(
        self,
        store: SeedStore,
        pool: ClusteringPool,
        options: SeedSettings,
        state: KeeperState | None,
        missed: Missed,
    ) -> None:
        self._store = store
        self._pool = pool
        self._options = options
        self._intake = SeedIntake(store, options)
        if state is not None and (store.position < state.position or store.meta.candidates < state.candidates):
            clicks, candidates = missed(state)
            catch_up(self._intake, options, clicks, candidates, (state.position, state.candidates))
        self._running: dict[str, Future[Result]] = {}
        self._announced: list[str] = []
        self._announcing: list[str] = []
        self._report = KeeperReport(store.meta.partition)
        self._older = self._versions()
        self._versions_told = False
        self._first_words: list[OutMessage] = []
        self._unwritten = False  # clicks that the pool must see before it clusters their items
        self._resume(state)

    def take(self, batches: "list[ClickBatch | CandidateBatch]") -> list[OutMessage]:
        """Take clicks and candidates in and close windows; emits centroids and tombstones."""
        out: list[OutMessage] = []
        for batch in batches:
            if isinstance(batch, CandidateBatch):
                out += self._list(batch)
                continue
            for closed, part in self._clock.cut(batch):
                if closed is not None:
                    out += self._close(closed)
                self._apply(part)
        return out + self.collect()

    def collect(self) -> list[OutMessage]:
        """Emit what the pool has finished and give it the next items, oldest window first."""
        out, self._first_words = self._first_words, []
        for item_id in [item for item, future in self._running.items() if future.done()]:
            out += self._finish(self._running.pop(item_id).result())
        if self._unwritten:
            self._write()  # the pool reads the store
        for item_id, window in self._pending.items():
            if len(self._running) >= self._pool.slots:
                break
            if item_id not in self._running:
                listed = self._intake.listings.is_candidate(item_id)
                self._running[item_id] = self._pool.submit(self._store, Job(item_id, window, listed))
        self._report.show(self._intake.items, self._intake.listings, self._pending, self._clock)
        return out

    def notify_at(self) -> datetime | None:
        """Soon, while clustering runs."""
        return datetime.now(UTC) + _LOOK_AGAIN if self._pending or self._first_words else None

    def snapshot(self) -> KeeperState:
        """Write the epoch to the store, then say what the engine must remember."""
        # The epoch before this one has ended, so its tombstones are with the broker.
        self._intake.told(self._announced)
        self._write()
        self._announced, self._announcing = self._announcing, []
        self._older = self._older[:1] if self._versions_told else self._older
        self._versions_told = True
        self._report.snapshot()
        items = self._intake.items
        dirty = items.dirty()
        return KeeperState(
            self._store.meta.partition,
            self._intake.position,
            self._intake.candidates,
            self._clock.newest,
            self._clock.closed,
            ([items.name(n) for n in dirty], items.dirty_from[dirty], items.dirty_to[dirty]),
            dict(self._pending),
        )

    def _resume(self, state: KeeperState | None) -> None:
        items = self._intake.items
        newest = int(items.last_click.max()) if state is None and len(items) else None
        self._clock = WindowClock(
            self._options,
            newest if state is None else state.newest,
            0 if state is None else state.closed,
        )
        self._pending: dict[str, int] = {}
        if state is not None:
            self._pending = {item: window for item, window in state.pending.items() if item in items}
            names, first, last = state.dirty
            numbers = items.find(names)
            known = numbers >= 0
            items.dirty_from[numbers[known]], items.dirty_to[numbers[known]] = first[known], last[known]
        out = self._give_up(self._intake.due(self._clock.closed))
        untold = self._store.untold()
        self._announcing += untold
        # One that came back since may have lost its centroids to the tombstone that is sent again: make them anew.
        numbers = items.find(item for item in untold if item in items)
        items.mark(numbers, np.full(len(numbers), self._clock.next_end()))
        self._first_words = self._forgotten_versions() + self._tombstones(untold) + out
        if state is None or self._store.meta.model_version != self._pool.model_version:
            # Nothing is known of what was emitted, or it was made by another model: make all of it anew.
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
        return [OutMessage(key, None, _HEADERS) for key in keys]

    def _apply(self, batch: ClickBatch) -> None:
        taken = self._intake.clicks(batch, self._clock.closed)
        windows, late = self._clock.window_ends(taken.times)
        self._intake.items.mark(taken.numbers, windows)
        metrics.CLICKS.labels("applied").inc(taken.new)
        metrics.CLICKS.labels("replayed").inc(len(taken.numbers) - taken.new)
        metrics.CLICKS.labels("refused").inc(taken.refused)
        metrics.LATE_CLICKS.inc(late)

    def _list(self, batch: CandidateBatch) -> list[OutMessage]:
        out: list[OutMessage] = []
        intake = self._intake
        for change in batch.changes:
            if not intake.change(change) or change.item_id not in intake.items:
                continue
            if intake.listings.is_gone(change.item_id, self._clock.closed):
                out += self._give_up({change.item_id: "retired" if change.retired else "expired"})
            elif self._options.candidates == "listed":
                number = intake.items.find([change.item_id])
                intake.items.mark(number, np.array([self._clock.next_end()]))
        intake.candidates = max(intake.candidates, batch.next_offset)
        return out

    def _close(self, closed: int) -> list[OutMessage]:
        items, intake = self._intake.items, self._intake
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
        self._report.window_end(closed)
        intake.forget_listings(closed)
        return self._give_up(intake.due(closed))

    def _give_up(self, due: dict[str, Reason]) -> list[OutMessage]:
        for item_id in due:
            self._pending.pop(item_id, None)
            running = self._running.pop(item_id, None)
            if running is not None and not running.cancel():
                running.result()  # it may be tidying the very seeds that are to go
        self._intake.give_up(due)
        self._announcing += due
        return self._tombstones(due)

    def _tombstones(self, item_ids: Iterable[str]) -> list[OutMessage]:
        versions = (self._pool.model_version, *self._older)
        return [OutMessage(centroids_key(version, item), None, _HEADERS) for item in item_ids for version in versions]

    def _finish(self, result: Result) -> list[OutMessage]:
        item_id = result.job.item_id
        metrics.SEED_EVICTIONS.inc(result.evicted)
        self._intake.clustered(item_id, result.seeds, result.centroids)
        if self._pending.get(item_id) == result.job.window_end:
            del self._pending[item_id]
            if result.outcome == "failed":  # once a window: at once, it would fail at once again
                items = self._intake.items
                items.mark(items.find([item_id]), np.array([self._clock.next_end()]))
        if result.centroids is None:
            return []
        metrics.CENTROIDS_TIME.set_to_current_time()
        headers = [*_HEADERS, ("model_version", self._pool.model_version.encode())]
        return [OutMessage(centroids_key(self._pool.model_version, item_id), result.centroids, headers)]

    def _write(self) -> None:
        self._unwritten = False
        self._intake.write(model_version=self._pool.model_version, older_versions=self._older)


class KeeperReport:
    """The gauges of one partition.

    Args:
        partition: the Kafka partition.
        clock: seconds that only go forward.
    """

    def __init__(self, partition: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._label = str(partition)
        self._clock = clock
        self._last = -_EVERY_S

    def show(self, items: ItemTable, listings: Listings, pending: Mapping[str, int], clock: WindowClock) -> None:
        """Show how much there is, now and then."""
        now = self._clock()
        if now - self._last < _EVERY_S:
            return
        self._last = now
        metrics.ITEMS.labels(self._label).set(len(items))
        metrics.SEEDS.labels(self._label).set(int(items.seeds[items.live].sum()))
        metrics.DIRTY_ITEMS.labels(self._label).set(len(items.dirty()))
        metrics.PENDING_ITEMS.labels(self._label).set(len(pending))
        metrics.LISTINGS.labels(self._label).set(len(listings))
        if clock.watermark is not None:
            metrics.WATERMARK.labels(self._label).set(clock.watermark / 1000)

    def window_end(self, closed: int) -> None:
        """Show the end of the last closed window, ms."""
        metrics.WINDOW_END.labels(self._label).set(closed / 1000)

    def snapshot(self) -> None:
        """Show that a snapshot was taken, and what it held."""
        self._last = -_EVERY_S
        metrics.SNAPSHOT_TIME.labels(self._label).set_to_current_time()
