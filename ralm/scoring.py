"""The scoring kernel: how much users look like items' seeds (eq. 2, 9, 10), for many of both at once.

The same formula as the torch towers in ``ralm/towers/lookalike.py``, held to it by a parity test, arranged for serving:

* ``E_s^T W_l E_u`` (eq. 9) is re-associated. ``C W_l`` is kept per item, so a batch of users meets all items in one
  matrix product instead of one per pair.
* The local embedding ``E_local = C^T a`` is never formed. Its product with the user is ``a . (C E_u)``, and its norm
  is ``sqrt(a^T G a)`` with the item's k x k Gram matrix ``G = C C^T``: k*k multiplications instead of k*h.
* The global embedding does not depend on the user and comes with the centroids.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from ralm.features import Floats

EPSILON = 1e-12
"""Least product of two norms in a cosine: a user or item whose vector is all zero scores 0."""
LEAST_TEMPERATURE = 0.025
"""Below it ``exp((tanh - 1) / temperature)`` leaves float32."""
_TILE = 1 << 18
"""Numbers in one intermediate array (items x k x users): 1 MiB of float32, so that a tile stays in the cache."""


@dataclass(frozen=True)
class AttentionWeights:
    """All that scoring needs of the trained look-alike towers.

    Attributes:
        w_local: W_l of eq. 9, float32[h, h].
        w_global: W_g of the global attention unit (figure 4), float32[s, h].
        v_global: its ``linear(1)``, float32[s].
        alpha: weight of the global part in eq. 2.
        beta: weight of the local part in eq. 2.
        local_temperature: divides the local attention's logits; 1 is the paper's.
        prior: weight of ``log(1 + seeds)``, how popular an item is; 0 is the paper's.
    """

    w_local: Floats
    w_global: Floats
    v_global: Floats
    alpha: float = 0.3
    beta: float = 0.7
    local_temperature: float = 1.0
    prior: float = 0.0

    def __post_init__(self) -> None:
        h = self.w_local.shape[0]
        if self.w_local.shape != (h, h) or self.w_global.shape != (*self.v_global.shape, h):
            msg = (
                f"w_local {self.w_local.shape}, w_global {self.w_global.shape} and v_global "
                f"{self.v_global.shape} do not fit: they must be (h, h), (s, h) and (s,)"
            )
            raise ValueError(msg)
        if self.local_temperature < LEAST_TEMPERATURE:
            msg = f"local_temperature is {self.local_temperature}; the least is {LEAST_TEMPERATURE}"
            raise ValueError(msg)

    @property
    def dim(self) -> int:
        """h, the length of a look-alike vector."""
        return int(self.w_local.shape[0])


def global_embedding(centroids: Floats, weights: AttentionWeights) -> Floats:
    """Global attention over the centroids (eq. 10 as figure 4 has it).

    ``a = softmax_k( v_g^T tanh(W_g C^T) )``, ``E_global = a C``.

    Args:
        centroids: C, float32[k, h], k >= 1.
        weights: the trained weights.

    Returns:
        float32[h].
    """
    logits = np.tanh(centroids @ weights.w_global.T) @ weights.v_global  # (k, s) x (s) -> (k)
    attention = np.exp(logits - logits.max())
    embedding: Floats = (attention / attention.sum()) @ centroids  # (k) x (k, h) -> (h)
    return embedding


class PairScores(NamedTuple):
    """The parts of eq. 2 for every pair: each float32[B users, I items]."""

    score: Floats
    global_part: Floats
    local_part: Floats


@dataclass(frozen=True)
class ItemBlock:
    """Items made ready for scoring; never changed once made.

    Attributes:
        centroids: C, float32[I, k, h], rows past an item's own clusters zero.
        local_keys: ``C W_l``, float32[I, k, h].
        gram: ``C C^T``, float32[I, k, k].
        present: 1 where a cluster exists and 0 in the padding, float32[I, k].
        global_unit: E_global over its norm, float32[I, h].
        prior: ``prior * log(1 + seeds)``, float32[I].
    """

    centroids: Floats
    local_keys: Floats
    gram: Floats
    present: Floats
    global_unit: Floats
    prior: Floats

    @classmethod
    def of(
        cls,
        centroids: Sequence[Floats],
        globals_: Sequence[Floats],
        weights: AttentionWeights,
        seeds: Sequence[int] | NDArray[np.int64],
    ) -> Self:
        """Prepare items.

        Args:
            centroids: of each item, float32[k_i, h]; k_i may differ.
            globals_: of each item, its global embedding, float32[h].
            weights: the trained weights.
            seeds: of each item, how many seeds it has.
        """
        h, k = weights.dim, max((len(c) for c in centroids), default=1)
        padded = np.zeros((len(centroids), k, h), np.float32)
        present = np.zeros((len(centroids), k), np.float32)
        for row, c in enumerate(centroids):
            padded[row, : len(c)] = c
            present[row, : len(c)] = 1.0
        embedding = np.stack(globals_) if len(globals_) else np.zeros((0, h), np.float32)
        norm = np.maximum(np.linalg.norm(embedding, axis=1, keepdims=True), EPSILON)
        return cls(
            padded,
            padded @ weights.w_local,
            padded @ padded.transpose(0, 2, 1),
            present,
            (embedding / norm).astype(np.float32),
            (weights.prior * np.log1p(np.asarray(seeds, np.float64))).astype(np.float32),
        )

    def __len__(self) -> int:
        return len(self.present)

    def take(self, rows: NDArray[np.int64]) -> "ItemBlock":
        """The block of some of its items, in the order of ``rows``."""
        return ItemBlock(
            self.centroids[rows],
            self.local_keys[rows],
            self.gram[rows],
            self.present[rows],
            self.global_unit[rows],
            self.prior[rows],
        )

    def with_rows(self, rows: NDArray[np.int64], fresh: "ItemBlock") -> "ItemBlock":
        """A copy with some of its items replaced.

        Args:
            rows: the places, int64[n], distinct.
            fresh: their new items, n of them.
        """
        k = max(self.present.shape[1], fresh.present.shape[1])
        columns = []
        for old, new in zip(self.widened(k), fresh.widened(k), strict=True):
            column = old.copy()
            column[rows] = new
            columns.append(column)
        return ItemBlock(*columns)

    @classmethod
    def concatenate(cls, blocks: Sequence["ItemBlock"]) -> "ItemBlock":
        """All the blocks' items (at least one block), in their order, as one block."""
        k = max(block.present.shape[1] for block in blocks)
        return cls(*(np.concatenate(columns) for columns in zip(*(b.widened(k) for b in blocks), strict=True)))

    def widened(self, k: int) -> tuple[Floats, Floats, Floats, Floats, Floats, Floats]:
        """All columns, with the clusters padded to ``k``, as ``ItemBlock`` takes them."""
        more = k - self.present.shape[1]
        if not more:
            return self.centroids, self.local_keys, self.gram, self.present, self.global_unit, self.prior
        rows = ((0, 0), (0, more), (0, 0))
        return (
            np.pad(self.centroids, rows),
            np.pad(self.local_keys, rows),
            np.pad(self.gram, ((0, 0), (0, more), (0, more))),
            np.pad(self.present, rows[:2]),
            self.global_unit,
            self.prior,
        )


