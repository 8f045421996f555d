"""Clusters of many seed sets in one call, and of one."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ralm.clustering.clusters import Clusters, in_order
from ralm.clustering.mini_batch import cluster_mini_batch
from ralm.clustering.native import cluster_compiled, is_compiled

Vectors: TypeAlias = NDArray[np.float32]

LARGEST_COMPILED = 50_000
"""A larger set goes to scikit-learn's mini-batch form, whose time grows less."""
SAMPLE = 50_000
"""Vectors of a set that are looked at, unless the caller says otherwise."""


def cluster(
    vectors: Vectors,
    k: int,
    *,
    rng_seed: int,
    start: Vectors | None = None,
    unit: bool = False,
    sample: int = SAMPLE,
) -> Clusters:
    """Cluster one seed set; see ``cluster_many``.

    Args:
        vectors: of the seeds, float32[n, h], n >= 1.
        k: the most clusters.
        rng_seed: the same vectors (in any order), start and seed give the same clusters.
        start: centroids of the last time, float32[k', h], to start from.
        unit: whether vectors are brought to length 1 first.
        sample: vectors looked at; a larger set is sampled without replacement.

    Raises:
        ValueError: when there is no vector, or one is not finite.
    """
    offsets = np.array([0, len(vectors)], np.int64)
    (clusters,) = cluster_many(vectors, offsets, k, rng_seed=rng_seed, starts=[start], unit=unit, sample=sample)
    if clusters is None:
        msg = f"clustering needs at least one vector and finite numbers; got shape {vectors.shape}"
        raise ValueError(msg)
    return clusters


def cluster_many(
    vectors: Vectors,
    offsets: NDArray[np.int64],
    k: int,
    *,
    rng_seed: int,
    starts: Sequence[Vectors | None] | None = None,
    unit: bool = False,
    sample: int = SAMPLE,
    compiled: bool | None = None,
) -> list[Clusters | None]:
    """Cluster the seed sets of many items into at most ``k`` clusters each; fewer when fewer vectors are distinct.

    What comes of a set depends on its vectors (in any order), its start, ``k``, ``rng_seed``, ``unit`` and ``sample``
    alone, not on the other sets of the call.

    Args:
        vectors: of the seeds of all sets, one set after the other, float32[n, h].
        offsets: where each set begins, and the end, int64[sets + 1], ascending from 0 to n.
        k: the most clusters of a set.
        rng_seed: fixes the random choices, for each set the same.
        starts: of each set the centroids of the last time, float32[k', h], to start from; None: afresh. One that is
            not finite is no start.
        unit: whether vectors are brought to length 1 first; one of zeros stays.
        sample: vectors of a set that are looked at; a larger set is sampled without replacement.
        compiled: whether the compiled form does what it can, else scikit-learn's does all; None: where it is there.

    Returns:
        Of each set its clusters; None where it has no vector, or one that is not finite.
    """
    compiled = is_compiled() if compiled is None else compiled
    found: list[Clusters | None] = [None] * (len(offsets) - 1)
    together: list[tuple[int, Vectors, Vectors]] = []  # number, vectors and start of what is clustered in one call
    for number in range(len(found)):
        part = _sampled(vectors[offsets[number] : offsets[number + 1]], sample, rng_seed)
        start = _start(None if starts is None else starts[number], vectors.shape[1])
        if compiled and len(part) <= LARGEST_COMPILED:
            if len(part):
                together.append((number, part, start))
        elif len(part) and np.isfinite(part).all():
            part = in_order(_unit(part) if unit else part)
            found[number] = cluster_mini_batch(part, k, rng_seed, start if len(start) else None)
    if together:
        numbers, parts, used = zip(*together, strict=True)
        ends = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)
        joined = vectors if ends[-1] == len(vectors) else np.concatenate(parts)
        results = cluster_compiled(joined, ends, k, rng_seed, used, unit=unit)
        for number, clusters in zip(numbers, results, strict=True):
            found[number] = clusters
    return found


def _sampled(vectors: Vectors, most: int, rng_seed: int) -> Vectors:
    """At most so many of a set's vectors, drawn whatever their order; a set with one that is not finite stays."""
    if len(vectors) <= most or not np.isfinite(vectors).all():
        return vectors
    return in_order(vectors)[np.random.default_rng(rng_seed).choice(len(vectors), most, replace=False)]


def _start(start: Vectors | None, h: int) -> Vectors:
    """The centroids to start from, float32[k', h]; k' = 0 for none."""
    return np.empty((0, h), np.float32) if start is None or not np.isfinite(start).all() else start


def _unit(vectors: Vectors) -> Vectors:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(length > 0, length, 1)).astype(np.float32)
