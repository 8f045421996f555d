"""Clusterings a second: the compiled k-means beside scikit-learn, alone and beside a busy interpreter."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from flows.bench.kmeans_rivals import cluster_batched, has_numba, numba_cluster
from flows.bench.random_bundle import write_random_bundle
from flows.config.groups import ClusteringSettings
from flows.seed_sets.clustering import ClusteringJob, ClusteringPool
from ralm.clustering import Clusters, cluster_many
from ralm.clustering.clusters import inertia
from ralm.features import Floats
from ralm.seed_set import SeedSet
from state.bundle.bundle import Bundle
from state.store.seed_store import Changes, ItemRecord, SeedStore

_KINDS = 40
"""Groups that the measured vectors come from, twice the clusters: k-means has something to find and never all."""
_JUDGED = 5
"""Sets of which the inertia is judged: KMeans with ten starts takes its time."""
_RIVALS = 50
"""Sets that the forms that were not chosen get."""
_WINDOW_END = 1_000_000


@dataclass(frozen=True)
class FormFigures:
    """One form of k-means on sets of one size.

    Attributes:
        name: the form.
        ms: processor time of a set, ms.
        inertia: over that of scikit-learn's KMeans with ten starts, mean of some sets; None where it is not judged.
        warm_ms: the same from the centroids of nine tenths of the set; None where the form has no warm start.
        warm_inertia: of these.
    """

    name: str
    ms: float
    inertia: float | None = None
    warm_ms: float | None = None
    warm_inertia: float | None = None


@dataclass(frozen=True)
class PoolFigures:
    """The pool's whole way, from seeds in a store to encoded centroids.

    Attributes:
        name: the form of k-means in it.
        busy: whether another thread of the process decodes JSON meanwhile.
        cold_per_s: items a second that have no last centroids.
        warm_per_s: items a second that have.
    """

    name: str
    busy: bool
    cold_per_s: float
    warm_per_s: float


def measure_forms(seeds: int, sets: int, clusters: int, dim: int) -> list[FormFigures]:
    """Cluster random sets with each form, on one thread.

    Args:
        seeds: vectors of a set.
        sets: how many sets the compiled form gets in one call; the others, which are slower, get five.
        clusters: k.
        dim: h.
    """
    from sklearn.cluster import KMeans  # noqa: PLC0415 (seconds to import)

    rng = np.random.default_rng(0)
    kinds = rng.normal(scale=0.7, size=(_KINDS, dim))
    vectors = (kinds[rng.integers(0, _KINDS, sets * seeds)] + rng.normal(size=(sets * seeds, dim))).astype(np.float32)
    each = vectors.reshape(sets, seeds, dim)
    few = range(min(sets, _JUDGED))
    with threadpool_limits(1):
        best = [KMeans(clusters, n_init=10, random_state=0).fit(each[i]).inertia_ for i in few]
        earlier = np.ascontiguousarray(each[:, : max(1, seeds * 9 // 10)])
        starts = [c.centroids for c in _clustered(earlier, clusters, None, compiled=None)]

        def judged(name: str, run: Callable[[bool], list[Clusters]], count: int) -> FormFigures:
            run(False)
            figures: list[float] = []
            for warm in (False, True):
                began = time.process_time()
                found = run(warm)
                figures.append((time.process_time() - began) / count * 1000)
                figures.append(float(np.mean([inertia(each[i], found[i].centroids) / best[i] for i in few])))
            return FormFigures(name, *figures)

        forms = [
            judged("compiled", lambda warm: _clustered(each, clusters, starts if warm else None, compiled=True), sets),
            judged(
                "mini-batch",
                lambda warm: _clustered(each[: len(few)], clusters, starts if warm else None, compiled=False),
                len(few),
            ),
        ]
        began = time.process_time()
        found = [KMeans(clusters, n_init=1, random_state=0).fit(each[i]) for i in few]
        ms = (time.process_time() - began) / len(few) * 1000
        ratio = float(np.mean([fitted.inertia_ / best[i] for i, fitted in enumerate(found)]))
        forms.append(FormFigures("KMeans, 1 start", ms, ratio))
        forms.extend(_rivals(each[:_RIVALS], clusters, best))
    return forms


def _rivals(sets: Floats, k: int, best: list[float]) -> list[FormFigures]:
    """The forms that were not chosen, afresh; compiling at the first call is a form of its own, in ms in all."""

    def judged(name: str, run: Callable[[Floats, int], Floats]) -> FormFigures:
        began = time.process_time()
        centroids = run(sets, k)
        ms = (time.process_time() - began) / len(sets) * 1000
        ratios = [inertia(sets[i], centroids[i]) / lowest for i, lowest in enumerate(best)]
        return FormFigures(name, ms, float(np.mean(ratios)))

    forms = [judged("batched numpy", cluster_batched)]
    if has_numba():
        began = time.perf_counter()
        run = numba_cluster()
        run(sets[:1], k)
        forms.append(FormFigures("numba, first call", (time.perf_counter() - began) * 1000))
        forms.append(judged("numba", run))
    return forms


def _clustered(
    sets: NDArray[np.float32], k: int, starts: list[NDArray[np.float32]] | None, *, compiled: bool | None
) -> list[Clusters]:
    count, seeds, dim = sets.shape
    offsets = np.arange(count + 1, dtype=np.int64) * seeds
    found = cluster_many(
        sets.reshape(-1, dim),
        offsets,
        k,
        rng_seed=0,
        starts=None if starts is None else starts[:count],
        sample=seeds,
        compiled=compiled,
    )
    return [clusters for clusters in found if clusters is not None]


def measure_pools(
    folder: Path, *, seeds: int, items: int, users: int, dim: int, progress: Callable[[str], None]
) -> list[PoolFigures]:
    """Cluster items of a store through the pool as a flow does.

    Args:
        folder: an empty folder.
        seeds: of an item.
        items: how many the compiled form gets; a tenth of them the other.
        users: in the bundle.
        dim: h, of the bundle.
        progress: called with what begins.
    """
    rng = np.random.default_rng(0)
    keys = np.arange(users, dtype=np.uint64) * np.uint64(7919)
    write_random_bundle(folder / "bundle", keys, dim, rng)
    names = [f"item-{number}" for number in range(items)]
    figures: list[PoolFigures] = []
    with ExitStack() as stack:
        store = stack.enter_context(
            closing(SeedStore.open(folder / "store", topic="clicks", partition=0, capacity=3_000_000))
        )
        bundle = Bundle.open(folder / "bundle")
        for name, compiled, some in (("compiled", True, names), ("mini-batch", False, names[: max(1, items // 10)])):
            pool = stack.enter_context(closing(ClusteringPool(bundle, ClusteringSettings(), compiled=compiled)))
            for busy in (False, True):
                progress(f"clustering {len(some):,} items, {name}, {'beside a busy thread' if busy else 'alone'}")
                _write_seeds(store, some, keys, seeds, rng)
                with _decoding(busy):
                    cold, centroids = _rate(pool, store, some)
                store.write(Changes(centroids=centroids), position=store.position + 1)
                with _decoding(busy):
                    warm, _ = _rate(pool, store, some)
                figures.append(PoolFigures(name, busy, cold, warm))
    return figures


def _write_seeds(
    store: SeedStore, names: list[str], keys: NDArray[np.uint64], seeds: int, rng: np.random.Generator
) -> None:
    """Give items new seeds and no centroids; half of them as a delta, as the clicks of a window come."""
    store.write(Changes(evicted=names), position=store.position + 1)
    store.write(Changes(acked=names), position=store.position + 1)
    chosen = {name: rng.permutation(np.unique(rng.integers(0, len(keys), 2 * seeds)))[:seeds] for name in names}
    for part, half in enumerate((slice(None, seeds // 2), slice(seeds // 2, None))):
        changes = Changes()
        for name in names:
            users = keys[chosen[name][half]]
            changes.seeds.append((name, SeedSet.of_clicks(users, np.full(len(users), part, np.int64), 3_000_000)))
            changes.items[name] = ItemRecord(part, seeds)
        store.write(changes, position=store.position + 1)


def _rate(pool: ClusteringPool, store: SeedStore, names: list[str]) -> tuple[float, dict[str, bytes]]:
    began = time.perf_counter()
    futures = [pool.submit(store, ClusteringJob(name, _WINDOW_END, _WINDOW_END)) for name in names]
    results = [future.result() for future in futures]
    rate = len(names) / (time.perf_counter() - began)
    return rate, {result.job.item_id: result.centroids for result in results if result.centroids is not None}


@contextmanager
def _decoding(busy: bool) -> Iterator[None]:
    """Have a thread decode JSON meanwhile, as the dataflow's does, with the interpreter's lock held."""
    stop = threading.Event()
    line = json.dumps({"item_id": "item-1", "user_id": "u-1", "ts": 1_750_000_000_000, "more": list(range(40))})

    def decode() -> None:
        while not stop.is_set():
            json.loads(line)

    thread = threading.Thread(target=decode)
    if busy:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        if busy:
            thread.join()
