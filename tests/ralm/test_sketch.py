"""The laws of the bottom-k sketch, and its estimates against exact overlaps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ralm.sketch import Sketch, SketchTable, hashes_of

KEYS = st.lists(st.integers(0, 2**64 - 1), max_size=40).map(lambda keys: np.array(keys, np.uint64))
CAPACITY = 8


def sketch(keys: np.ndarray) -> list[int]:
    return Sketch.of_keys(keys, CAPACITY).hashes.tolist()


@given(keys=KEYS, rng_seed=st.integers(0, 9))
def test_neither_order_nor_repetition_matters(keys: np.ndarray, rng_seed: int) -> None:
    again = np.random.default_rng(rng_seed).permutation(np.concatenate([keys, keys[: len(keys) // 2]]))
    assert sketch(again) == sketch(keys)


@given(first=KEYS, second=KEYS, third=KEYS)
def test_merging_is_sketching_the_union(first: np.ndarray, second: np.ndarray, third: np.ndarray) -> None:
    a, b, c = (Sketch.of_keys(keys, CAPACITY) for keys in (first, second, third))
    assert a.merge(b).hashes.tolist() == sketch(np.concatenate([first, second]))
    assert a.merge(b).hashes.tolist() == b.merge(a).hashes.tolist()
    assert a.merge(b).merge(c).hashes.tolist() == a.merge(b.merge(c)).hashes.tolist()
    assert a.merge(a).hashes.tolist() == a.hashes.tolist()


def test_a_large_set_has_the_sketch_of_all_its_hashes() -> None:
    keys = np.random.default_rng(0).integers(0, 3000, 20_000).astype(np.uint64)
    assert sketch(keys) == np.unique(hashes_of(keys))[:CAPACITY].tolist()


def test_many_copies_of_few_keys_are_few_members() -> None:
    keys = np.repeat(np.arange(5, dtype=np.uint64), 1000)
    assert sketch(keys) == np.sort(hashes_of(np.arange(5, dtype=np.uint64))).tolist()


@given(first=st.sets(st.integers(0, 30), max_size=7), second=st.sets(st.integers(0, 30), max_size=7))
def test_overlaps_of_small_sets_are_exact(first: set[int], second: set[int]) -> None:
    table = SketchTable.of([Sketch.of_keys(np.array(sorted(s), np.uint64), CAPACITY) for s in (first, second)])
    assert table.overlaps(table).toarray().tolist() == [
        [len(first), len(first & second)],
        [len(first & second), len(second)],
    ]


@pytest.mark.parametrize(("sizes", "shared"), [((400, 3000), 200), ((1000, 1000), 500), ((60, 5000), 40)])
def test_estimates_are_within_the_expected_error(sizes: tuple[int, int], shared: int) -> None:
    capacity, draws, rng = 128, 300, np.random.default_rng(1)
    estimates = []
    for _ in range(draws):
        keys = rng.integers(0, 2**63, sizes[0] + sizes[1] - shared).astype(np.uint64)
        table = SketchTable.of(
            [Sketch.of_keys(part, capacity) for part in (keys[: sizes[0]], keys[sizes[0] - shared :])]
        )
        estimates.append(table.take(np.array([0])).overlaps(table.take(np.array([1]))).toarray()[0, 0])
    share = min(1.0, *((capacity - 1) / size for size in sizes))
    expected = np.sqrt(shared * (1 - share) / share)
    assert abs(np.mean(estimates) - shared) < 4 * expected / np.sqrt(draws)
    assert 0.6 * expected < np.std(estimates) < 1.2 * expected


def test_a_table_of_pairs_is_that_of_single_sketches() -> None:
    rng, users, items = np.random.default_rng(2), 500, 6
    pairs = np.argwhere(rng.random((users, items)) < np.array([0.0, 0.002, 0.05, 0.254, 0.5, 1.0]))
    hashes = hashes_of(np.arange(users, dtype=np.uint64))
    every = np.arange(items)
    table = SketchTable.of_seeds(pairs[:, 0], pairs[:, 1], hashes, items, 32)
    single = SketchTable.of(
        [Sketch.of_keys(pairs[pairs[:, 1] == item, 0].astype(np.uint64), 32) for item in range(items)]
    )
    assert len(table) == items
    np.testing.assert_allclose(table.overlaps(table).toarray(), single.overlaps(single).toarray())
    sizes = np.bincount(pairs[:, 1], minlength=items)
    cosines = table.cosines(table, sizes, sizes).toarray()
    np.testing.assert_allclose(np.diag(cosines)[sizes > 0], 1, atol=0.5)
    assert not cosines[sizes == 0].any()
    with pytest.raises(ValueError, match="cannot be compared"):
        table.overlaps(single.take(every))


def test_sketches_of_two_capacities_are_not_merged() -> None:
    with pytest.raises(ValueError, match="cannot be merged"):
        Sketch.of_keys(np.zeros(0, np.uint64), 4).merge(Sketch.of_keys(np.zeros(0, np.uint64), 8))
