"""The scoring kernel: how much users look like items' seeds, for many of both at once, in one of two forms.

``counted`` (`CountedForm`) is what our encoders are served with: seeds of length 1, their mean, and a local attention
in which a centroid counts for as many seeds as it stands for. ``paper`` (`AttentionWeights`) is the paper's (eq. 2, 9,
10), the same formula as the torch towers in ``ralm/towers/lookalike.py``. Both are held to plain forms by parity tests,
and arranged for serving:

* ``E_s^T W_l E_u`` (eq. 9) is re-associated. ``C W_l`` is kept per item, so a batch of users meets all items in one
  matrix product instead of one per pair. The counted form has no ``W_l`` and one product less.
* The local embedding ``E_local = C^T a`` is never formed. Its product with the user is ``a . (C E_u)``, and its norm
  is ``sqrt(a^T G a)`` with the item's k x k Gram matrix ``G = C C^T``: k*k multiplications instead of k*h.
* The global embedding does not depend on the user and comes with the centroids.
* Where beta is 0, the centroids are not kept and the attention is skipped: an item is one vector.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ralm.features import Floats, Ints

EPSILON = 1e-12
"""Least product of two norms in a cosine: a user or item whose vector is all zero scores 0."""
LEAST_TEMPERATURE = 0.025
"""Below it ``exp((tanh - 1) / temperature)`` leaves float32."""
_TILE = 1 << 18
"""Numbers in one intermediate array (items x k x users): 1 MiB of float32, so that a tile stays in the cache."""
FormName: TypeAlias = Literal["counted", "paper"]
COUNTED: Final = "counted"
PAPER_FORM: Final = "paper"


@dataclass(frozen=True)
class CountedForm:
    """Scores against seeds of length 1, every seed counting the same.

    ``score = alpha cosine(z_u, E_global) + beta cosine(z_u, E_local) + g log(1 + seeds) + d log(1 + clicks of u)``

    * ``E_global = sum of n_k c_k / sum of n_k``, the mean of all seeds; n_k is how many seeds centroid c_k stands for.
    * ``E_local = sum of a_k c_k``, ``a = softmax_k( c_k . z_u / temperature + log n_k )``.

    Attributes:
        dim: h, the length of a vector.
        alpha: weight of the global part.
        beta: weight of the local part; 0: there is none.
        local_temperature: divides the local attention's logits.
    """

    dim: int
    alpha: float = 0.5
    beta: float = 0.5
    local_temperature: float = 1.0

    def __post_init__(self) -> None:
        _check_temperature(self.local_temperature)

    @property
    def name(self) -> FormName:
        """Of the form."""
        return COUNTED


@dataclass(frozen=True)
class AttentionWeights:
    """The paper's form: all that scoring needs of the trained look-alike towers.

    Attributes:
        w_local: W_l of eq. 9, float32[h, h].
        w_global: W_g of the global attention unit (figure 4), float32[s, h].
        v_global: its ``linear(1)``, float32[s].
        alpha: weight of the global part in eq. 2.
        beta: weight of the local part in eq. 2; 0: there is none.
        local_temperature: divides the local attention's logits; 1 is the paper's.
    """

    w_local: Floats
    w_global: Floats
    v_global: Floats
    alpha: float = 0.3
    beta: float = 0.7
    local_temperature: float = 1.0

    def __post_init__(self) -> None:
        h = self.w_local.shape[0]
        if self.w_local.shape != (h, h) or self.w_global.shape != (*self.v_global.shape, h):
            msg = (
                f"w_local {self.w_local.shape}, w_global {self.w_global.shape} and v_global "
                f"{self.v_global.shape} do not fit: they must be (h, h), (s, h) and (s,)"
            )
            raise ValueError(msg)
        _check_temperature(self.local_temperature)

    @property
    def dim(self) -> int:
        """h, the length of a look-alike vector."""
        return int(self.w_local.shape[0])

    @property
    def name(self) -> FormName:
        """Of the form."""
        return PAPER_FORM


ScoreForm: TypeAlias = CountedForm | AttentionWeights


def _check_temperature(temperature: float) -> None:
    if not temperature >= LEAST_TEMPERATURE:
        msg = f"local_temperature is {temperature}; the least is {LEAST_TEMPERATURE}"
        raise ValueError(msg)


def global_embedding(centroids: Floats, form: ScoreForm, counts: Ints | None = None) -> Floats:
    """The global embedding of an item.

    Counted: the mean of all seeds. Paper: global attention over the centroids (eq. 10 as figure 4 has it),
    ``a = softmax_k( v_g^T tanh(W_g C^T) )``, ``E_global = a C``.

    Args:
        centroids: C, float32[k, h], k >= 1.
        form: of the scores.
        counts: the seeds that each stands for, int64[k], not all 0; None: one each. The paper's form passes them over.

    Returns:
        float32[h].
    """
    if isinstance(form, CountedForm):
        weights = np.ones(len(centroids)) if counts is None else np.asarray(counts, np.float64)
        mean: Floats = ((weights / weights.sum()) @ centroids).astype(np.float32)
        return mean
    logits = np.tanh(centroids @ form.w_global.T) @ form.v_global  # (k, s) x (s) -> (k)
    attention = np.exp(logits - logits.max())
    embedding: Floats = (attention / attention.sum()) @ centroids  # (k) x (k, h) -> (h)
    return embedding


class PairScores(NamedTuple):
    """A score and its two cosines for every pair: each float32[B users, I items]."""

    score: Floats
    global_part: Floats
    local_part: Floats


@dataclass(frozen=True)
class ItemBlock:
    """Items made ready for scoring; never changed once made. Where beta is 0, k is 0.

    Attributes:
        centroids: C, float32[I, k, h], rows past an item's own clusters zero.
        local_keys: ``C W_l``, float32[I, k, h]; of the counted form, whose keys are the centroids, float32[I, 0, h].
        gram: ``C C^T``, float32[I, k, k].
        log_counts: what is added to the logits of the local attention, ``log n_k`` of the counted form and 0 of the
            paper's; minus infinity in the padding; float32[I, k].
        global_unit: E_global over its norm, float32[I, h].
        log_seeds: ``log(1 + seeds)``, float32[I].
    """

    centroids: Floats
    local_keys: Floats
    gram: Floats
    log_counts: Floats
    global_unit: Floats
    log_seeds: Floats

    @classmethod
    def of(
        cls,
        centroids: Sequence[Floats],
        globals_: Sequence[Floats],
        form: ScoreForm,
        seeds: Sequence[int] | Ints,
        counts: Sequence[Ints] | None = None,
    ) -> Self:
        """Prepare items.

        Args:
            centroids: of each item, float32[k_i, h]; k_i may differ.
            globals_: of each item, its global embedding, float32[h].
            form: of the scores.
            seeds: of each item, how many seeds it has.
            counts: of each item, the seeds that each centroid stands for, int64[k_i]; None: one each.
        """
        h, k = form.dim, max((len(c) for c in centroids), default=1) if form.beta else 0
        padded = np.zeros((len(centroids), k, h), np.float32)
        log_counts = np.full((len(centroids), k), -np.inf, np.float32)
        if counts is None or not isinstance(form, CountedForm):
            counts = [np.ones(len(c), np.int64) for c in centroids]
        for row, c in enumerate(centroids if k else ()):
            padded[row, : len(c)] = c
            log_counts[row, : len(c)] = _logs(counts[row])
        embedding = np.stack(globals_) if len(globals_) else np.zeros((0, h), np.float32)
        norm = np.maximum(np.linalg.norm(embedding, axis=1, keepdims=True), EPSILON)
        return cls(
            padded,
            padded @ form.w_local if isinstance(form, AttentionWeights) else padded[:, :0],
            padded @ padded.transpose(0, 2, 1),
            log_counts,
            (embedding / norm).astype(np.float32),
            np.log1p(np.asarray(seeds, np.float64)).astype(np.float32),
        )

    def __len__(self) -> int:
        return len(self.log_counts)

    @property
    def k(self) -> int:
        """Clusters that each item has room for."""
        return int(self.log_counts.shape[1])

    def take(self, rows: NDArray[np.int64]) -> "ItemBlock":
        """The block of some of its items, in the order of ``rows``."""
        return ItemBlock(*(column[rows] for column in self.widened(self.k)))

    def with_rows(self, rows: NDArray[np.int64], fresh: "ItemBlock") -> "ItemBlock":
        """A copy with some of its items replaced.

        Args:
            rows: the places, int64[n], distinct.
            fresh: their new items, n of them.
        """
        k = max(self.k, fresh.k)
        columns = []
        for old, new in zip(self.widened(k), fresh.widened(k), strict=True):
            column = old.copy()
            column[rows] = new
            columns.append(column)
        return ItemBlock(*columns)

    @classmethod
    def concatenate(cls, blocks: Sequence["ItemBlock"]) -> "ItemBlock":
        """All the blocks' items (at least one block), in their order, as one block."""
        k = max(block.k for block in blocks)
        return cls(*(np.concatenate(columns) for columns in zip(*(b.widened(k) for b in blocks), strict=True)))

    def widened(self, k: int) -> tuple[Floats, Floats, Floats, Floats, Floats, Floats]:
        """All columns, with the clusters padded to ``k``, as ``ItemBlock`` takes them."""
        more = k - self.k
        if not more:
            return self.centroids, self.local_keys, self.gram, self.log_counts, self.global_unit, self.log_seeds
        rows = ((0, 0), (0, more), (0, 0))
        return (
            np.pad(self.centroids, rows),
            np.pad(self.local_keys, rows) if self.local_keys.shape[1] else self.local_keys,
            np.pad(self.gram, ((0, 0), (0, more), (0, more))),
            np.pad(self.log_counts, rows[:2], constant_values=-np.inf),
            self.global_unit,
            self.log_seeds,
        )


