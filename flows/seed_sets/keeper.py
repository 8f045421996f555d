"""The stateful operator: a partition's seed sets, clustered item by item when a window closes.

The store is the only truth. One synced batch holds the seeds, the offsets that they reach, the watermark, the items
that await clustering or whose centroids may not have been delivered, and where to read on after a restart. It is
written when the engine asks for a snapshot, and before the pool is to see clicks. An item whose clustering failed is
dirty again and tried with the next window to close.

What is kept follows from the clicks (``intake.py``). Whether an item is served is looked at when a window closes, when
an idle partition reaches a window's end, and when a message names the item: what is served no more gets a tombstone and
keeps its seeds; what is served again is clustered anew from them.

When the engine asks for a snapshot, all sinks have settled the epoch before, and none the one that ends. So what was
sent counts as delivered at the second snapshot after it, and reading is resumed at the position of the snapshot before:
what lies between is read again, its dead letters are sent again, and its clicks, which the store has, are passed over.
"""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from flows.config.groups import SeedSettings
from flows.messages.batches import CandidateBatch, ClickBatch, Headers, OutMessage
from flows.messages.codec import SCHEMA_VERSION, centroids_key
from flows.messages.emission_order import order_headers, partition_headers
from flows.seed_sets.candidates import ServingRule
from flows.seed_sets.clustering import ClusteringJob, ClusteringPool, ClusteringResult, is_of_model
from flows.seed_sets.emitted_before import EmittedBefore, at_home
from flows.seed_sets.intake import SeedSetWriter
from flows.seed_sets.item_homes import ItemHomes
from flows.seed_sets.keeper_state import OpenWork
from flows.seed_sets.partition_metrics import PartitionMetrics
from flows.seed_sets.tombstones import Tombstones
from flows.seed_sets.windows import WindowClock
from monitoring import metrics
from monitoring.recent_windows import WINDOWS
from ralm.features import Ints
from state.store.seed_store import SeedStore

_LOOK_AGAIN = timedelta(milliseconds=20)

_TOO_LITTLE = ("too_few_seeds", "no_vectors")


