"""Seeds clustering beside the dataflow's thread: a job turns an item's seed set into its centroids, many in a call."""

import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from flows.config.groups import ClusteringSettings
from flows.messages.batches import Headers
from flows.messages.codec import decode_centroids, encode_centroids
from flows.messages.event_headers import EventHeaders
from flows.messages.rejects import InvalidMessage
from flows.messages.types import Centroids
from flows.support.logs import get_logger
from monitoring import metrics
from ralm.clustering import Clusters, cluster_many, is_compiled
from ralm.scoring import COUNTED, global_embedding
from ralm.seed_set import SeedSet
from ralm.sketch import Sketch
from state.bundle.bundle import Bundle
from state.store.seed_store import SeedStore

log = get_logger(__name__)

_MOST_JOBS = 64
"""Items of one call: an eviction may have to wait for it, and a closing flow does."""
_MOST_ROWS = 65_536
"""Vectors of one call, about: 32 MiB at 128 numbers each, besides those of its last item."""

ClusteringOutcome: TypeAlias = Literal["emitted", "too_few_seeds", "no_vectors", "failed", "unlisted"]


@dataclass(frozen=True)
class ClusteringJob:
    """An item to cluster from its seeds as of the end of a window.

    Attributes:
        item_id: the item.
        until: end of the window that made it due, ms.
        window_end: the end as of which the set is asked, and which the centroids say, ms: no less than what was said of
            the item before.
        served: one that is not served is only tidied.
        clicks_offset: offset after the last click that is in the store; what comes of the job is as of it.
        closed: windows until here are closed, ms: no click for them can come any more.
    """

    item_id: str
    until: int
    window_end: int
    served: bool = True
    clicks_offset: int = 0
    closed: int = 0


@dataclass(frozen=True)
class ClusteringResult:
    """What became of a job.

    Attributes:
        job: the job.
        outcome: ``emitted`` when there are centroids to emit.
        seeds: seeds in the item's set as of the window's end.
        evicted: seeds that newer ones drove out of the store.
        centroids: the encoded message, None unless ``emitted``.
    """

    job: ClusteringJob
    outcome: ClusteringOutcome
    seeds: int
    centroids: bytes | None = None
    evicted: int = 0


def one_numeric_thread() -> None:
    """Keep numerical libraries from starting threads of their own for work of this thread.

    A job is small, and its threads would spin against the dataflow's.
    """
    threadpool_limits(1)


def is_of_model(centroids: bytes, model_version: str) -> bool:
    """Whether encoded centroids are of a model; no, where they cannot be read."""
    try:
        return decode_centroids(centroids).model_version == model_version
    except InvalidMessage:
        return False


