"""What neighbours cost a scorer: processor time beside that of the scores that they are added to."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from threadpoolctl import threadpool_limits

from flows.scoring.live_index import IndexEntry, IndexView, LiveIndex
from flows.scoring.sketched_items import SketchedItems
from ralm.encoders.encoder import unit
from ralm.features import Floats
from ralm.live_sketches import NEWEST_ITEMS
from ralm.scoring import CountedForm, score
from ralm.sketch import Sketch
from state.item_keys import item_keys

_CLUSTERS = 20
_RUNS = 5


@dataclass(frozen=True)
class NeighbourFigures:
    """Processor time of one batch, and of an update of the index; seconds.

    Attributes:
        users: who ask together.
        score_s: scores of all live items.
        near_s: their neighbours.
    """

    users: int
    score_s: float
    near_s: float


@dataclass(frozen=True)
class SketchedIndexFigures:
    """An index with sketches.

    Attributes:
        batches: of each number of users.
        update_s: a hundred items clustered anew, with their sketches.
        bare_update_s: the same without.
        bytes_each: what an item's sketch takes in memory.
    """

    batches: list[NeighbourFigures]
    update_s: float
    bare_update_s: float
    bytes_each: float


def measure_neighbours(items: int, users: int, seeds: int, dim: int, rng_seed: int = 0) -> SketchedIndexFigures:
    """Measure on one numeric thread.

    Args:
        items: live ones; users click the first of them most (a Zipf law).
        users: among whom an item's seeds are drawn.
        seeds: of an item, on the average.
        dim: h, of the vectors.
        rng_seed: fixes every number.
    """
    rng = np.random.default_rng(rng_seed)
    sizes = np.maximum(1, rng.exponential(seeds, items).astype(np.int64))
    entries: dict[str, IndexEntry | None] = {
        f"item-{number}": _entry(rng, rng.integers(0, users, size).astype(np.uint64), dim)
        for number, size in enumerate(sizes.tolist())
    }
    some = {f"item-{number}": entries[f"item-{number}"] for number in rng.choice(items, min(100, items), replace=False)}
    form = CountedForm(dim)
    index, bare = LiveIndex(form, sketched=True), LiveIndex(form)
    with threadpool_limits(1):
        for each in (index, bare):
            each.update(entries)
        view, sketched = index.view, index.view.sketched or SketchedItems.empty()
        targets = np.array([view.slot(item) for item in entries], np.int64)
        keys = item_keys(list(entries))
        batches = []
        for count in (1, 16, 256):
            vectors = unit(rng.normal(size=(count, dim)))
            history, start = keys[_histories(rng, items, count)], np.arange(count + 1) * min(NEWEST_ITEMS, items)
            batches.append(
                NeighbourFigures(
                    count,
                    _least(partial(_score, vectors, view, form)),
                    _least(partial(sketched.near, history, start, targets)),
                )
            )
        return SketchedIndexFigures(
            batches,
            _least(lambda: index.update(some)),
            _least(lambda: bare.update(some)),
            _bytes(sketched) / items,
        )


def _score(vectors: Floats, view: IndexView, form: CountedForm) -> None:
    for block in view.blocks:
        score(vectors, block.items, form, 0.1)


def _entry(rng: np.random.Generator, keys: np.ndarray, dim: int) -> IndexEntry:
    centroids = unit(rng.normal(size=(_CLUSTERS, dim)))
    counts = np.ones(_CLUSTERS, np.int64)
    return IndexEntry(centroids, counts, centroids.mean(axis=0), 1000, len(keys), Sketch.of_keys(keys).hashes)


def _histories(rng: np.random.Generator, items: int, users: int) -> np.ndarray:
    """Distinct items of each user, one user after another, int64[users * newest]."""
    likely = 1.0 / np.arange(1, items + 1)
    drawn = [rng.choice(items, min(NEWEST_ITEMS, items), replace=False, p=likely / likely.sum()) for _ in range(users)]
    return np.concatenate(drawn)


def _bytes(sketched: SketchedItems) -> int:
    columns = sketched.sketches
    return columns.hashes.nbytes + columns.places.nbytes + columns.counted.nbytes + columns.tau.nbytes


def _least(work: Callable[[], object]) -> float:
    times = []
    for _ in range(_RUNS):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return min(times)