def score(users: Floats, block: ItemBlock, weights: AttentionWeights) -> PairScores:
    """Score every user against every item of the block (eq. 2, without the sigmoid of the loss, and the prior).

    Args:
        users: look-alike vectors E_u, float32[B, h].
        block: the items.
        weights: the trained weights.

    Returns:
        ``alpha * cosine(E_u, E_global) + beta * cosine(E_u, E_local) + prior * log(1 + seeds)`` and its two cosines,
        float32[B, I] each.
    """
    norm = np.linalg.norm(users, axis=1)  # (B)
    across = np.ascontiguousarray(users.T)  # (h, B)
    global_part = (block.global_unit @ across) / np.maximum(norm, EPSILON)  # (I, B)
    local_part = np.empty_like(global_part)
    tile = max(1, _TILE // max(1, len(users) * block.present.shape[1]))
    for first in range(0, len(block), tile):
        items = slice(first, first + tile)
        local_part[items] = _local_cosine(across, norm, block, items, weights.local_temperature)
    total = weights.alpha * global_part + weights.beta * local_part + block.prior[:, None]
    return PairScores(total.T, global_part.T, local_part.T)


def _local_cosine(across: Floats, norm: Floats, block: ItemBlock, items: slice, temperature: float) -> Floats:
    """``cosine(E_u, E_local)`` of eq. 9 for a tile of items; ``across`` is E_u as (h, B); returns (I, B)."""
    centroids, present = block.centroids[items], block.present[items]
    count, k, h = centroids.shape
    # a = softmax_k( tanh(C W_l E_u) / temperature )
    attention = (block.local_keys[items].reshape(-1, h) @ across).reshape(count, k, -1)  # (I, k, B)
    np.tanh(attention, out=attention)
    attention -= 1.0  # tanh is at most 1: the exponent is never above 0
    if temperature != 1.0:
        attention /= temperature
    np.exp(attention, out=attention)
    attention *= present[:, :, None]
    attention /= attention.sum(axis=1, keepdims=True)
    # E_u . E_local = a . (C E_u) and |E_local|^2 = a^T G a
    products = (centroids.reshape(-1, h) @ across).reshape(count, k, -1)  # (I, k, B)
    products *= attention
    product = products.sum(axis=1)  # (I, B)
    np.matmul(block.gram[items], attention, out=products)
    products *= attention
    length = np.sqrt(np.maximum(products.sum(axis=1), 0.0))  # (I, B)
    cosine: Floats = product / np.maximum(length * norm, EPSILON)
    return cosine