def _logs(counts: Ints) -> Floats:
    """``log n_k``; of a centroid that stands for nobody minus infinity, unless all do."""
    numbers = np.asarray(counts, np.float64)
    with np.errstate(divide="ignore"):
        logs: Floats = np.log(numbers if numbers.any() else np.ones_like(numbers)).astype(np.float32)
    return logs


def score(
    users: Floats, block: ItemBlock, form: ScoreForm, prior: Floats | float = 0.0, activity: Floats | float = 0.0
) -> PairScores:
    """Score every user against every item of the block (eq. 2, without the sigmoid of the loss).

    Args:
        users: look-alike vectors E_u, float32[B, h]; of length 1 in the counted form.
        block: the items.
        form: of the scores, as the block was made for.
        prior: g, weight of an item's seeds; of each user, float32[B], or of all.
        activity: ``d log(1 + clicks)``, what each user's clicks add, float32[B].

    Returns:
        ``alpha cosine(E_u, E_global) + beta cosine(E_u, E_local) + prior log(1 + seeds) + activity`` and its two
        cosines, float32[B, I] each; where beta is 0 the second is 0.
    """
    norm = np.linalg.norm(users, axis=1)  # (B)
    across = np.ascontiguousarray(users.T)  # (h, B)
    global_part = (block.global_unit @ across) / np.maximum(norm, EPSILON)  # (I, B)
    total = form.alpha * global_part + activity
    total += np.multiply.outer(block.log_seeds, np.broadcast_to(np.asarray(prior, np.float32), norm.shape))
    local_part = np.zeros_like(global_part)
    if form.beta:
        tile = max(1, _TILE // max(1, len(users) * block.k))
        for first in range(0, len(block), tile):
            items = slice(first, first + tile)
            local_part[items] = _local_cosine(across, norm, block, items, form)
        total += form.beta * local_part
    return PairScores(total.T.astype(np.float32, copy=False), global_part.T, local_part.T)


def _local_cosine(across: Floats, norm: Floats, block: ItemBlock, items: slice, form: ScoreForm) -> Floats:
    """``cosine(E_u, E_local)`` for a tile of items; ``across`` is E_u as (h, B); returns (I, B)."""
    centroids = block.centroids[items]
    count, k, h = centroids.shape
    products = (centroids.reshape(-1, h) @ across).reshape(count, k, -1)  # C E_u, (I, k, B)
    attention = _attention(products, across, block, items, form)
    # E_u . E_local = a . (C E_u) and |E_local|^2 = a^T G a
    products *= attention
    product = products.sum(axis=1)  # (I, B)
    np.matmul(block.gram[items], attention, out=products)
    products *= attention
    length = np.sqrt(np.maximum(products.sum(axis=1), 0.0))  # (I, B)
    cosine: Floats = product / np.maximum(length * norm, EPSILON)
    return cosine


def _attention(products: Floats, across: Floats, block: ItemBlock, items: slice, form: ScoreForm) -> Floats:
    """The local attention a of both forms, (I, k, B); ``products`` are C E_u."""
    if isinstance(form, AttentionWeights):  # a = softmax_k( tanh(C W_l E_u) / temperature )
        keys = block.local_keys[items]
        attention = (keys.reshape(-1, keys.shape[2]) @ across).reshape(products.shape)
        np.tanh(attention, out=attention)
        attention -= 1.0  # tanh is at most 1: the exponent is never above 0
    else:  # a = softmax_k( C z_u / temperature + log n_k )
        attention = products.copy()
    if form.local_temperature != 1.0:
        attention /= form.local_temperature
    attention += block.log_counts[items][:, :, None]
    if isinstance(form, CountedForm):
        attention -= attention.max(axis=1, keepdims=True)
    np.exp(attention, out=attention)
    attention /= attention.sum(axis=1, keepdims=True)
    return attention