class ClusteringPool:
    """Runs jobs in threads, many in one call of ``cluster_many``, which holds no interpreter lock.

    A job that waited for the lock on its own would wait for each of its steps: beside a busy dataflow that is most of
    its time.

    Args:
        bundle: the users' vectors and the form of the scores.
        options: how seeds are clustered.
        compiled: whether to use the compiled k-means; None: where it is there.
        headers: of the centroids; None: without those of CloudEvents.

    Attributes:
        model_version: the bundle's.
        made_with: the settings that centroids are made with, as a text.
        slots: so many jobs keep the threads busy until the operator looks in again.
    """

    def __init__(
        self,
        bundle: Bundle,
        options: ClusteringSettings,
        *,
        compiled: bool | None = None,
        headers: EventHeaders | None = None,
    ) -> None:
        self.model_version = bundle.version
        # All that decides what comes of a set, but for the model.
        names = ("clusters", "min_seeds", "cluster_sample", "rng_seed", "sketches")
        self.made_with = " ".join(f"{name}={getattr(options, name)}" for name in names)
        self._headers = headers or EventHeaders("centroids", bundle.version)
        threads = options.cluster_workers
        self._bundle = bundle
        self._options = options
        self._waiting: deque[_Entry] = deque()
        self._executor = ThreadPoolExecutor(threads, "clustering", initializer=one_numeric_thread)
        self._compiled = is_compiled() if compiled is None else compiled
        self._most_jobs = _MOST_JOBS if self._compiled else 1
        # The operator looks in every 20 ms.
        self.slots = (_MOST_JOBS if self._compiled else 8) * (threads + 1)
        if not is_compiled():
            log.warning(
                "clustering runs without its compiled code and is about 20 times slower: install a C compiler (Debian: "
                "apt-get install gcc libc6-dev) and install this package again"
            )

    def submit(self, store: SeedStore, job: ClusteringJob) -> "Future[ClusteringResult]":
        """Start a job; a store that cannot be read raises from the future, nothing else does."""
        entry = _Entry(store, job, Future())
        self._waiting.append(entry)
        self._executor.submit(self._run_some)
        return entry.future

    def headers_of(self, job: ClusteringJob) -> Headers:
        """The headers of a job's centroids."""
        event_id = f"{self.model_version}/{job.item_id}/{job.window_end}/{job.clicks_offset}"
        return self._headers.of(event_id, job.item_id)

    def close(self) -> None:
        """Drop what has not begun and wait for the rest."""
        waiting, self._waiting = self._waiting, deque()
        for entry in waiting:
            entry.future.cancel()
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _run_some(self) -> None:
        """Take jobs that wait, as many as belong into one call, and do them; an earlier call may have taken all."""
        began = time.perf_counter()
        work: list[_Entry] = []
        rows = 0
        while len(work) < self._most_jobs and rows < _MOST_ROWS and (entry := self._next()) is not None:
            if self._read(entry):
                work.append(entry)
                rows += min(len(entry.seeds), self._options.cluster_sample)
        if work:
            self._do(work, began)

    def _do(self, work: "list[_Entry]", began: float) -> None:
        """Cluster what has been read, and end its jobs."""
        try:
            self._cluster(work)
        except Exception:
            log.exception("clustering failed", items=len(work))
        each = (time.perf_counter() - began) / len(work)
        for entry in work:
            metrics.RECLUSTER_SECONDS.observe(each)
            metrics.RECLUSTERS.labels(entry.outcome).inc()
            entry.future.set_result(
                ClusteringResult(entry.job, entry.outcome, len(entry.seeds), entry.centroids, entry.evicted)
            )

    def _next(self) -> "_Entry | None":
        while self._waiting:
            try:
                entry = self._waiting.popleft()
            except IndexError:  # another thread took it
                return None
            if entry.future.set_running_or_notify_cancel():
                return entry
        return None

    def _read(self, entry: "_Entry") -> bool:
        """Read what a job needs of its store; a store that cannot be read ends it."""
        store, job = entry.store, entry.job
        try:
            closed = min(job.closed, job.window_end)
            entry.seeds, entry.evicted = store.merged_seeds(job.item_id, closed=closed, until=job.window_end)
            entry.start = self._start(store, job.item_id) if job.served else None
        except BaseException as error:
            entry.future.set_exception(error)
            return False
        return True

    def _cluster(self, work: "list[_Entry]") -> None:
        """Give each entry its outcome and its centroids; what raises leaves the rest failed."""
        options, vectors = self._options, self._bundle.vectors
        rows = vectors.rows(np.concatenate([entry.seeds.users for entry in work]))
        ends = np.cumsum([len(entry.seeds) for entry in work])
        due: list[_Entry] = []
        for entry, found in zip(work, np.split(rows, ends[:-1]), strict=True):
            entry.rows = found[found >= 0]
            entry.outcome = _outcome(entry, options.min_seeds)
            if entry.outcome != "emitted":
                continue
            entry.outcome = "failed"  # until there are centroids
            due.append(entry)
            if len(entry.rows) > options.cluster_sample:  # before gathering: 3,000,000 vectors would be 1.5 GB
                draw = np.random.default_rng(options.rng_seed)
                entry.rows = np.sort(draw.choice(entry.rows, options.cluster_sample, replace=False))
        if not due:
            return
        clusters = cluster_many(
            vectors.gather(np.concatenate([entry.rows for entry in due])),
            np.concatenate([[0], np.cumsum([len(entry.rows) for entry in due])]),
            options.clusters,
            rng_seed=options.rng_seed,
            starts=[entry.start for entry in due],
            unit=self._bundle.form.name == COUNTED,
            sample=options.cluster_sample,
            compiled=self._compiled,
        )
        for entry, mine in zip(due, clusters, strict=True):
            if mine is None:
                log.error("an item's seeds have a vector that is not finite", item=entry.job.item_id)
                continue
            entry.centroids = encode_centroids(self._message(entry, mine))
            entry.outcome = "emitted"

    def _message(self, entry: "_Entry", clusters: Clusters) -> Centroids:
        made = Centroids.of(
            item_id=entry.job.item_id,
            model_version=self.model_version,
            window_end=entry.job.window_end,
            seeds=len(entry.seeds),
            counts=clusters.counts,
            centroids=clusters.centroids,
            global_=global_embedding(clusters.centroids, self._bundle.form, clusters.counts),
            clicks_offset=entry.job.clicks_offset,
        )
        return made.with_sketch(Sketch.of_keys(entry.seeds.users).hashes) if self._options.sketches else made

    def _start(self, store: SeedStore, item_id: str) -> NDArray[np.float32] | None:
        """The item's last centroids, if they are of this model; only a warm start, so unreadable ones are ignored."""
        last = store.centroids(item_id)
        if last is None:
            return None
        try:
            message = decode_centroids(last)
        except InvalidMessage as error:
            log.warning(
                "an item's last centroids cannot be read; it is clustered from scratch", item=item_id, why=str(error)
            )
            return None
        mine = (message.model_version, message.h) == (self.model_version, self._bundle.form.dim)
        return message.centroids_array() if mine else None


@dataclass
class _Entry:
    """A job on its way through a call."""

    store: SeedStore
    job: ClusteringJob
    future: "Future[ClusteringResult]"
    seeds: SeedSet = field(default_factory=SeedSet.empty)
    evicted: int = 0
    start: NDArray[np.float32] | None = None
    rows: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """Of the seeds that have a vector, in the bundle."""
    outcome: ClusteringOutcome = "failed"
    centroids: bytes | None = None


def _outcome(entry: _Entry, min_seeds: int) -> ClusteringOutcome:
    if not entry.job.served:
        return "unlisted"
    if len(entry.rows) and len(entry.rows) >= min_seeds:
        return "emitted"
    return "no_vectors" if not len(entry.rows) and len(entry.seeds) >= min_seeds else "too_few_seeds"