class SeedSetOperator:
    """Seed sets, windows and clustering of one partition; ``flows/engine/steps.py`` makes it a step of the dataflow.

    Args:
        store: the partition's seed sets.
        pool: where clustering runs.
        options: how seed sets and windows are kept.
        topics: by what the topics are known again, as attributes of ``StoreMeta``.
        emit_all: whether the centroids topic does not have what was emitted, so that all of it is due again.
        emitted_before: where a new store takes the place of another: what that has emitted.
        first_count: how many partitions the clicks topic had at first, if it has grown; else 0.

    Raises:
        RalmError: when what the store says is still to be done cannot be read.
    """

    def __init__(
        self,
        store: SeedStore,
        pool: ClusteringPool,
        options: SeedSettings,
        topics: Callable[[], Mapping[str, Any]] = dict,
        *,
        emit_all: bool = False,
        emitted_before: EmittedBefore | None = None,
        first_count: int = 0,
    ) -> None:
        self._store = store
        self._pool = pool
        self._options = options
        self._topics = topics
        self._emit_all = emit_all
        # Not one that only takes items over: its partition's other items may be on their way to where they belong.
        self._replaces = emitted_before is not None and (store.work is None or store.meta.replaces)
        is_away = emitted_before.is_away if emitted_before and self._replaces else at_home
        self._writer = SeedSetWriter(store, options, is_away)
        self._rule = ServingRule(only_listed=options.candidates == "listed", item_ttl=options.item_ttl)
        self._running: dict[str, Future[ClusteringResult]] = {}
        self._again: set[str] = set()  # running, and due again since
        self._metrics = PartitionMetrics(store.meta.partition)
        self._of_partition = partition_headers(store.meta.partition, first_count)
        self._headers: Headers = [("schema_version", SCHEMA_VERSION.encode()), *self._of_partition]
        self._startup_messages: list[OutMessage] = []
        self._unwritten = False  # what must be in the store before the pool clusters: clicks of its items, the model
        self._resume_at = (store.meta.resume, store.meta.resume_candidates)
        # What this process has read: after a crash the store is ahead of it for a while.
        self._read_clicks, self._read_candidates = self._resume_at
        self._reached: tuple[int, int] | None = None  # at the last snapshot
        self._pending: dict[str, int] = {}
        self._sent: dict[str, int] = {}  # since the last snapshot
        self._settling: dict[str, int] = {}  # in the epoch before that
        items, work = self._writer.items, OpenWork.of(store)
        # An item is born as of later than what was said of it, and with centroids that may have to be taken back.
        self._emitted_before = emitted_before
        self._tombstones = Tombstones(store.unacked_tombstones(), self._older_models())
        self._writer.emitted_before = emitted_before.items if emitted_before else {}
        if emitted_before and self._replaces:
            self._writer.say_later(emitted_before.items)
        if work is None:
            self._clock = WindowClock(options, int(items.last_click.max()) if len(items) else None)
        else:
            self._clock = WindowClock(options, work.newest, work.closed, work.heard)
            self._writer.dropped_until = work.dropped_until
            self._pending = {item: window for item, window in work.pending.items() if item in items}
            # Their centroids may have been sent before a crash: a tombstone is as of no earlier than those, and is due
            # if the next set is too small.
            numbers, windows = items.find(list(self._pending)), np.fromiter(self._pending.values(), np.int64)
            items.emitted[numbers] = np.maximum(items.emitted[numbers], windows)
            items.unsure[numbers] = True
        self._writer.beside = self._beside
        self._resume(work)

    def _cut_anew(self) -> None:
        """Windows were longer before: clicks wait for the ends of windows as they are now, and are due with those."""
        items, clock = self._writer.items, self._clock

        def ends(time: int) -> tuple[int, int]:
            own = clock.own_ends(np.array([time]))
            return int(own[0]), int(clock.closing(own)[0][0])

        found = {item: self._store.cut_anew(item, clock.closed, ends) for item in self._store.windowed()}
        numbers, closes = items.find(list(found)), np.fromiter(found.values(), np.int64)
        known = numbers >= 0
        items.mark(numbers[known], closes[known])
        last = np.zeros(len(items.live), np.int64)
        last[numbers[known]] = closes[known]
        dirty = items.dirty()
        due = np.maximum(clock.window_ends(items.last_click[dirty])[0], last[dirty])
        items.dirty_to[dirty] = np.minimum(items.dirty_to[dirty], due)
        items.dirty_from[dirty] = np.minimum(items.dirty_from[dirty], due)

    def join(self, homes: ItemHomes) -> None:
        """Have it noticed if an item of this partition is another's too."""
        partition = self._store.meta.partition
        homes.add(partition, self._writer.items)
        self._writer.on_new = lambda item_id: homes.note(partition, item_id)

    def apply(self, batches: "list[ClickBatch | CandidateBatch]") -> list[OutMessage]:
        """Apply clicks and candidates and close windows; emits centroids and tombstones."""
        out = self._begin()
        for batch in batches:
            if isinstance(batch, CandidateBatch):
                out += self._apply_candidates(batch)
                continue
            for closed, part in self._clock.cut(batch):
                if closed is not None:
                    out += self._close(closed)
                out += self._apply_clicks(part)
            self._read_clicks = batch.next_offset
            before = self._emitted_before
            if before is not None and (batch.idle or batch.next_offset >= before.clicks_end):
                out += self._caught_up(before)
            reached = self._clock.reach(batch)
            if reached is not None:
                out += self._reach(reached)
        return out + self.collect()

    def collect(self) -> list[OutMessage]:
        """Emit what the pool has finished and give it the next items, oldest window first."""
        out = self._begin()
        for item_id in [item for item, future in self._running.items() if future.done()]:
            out += self._finish(self._running.pop(item_id).result())
        if self._unwritten:
            self._write()  # the pool reads the store
        for item_id, window in self._pending.items():
            if len(self._running) >= self._pool.slots:
                break
            if item_id not in self._running:
                self._running[item_id] = self._pool.submit(self._store, self._job(item_id, window))
        self._metrics.update(self._writer.items, self._writer.registry, self._pending, self._clock)
        return out

    def _begin(self) -> list[OutMessage]:
        """Hand on what is due since the start."""
        out, self._startup_messages = self._startup_messages, []
        self._tombstones.sent_unacked()
        if not self._replaces:
            self._tombstones.sent_of_models()
        return out

    def _job(self, item_id: str, window: int) -> ClusteringJob:
        items = self._writer.items
        number = items.number(item_id)
        window_end = max(window, int(items.emitted[number]))
        # The store's position is synced: what a crash loses is not said to be in centroids.
        position, served = self._store.position, not items.withdrawn[number]
        return ClusteringJob(item_id, window, window_end, served, position, self._clock.closed)

    def notify_at(self) -> datetime | None:
        """When to call ``collect`` next: soon while clustering runs, else None."""
        return datetime.now(UTC) + _LOOK_AGAIN if self._pending or self._startup_messages else None

    def snapshot(self) -> None:
        """Write the epoch that ends; all that was sent in the epoch before it has been delivered."""
        self._settling = {}
        self._resume_at = self._reached or self._resume_at
        self._writer.ack_tombstones(self._tombstones.delivered())
        self._write()
        self._settling, self._sent = self._sent, {}
        self._reached = (self._read_clicks, self._read_candidates)
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
            "work": OpenWork(
                clock.newest,
                clock.closed,
                clock.heard,
                marks,
                pending | self._pending,
                self._writer.dropped_until,
                self._options.window,
                self._pool.made_with,
            ).encode(),
            "resume": resume,
            "resume_candidates": resume_candidates,
            "model_version": self._pool.model_version,
            "older_versions": self._tombstones.older,
            "replaces": self._replaces,
            **self._topics(),
        }

    def _resume(self, work: OpenWork | None) -> None:
        items = self._writer.items
        if work is not None:
            names, first, last = work.dirty
            numbers = items.find(names)
            known = numbers >= 0
            for windows in (first, last):  # a name may be there twice, from two partitions
                items.mark(numbers[known], windows[known])
            if not 0 < work.window <= self._options.window:
                self._cut_anew()
        other_model = self._store.meta.model_version != self._pool.model_version
        other_settings = work is not None and work.made_with not in ("", self._pool.made_with)
        if other_model or other_settings:
            # It may be one that was used before: what is said now is as of later than its centroids and tombstones.
            said = np.flatnonzero(items.live & (items.emitted > 0))
            items.emitted[said] += 1
            items.unsure[said] |= self._pool.model_version in self._store.meta.older_versions
            self._writer.changed(said.tolist())
            self._unwritten = True  # before there are centroids of a model, the store must know that there may be
        if work is None or other_model or other_settings or self._emit_all or self._replaces:
            # Nothing is known of what was emitted, or it was made by another model or otherwise, or is gone.
            self._cluster_anew(np.flatnonzero(items.live & ~items.withdrawn))
        unacked = self._store.unacked_tombstones()
        # One that is served again since would lose its centroids to the tombstone that is sent again: it is clustered
        # again, as of later than that.
        again = [item for item in unacked if item in items and not items.withdrawn[items.number(item)]]
        out = self._take_back(unacked)
        self._cluster_anew(items.find(again))
        self._startup_messages = ([] if self._replaces else self._forgotten_models()) + out

    def _older_models(self) -> tuple[str, ...]:
        """Models whose centroids may be in the topic, newest first; a store that is filled anew asks the topic."""
        meta, mine = self._store.meta, self._pool.model_version
        said = self._emitted_before.models if self._emitted_before and self._replaces else ()
        return tuple(dict.fromkeys(m for m in (*said, meta.model_version, *meta.older_versions) if m not in ("", mine)))

    def _forgotten_models(self) -> list[OutMessage]:
        """Take the centroids of all but the newest older model back."""
        items, models = self._writer.items, self._tombstones.older[1:]
        out: list[OutMessage] = []
        for number in np.flatnonzero(items.live & ~items.away).tolist() if models else ():
            # As of the last that was said of the item: what comes of the model if it is used again is as of later.
            end = int(items.emitted[number]) or self._clock.closed
            headers = [*self._headers, *order_headers(end, self._writer.position)]
            out += [OutMessage(centroids_key(model, items.name(number)), None, headers) for model in models]
        return out

    def _apply_clicks(self, batch: ClickBatch) -> list[OutMessage]:
        applied = self._writer.apply_clicks(batch, self._clock)
        metrics.CLICKS.labels("applied").inc(applied.applied)
        metrics.CLICKS.labels("replayed").inc(applied.replayed)
        metrics.LATE_CLICKS.inc(applied.late)
        return self._dropped(applied.dropped)

    def _apply_candidates(self, batch: CandidateBatch) -> list[OutMessage]:
        out: list[OutMessage] = []
        writer = self._writer
        for change in batch.changes:
            if writer.apply_candidate(change) and change.item_id in writer.items:
                out += self._serve(writer.items.find([change.item_id]), self._clock.reached)
        writer.candidates = max(writer.candidates, batch.next_offset)
        self._read_candidates = batch.next_offset
        return out

    def _close(self, closed: int) -> list[OutMessage]:
        """Windows have closed by the clicks: what is idle for too long is forgotten, and the rest as if reached."""
        self._metrics.window_end(closed)
        forgotten = self._writer.forgettable(closed)
        self._writer.drop(forgotten, "forgotten")
        return self._dropped(forgotten) + self._reach(closed)

    def _reach(self, reached: int) -> list[OutMessage]:
        """Windows have ended: what they touched is due for clustering, and whether items are served is looked at."""
        items = self._writer.items
        numbers, windows = items.touched_until(reached)
        self._unwritten |= len(numbers) > 0
        shed = 0
        for number, window in zip(numbers.tolist(), windows.tolist(), strict=True):
            item_id = items.name(number)
            if item_id in self._pending and item_id not in self._running:
                shed += 1
                WINDOWS.settled(self._pending[item_id], "shed")
            if item_id in self._running:
                self._again.add(item_id)
            # An item that waits keeps its place, so that the longest waiting is always next and none is forgotten.
            # And no window that an idle partition had reached is taken back.
            self._pending[item_id] = max(window, self._pending.get(item_id, 0))
        metrics.RECLUSTERS.labels("shed").inc(shed)
        ends, due = np.unique(windows, return_counts=True)
        metrics.WINDOWS_CLOSED.inc(len(ends))
        WINDOWS.closed(self._store.meta.partition, dict(zip(ends.tolist(), due.tolist(), strict=True)))
        return self._serve(np.flatnonzero(items.live), reached, touched=numbers)

    def _serve(self, numbers: Ints, now: int, touched: Ints | None = None) -> list[OutMessage]:
        """Serve what is to be served as of ``now`` (event time, ms), and withdraw the rest."""
        items = self._writer.items
        served, withdrawn = self._rule.served(items, numbers, now), items.withdrawn[numbers]
        back, gone = numbers[served & withdrawn], numbers[~served & ~withdrawn]
        items.withdrawn[back], items.withdrawn[gone] = False, True
        self._writer.changed([*back.tolist(), *gone.tolist()])
        self._cluster_anew(back if touched is None else np.setdiff1d(back, touched))
        served_before = []
        for number in gone[~items.away[gone]].tolist():
            reason = self._rule.reason(int(items.expires_at[number]))
            metrics.ITEMS_ENDED.labels(reason).inc()
            if reason != "unlisted" or items.emitted[number]:  # what was never listed was never served
                served_before.append(items.name(number))
        return self._withdraw(served_before)

    def _withdraw(self, item_ids: list[str]) -> list[OutMessage]:
        """Take the centroids of items back; their seeds stay."""
        self._writer.withdraw(item_ids)
        self._tombstones.sent(item_ids)
        return self._take_back(item_ids)

    def _cluster_anew(self, numbers: Ints) -> None:
        """Have items clustered with the next window, or their last click's where an idle partition is ahead."""
        items = self._writer.items
        items.mark(numbers, self._clock.window_ends(items.last_click[numbers])[0])
        self._writer.changed(numbers.tolist())

    def _caught_up(self, before: EmittedBefore) -> list[OutMessage]:
        """All clicks were read that there were: what is served and not among them is to be served no more."""
        replaced = self._replaces
        self._emitted_before, self._writer.emitted_before, self._replaces = None, {}, False
        if not replaced:
            return []
        items = self._writer.items
        ends = [before.items[item].window_end + 1 for item in before.mine if item not in items]
        self._writer.dropped_until = max([self._writer.dropped_until, *ends])
        # An older copy of a store may have withdrawn before what was served when the newer one ended.
        gone = [item for item in before.live() if item not in items or items.withdrawn[items.number(item)]]
        out = self._withdraw(gone) + self._forgotten_models()
        self._tombstones.sent_of_models()
        return out

    def _dropped(self, item_ids: list[str]) -> list[OutMessage]:
        """Items have been dropped with their seeds."""
        for item_id in item_ids:
            if (window := self._pending.pop(item_id, None)) is not None:
                WINDOWS.settled(window, "evicted")
            running = self._running.pop(item_id, None)
            self._again.discard(item_id)
            if running is not None and not running.cancel():
                running.result()  # it may be tidying the very seeds that are to go
        mine = [item_id for item_id in item_ids if not self._writer.is_away(item_id)]
        self._tombstones.sent(mine)
        return self._take_back(mine)

    def _take_back(self, item_ids: Iterable[str]) -> list[OutMessage]:
        versions = (self._pool.model_version, *self._tombstones.older)
        out = []
        for item_id in item_ids:
            headers = self._tombstone_headers(item_id)
            out += [OutMessage(centroids_key(version, item_id), None, headers) for version in versions]
        return out

    def _tombstone_headers(self, item_id: str) -> Headers:
        """As of the last window that closed, and no earlier than what was emitted of the item."""
        items = self._writer.items
        window_end = max(self._clock.closed, self._writer.dropped_until)
        if item_id in items:
            number = items.number(item_id)
            window_end = max(window_end, int(items.emitted[number]))
            # What comes after a tombstone is later, though no click came between them.
            items.emitted[number], items.unsure[number] = window_end + 1, False
            self._writer.changed([number])
        return [*self._headers, *order_headers(window_end, self._writer.position)]

    def _finish(self, result: ClusteringResult) -> list[OutMessage]:
        job, items = result.job, self._writer.items
        number = items.number(job.item_id)
        metrics.SEED_EVICTIONS.inc(result.evicted)
        WINDOWS.settled(job.until, result.outcome)
        is_due = self._pending.get(job.item_id) == job.until and job.item_id not in self._again
        self._again.discard(job.item_id)
        if is_due:
            del self._pending[job.item_id]
        was_emitted = self._is_emitted(job.item_id) if result.outcome in _TOO_LITTLE else False
        # It was withdrawn meanwhile, and may be served again: a tombstone of a later window is said already, which no
        # scorer follows with these. It is due again then.
        gone = items.withdrawn[number] or job.window_end < items.emitted[number]
        if result.centroids is None or gone:
            # What was sent before need not be made again: it is out of date, and the store may not have its seeds.
            self._sent.pop(job.item_id, None)
            self._settling.pop(job.item_id, None)
        if gone:  # meanwhile, or from the start
            self._writer.clustered(job.item_id, result.seeds, None)
            return []
        self._writer.clustered(job.item_id, result.seeds, result.centroids)
        if result.outcome == "failed" and is_due:  # once a window: at once, it would fail at once again
            self._cluster_anew(items.find([job.item_id]))
        if result.outcome in _TOO_LITTLE:
            # An idle partition may be ahead of the clicks that come next: they are asked for as of no earlier.
            items.emitted[number] = max(job.window_end, int(items.emitted[number]))
        if is_due and result.outcome in _TOO_LITTLE and (items.unsure[number] or was_emitted):
            # Its set has ended by a gap: what the centroids were made of is not there any more.
            return self._withdraw([job.item_id])
        if result.centroids is None:
            return []
        metrics.CENTROIDS_TIME.set_to_current_time()
        items.emitted[number], items.unsure[number] = job.window_end, False
        self._sent[job.item_id] = job.window_end
        headers = [*self._pool.headers_of(job), *self._of_partition]
        return [OutMessage(centroids_key(self._pool.model_version, job.item_id), result.centroids, headers)]

    def _is_emitted(self, item_id: str) -> bool:
        """Whether centroids of this model may be in the topic."""
        last = self._store.centroids(item_id)
        return item_id in self._sent or (last is not None and is_of_model(last, self._pool.model_version))

    def _write(self) -> None:
        self._unwritten = False
        self._writer.write()
