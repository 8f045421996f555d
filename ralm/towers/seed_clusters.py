"""The seeds of all items as training sees them: who they are, which cluster each is in, and the clusters' vectors.

A user has one vector, that of all of its history, as in the stream. Assignments to clusters are fixed between two
clusterings; a cluster's vector is the mean of its seeds' *current* vectors (the first author's article), so that
gradients reach the shared FC through the seeds too.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ralm.features import Floats, Interactions, Ints
from ralm.towers.group_clustering import cluster_groups


@dataclass(frozen=True)
class ClusterMeans:
    """Clusters of some items' seeds.

    Attributes:
        vectors: C, (I, k, h), zero where a cluster is empty.
        present: bool (I, k), true where a cluster exists; an item without seeds has one, of zeros.
    """

    vectors: Tensor
    present: Tensor

    @classmethod
    def of(cls, sums: Tensor, counts: Tensor) -> "ClusterMeans":
        """The means: sums (I, k, h) over counts (I, k)."""
        present = counts > 0.5
        first = torch.zeros_like(present)
        first[:, 0] = True
        present = present | (first & ~present.any(dim=1, keepdim=True))
        return cls(sums / counts.clamp_min(1.0).unsqueeze(-1), present)


@dataclass(frozen=True)
class SeedSets:
    """Every item's seeds.

    Attributes:
        items: of each seed, ascending, int64[n].
        users: int64[n], ascending within an item.
        item_count: how many items there are.
        user_count: how many users there are.
    """

    items: Ints
    users: Ints
    item_count: int
    user_count: int

    @classmethod
    def of_clicks(cls, data: Interactions) -> "SeedSets":
        """The distinct clickers of all items."""
        pairs = np.unique(data.clicks_item * np.int64(data.users) + data.clicks_user)
        return cls(pairs // data.users, pairs % data.users, data.items, data.users)

    @property
    def counts(self) -> Ints:
        """Seeds of each item, int64[items]."""
        return np.bincount(self.items, minlength=self.item_count)

    def sample(self, most: int, rng: np.random.Generator) -> "SeedSets":
        """At most ``most`` seeds of each item, drawn at random."""
        order = np.lexsort((rng.random(len(self.items)), self.items))
        within = np.arange(len(order)) - np.searchsorted(self.items, self.items)
        kept = np.sort(order[within < most])
        return SeedSets(self.items[kept], self.users[kept], self.item_count, self.user_count)

    def find(self, items: Ints, users: Ints) -> Ints:
        """Which seed is user b of item b: int64[B] each to places int64[B], -1 where it is none."""
        wanted = items * np.int64(self.user_count) + users
        place = np.minimum(np.searchsorted(self._pairs, wanted), len(self._pairs) - 1)
        return np.where(self._pairs[place] == wanted, place, -1)

    @cached_property
    def _pairs(self) -> Ints:
        """Item and user of each seed as one number, ascending, int64[n]; every step looks into them."""
        return self.items * np.int64(self.user_count) + self.users


@dataclass(frozen=True)
class SeedClusters:
    """Seeds and their clusters.

    Attributes:
        seeds: the seeds.
        starts: the first seed of each item, and at last their number, int64[items + 1].
        clusters: of each seed its cluster within its item, int64[n].
        k: the most clusters of an item.
    """

    seeds: SeedSets
    starts: Ints
    clusters: Ints
    k: int

    @classmethod
    def of(cls, seeds: SeedSets, vectors: Floats, k: int, rng: np.random.Generator) -> "SeedClusters":
        """Cluster each item's seeds.

        Args:
            seeds: the seeds.
            vectors: every user's look-alike vector, float32[users, h].
            k: the most clusters of an item; 0: every seed is a cluster of its own.
            rng: chooses the first centres.
        """
        starts = np.searchsorted(seeds.items, np.arange(seeds.item_count + 1))
        if k == 0:
            own = np.arange(len(seeds.items)) - starts[seeds.items]
            return cls(seeds, starts, own, int(own.max()) + 1)
        groups = np.unique(seeds.items, return_inverse=True)[1]
        return cls(seeds, starts, cluster_groups(vectors[seeds.users], groups, k, rng), k)

    def sums(self, items: Ints, vectors: Tensor, taken: NDArray[np.bool_]) -> tuple[Tensor, Tensor]:
        """Add up the vectors of some items' seeds, cluster by cluster.

        Args:
            items: int64[I].
            vectors: every user's current vector, (users, h).
            taken: the seeds that count, bool[n].

        Returns:
            Sums (I, k, h) and counts (I, k).
        """
        length = self.starts[items + 1] - self.starts[items]
        first = np.concatenate([[0], np.cumsum(length)])
        place = np.repeat(self.starts[items] - first[:-1], length) + np.arange(first[-1])
        slot = np.repeat(np.arange(len(items)), length) * self.k + self.clusters[place]
        place, slot = place[taken[place]], slot[taken[place]]
        slots, size = torch.from_numpy(slot), len(items) * self.k
        sums = torch.zeros(size, vectors.shape[1])
        sums = sums.index_add(0, slots, vectors[torch.from_numpy(self.seeds.users[place])])
        counts = torch.bincount(slots, minlength=size).float()
        return sums.view(len(items), self.k, -1), counts.view(len(items), self.k)

    def without(
        self, sums: Tensor, counts: Tensor, vectors: Tensor, own: tuple[Ints, Ints], taken: NDArray[np.bool_]
    ) -> tuple[Tensor, Tensor]:
        """Take each target out of its own item's clusters: a target is not its own look-alike.

        Args:
            sums: of the targets' items, (B, k, h).
            counts: (B, k).
            vectors: every user's current vector, (users, h).
            own: the targets' items and users, int64[B] each.
            taken: the seeds that are in the sums, bool[n].
        """
        place = self.seeds.find(*own)
        rows = np.flatnonzero((place >= 0) & taken[place])
        at = torch.from_numpy(rows), torch.from_numpy(self.clusters[place[rows]])
        mine = vectors[torch.from_numpy(own[1][rows])]
        return (
            sums.index_put(at, -mine, accumulate=True),
            counts.index_put(at, torch.tensor(-1.0), accumulate=True),
        )
