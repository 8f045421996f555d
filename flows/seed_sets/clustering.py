"""Seeds clustering beside the dataflow's thread: one job turns an item's seed set into its centroids."""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from flows.config.groups import ClusteringSettings
from flows.messages.codec import decode_centroids, encode_centroids
from flows.messages.rejects import InvalidMessage
from flows.messages.types import Centroids
from flows.support.logs import get_logger
from monitoring import metrics
from ralm.clustering import cluster
from ralm.scoring import global_embedding
from ralm.seed_set import SeedSet
from state.bundle.bundle import Bundle
from state.store.seed_store import SeedStore, StoreError

log = get_logger(__name__)

ClusteringOutcome: TypeAlias = Literal["emitted", "too_few_seeds", "no_vectors", "failed", "unlisted"]


@dataclass(frozen=True)
class ClusteringJob:
    """An item to cluster from its seeds as of the end of a window.

    Attributes:
        item_id: the item.
        window: end of the window that made it due, ms.
        window_end: the end as of which the set is asked, and which the centroids say, ms: no less than what was said of
            the item before.
        served: one that is not served is only tidied.
        clicks_offset: offset after the last click that is in the store; what comes of the job is as of it.
        closed: windows until here are closed, ms: no click for them can come any more.
    """

    item_id: str
    window: int
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
    """Runs jobs in threads (the numerical libraries let go of the interpreter's lock).

    Args:
        bundle: the users' vectors and the form of the scores.
        options: how seeds are clustered.
    """

    def __init__(self, bundle: Bundle, options: ClusteringSettings) -> None:
        self.model_version = bundle.version
        threads = options.cluster_workers
        self.slots = 8 * threads  # the operator looks in every 20 ms: so much keeps small jobs coming until then
        self._bundle = bundle
        self._options = options
        self._executor = ThreadPoolExecutor(threads, "clustering", initializer=one_numeric_thread)

    def submit(self, store: SeedStore, job: ClusteringJob) -> "Future[ClusteringResult]":
        """Start a job; a store that cannot be read raises from the future, nothing else does."""
        return self._executor.submit(self._run, store, job)

    def close(self) -> None:
        """Drop what has not begun and wait for the rest."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _run(self, store: SeedStore, job: ClusteringJob) -> ClusteringResult:
        with metrics.RECLUSTER_SECONDS.time():
            closed = min(job.closed, job.window_end)
            seeds, evicted = store.merged_seeds(job.item_id, closed=closed, until=job.window_end)
            try:
                result = self._cluster(store, job, seeds)
            except StoreError:
                raise
            except Exception:
                log.exception("clustering failed", item=job.item_id, window_end=job.window_end)
                result = ClusteringResult(job, "failed", len(seeds))
        metrics.RECLUSTERS.labels(result.outcome).inc()
        return replace(result, evicted=evicted)

    def _cluster(self, store: SeedStore, job: ClusteringJob, seeds: SeedSet) -> ClusteringResult:
        if not job.served:
            return ClusteringResult(job, "unlisted", len(seeds))
        options, vectors = self._options, self._bundle.vectors
        rows = vectors.rows(seeds.users)
        rows = rows[rows >= 0]
        if not len(rows):
            return ClusteringResult(
                job, "no_vectors" if len(seeds) >= options.min_seeds else "too_few_seeds", len(seeds)
            )
        if len(rows) < options.min_seeds:
            return ClusteringResult(job, "too_few_seeds", len(seeds))
        if len(rows) > options.cluster_sample:  # before gathering: 3,000,000 vectors would be 1.5 GB
            rows = np.random.default_rng(options.rng_seed).choice(rows, options.cluster_sample, replace=False)
        clusters = cluster(
            vectors.gather(np.sort(rows)),
            options.clusters,
            rng_seed=options.rng_seed,
            start=self._start(store, job.item_id),
            sample=options.cluster_sample,
        )
        message = Centroids.of(
            item_id=job.item_id,
            model_version=self.model_version,
            window_end=job.window_end,
            seeds=len(seeds),
            counts=clusters.counts,
            centroids=clusters.centroids,
            global_=global_embedding(clusters.centroids, self._bundle.form, clusters.counts),
            clicks_offset=job.clicks_offset,
        )
        return ClusteringResult(job, "emitted", len(seeds), encode_centroids(message))

    def _start(self, store: SeedStore, item_id: str) -> NDArray[np.float32] | None:
        """The item's last centroids, if they are of this model; only a warm start, so unreadable ones are ignored."""
        last = store.centroids(item_id)
        if last is None:
            return None
        try:
            message = decode_centroids(last)
        except InvalidMessage as error:
            log.warning("an item's last centroids cannot be read; it is clustered afresh", item=item_id, why=str(error))
            return None
        mine = (message.model_version, message.h) == (self.model_version, self._bundle.form.dim)
        return message.centroids_array() if mine else None
