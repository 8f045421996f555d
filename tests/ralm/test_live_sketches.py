"""Sketches in slots say what a table of the same sketches says, whatever came and went before."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ralm import live_sketches
from ralm.live_sketches import LiveSketches, greatest_is_one
from ralm.sketch import Sketch, SketchTable

SETS = st.none() | st.integers(0, 200)
OPERATIONS = st.lists(st.dictionaries(st.integers(0, 9), SETS, min_size=1), min_size=1, max_size=6)


@cache
def members(number: int) -> np.ndarray:
    """A set of the same universe for each number, some larger than a sketch."""
    rng = np.random.default_rng(number)
    return rng.choice(np.arange(700, dtype=np.uint64), rng.integers(1, 500), replace=False)


def made(operations: list[dict[int, int | None]]) -> tuple[LiveSketches, dict[int, int | None]]:
    live, model, count = LiveSketches.empty(), dict[int, int | None](), 0
    for changes in operations:
        count = max(count, max(changes) + 1)
        sketches = [None if n is None else Sketch.of_keys(members(n)) for n in changes.values()]
        sizes = np.array([0 if n is None else len(members(n)) for n in changes.values()], np.int64)
        live = live.changed(np.array(list(changes), np.int64), sketches, sizes, count)
        model.update(changes)
    return live, model


@settings(max_examples=40, deadline=None)
@given(
    operations=OPERATIONS,
    users=st.lists(st.lists(st.integers(0, 9), max_size=4, unique=True), min_size=1, max_size=4),
    chunk=st.sampled_from([1, 50, 1 << 22]),
)
def test_near_is_the_sum_of_a_tables_cosines(
    operations: list[dict[int, int | None]], users: list[list[int]], chunk: int
) -> None:
    live, model = made(operations)
    newest = [[slot for slot in mine if slot < len(live)] for mine in users]
    start = np.cumsum([0, *(len(mine) for mine in newest)])
    targets = np.random.default_rng(0).permutation(len(live))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live_sketches, "_MOST_NUMBERS", chunk)
        found = live.near(np.array([slot for mine in newest for slot in mine], np.int64), start, targets)
    there = [members(model[slot]) if model.get(slot) is not None else members(0)[:0] for slot in range(len(live))]
    table, sizes = SketchTable.of([Sketch.of_keys(keys) for keys in there]), np.array([len(keys) for keys in there])
    cosines = table.cosines(table, sizes, sizes).toarray()
    expected = [cosines[mine].sum(axis=0)[targets] for mine in newest]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)
    assert (np.diff(live.places.astype(object)) > 0).all()


def test_a_reader_keeps_what_it_holds() -> None:
    live, _ = made([{0: 1, 1: 2}])
    before = [column.copy() for column in (live.hashes, live.counted, live.tau, live.sizes, live.places)]
    live.changed(np.array([0, 3]), [None, Sketch.of_keys(members(5))], np.array([0, 9]), 4)
    for now, then in zip((live.hashes, live.counted, live.tau, live.sizes, live.places), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_nothing_is_near_where_nothing_is_known() -> None:
    live, _ = made([{0: None, 1: 3}])
    none = np.zeros(0, np.int64)
    assert not live.near(np.array([0]), np.array([0, 1]), np.array([0, 1])).any()
    assert live.near(none, np.array([0, 0]), np.array([1])).tolist() == [[0.0]]
    assert live.near(np.array([1]), np.array([0, 1]), none).shape == (1, 0)
    assert LiveSketches.empty().near(none, np.array([0]), none).shape == (0, 0)


def test_rows_are_scaled_by_what_may_be_recommended() -> None:
    near = np.array([[4.0, 2.0, 1.0], [3.0, 0.0, 0.0]])
    allowed = np.array([[False, True, True], [False, True, True]])
    assert greatest_is_one(near, allowed).tolist() == [[2.0, 1.0, 0.5], [3.0, 0.0, 0.0]]
