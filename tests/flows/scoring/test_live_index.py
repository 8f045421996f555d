"""The live index: a view never changes, and an update is seen whole in the next."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.scoring.index_loader import IndexLoader
from flows.scoring.live_index import BLOCK_ITEMS, IndexEntry, LiveIndex
from monitoring import metrics
from ralm.scoring import AttentionWeights, score
from ralm.sketch import Sketch
from state.item_keys import item_keys

H = 4
RNG = np.random.default_rng(0)
WEIGHTS = AttentionWeights(*(RNG.normal(size=s).astype("f4") for s in ((H, H), (3, H), (3,))))
USERS = RNG.normal(size=(2, H)).astype("f4")


def entry(number: int, *, sketched: bool = True) -> IndexEntry:
    rng = np.random.default_rng(number)
    return IndexEntry(
        rng.normal(size=(1 + number % 5, H)).astype("f4"),
        np.ones(1 + number % 5, np.int64),
        rng.normal(size=H).astype("f4"),
        window_end=number * 100,
        seeds=number,
        sketch=Sketch.of_keys(np.arange(number, dtype=np.uint64)).hashes[: number if sketched else 0],
    )


OPERATIONS = st.lists(
    st.dictionaries(st.sampled_from("abcdefgh"), st.none() | st.integers(1, 50), min_size=1), max_size=12
)


@settings(max_examples=60)
@given(OPERATIONS)
def test_it_says_what_was_put_in_last(operations: list[dict[str, int | None]]) -> None:
    index, model, views = LiveIndex(WEIGHTS, sketched=True), {}, []
    for changes in operations:
        index.update({item: None if n is None else entry(n) for item, n in changes.items()})
        model.update(changes)
        views.append((index.view, dict(model)))
    for view, expected in views:
        live = {item: n for item, n in expected.items() if n is not None}
        found = {i for block in view.blocks for i, on in zip(block.item_ids, block.live, strict=True) if on}
        assert found == set(live)
        sketched = view.sketched
        assert sketched is not None
        assert sketched.keys.tolist() == np.sort(item_keys(sorted(live))).tolist()
        assert {view.item_id(slot): sketched.sketches.sizes[slot] for slot in sketched.slots.tolist()} == live
        assert sketched.without_sketch == 0
        for item, number in live.items():
            if view is index.view:
                slot = view.slot(item)
                assert slot is not None
                assert view.item_id(slot) == item
                assert view.window_end(slot) == number * 100


def test_slots_come_in_their_order_whatever_blocks_they_are_in() -> None:
    index = LiveIndex(WEIGHTS)
    index.update({f"item-{n}": entry(n) for n in range(2 * BLOCK_ITEMS + 10)})
    view = index.view
    assert len(view.blocks) == 3
    assert view.size == 2 * BLOCK_ITEMS + 10
    slots = np.array([view.slot(f"item-{n}") for n in (515, 3, 300, 4)], np.int64)
    together = score(USERS, view.take(slots), WEIGHTS).score
    for place, slot in enumerate(slots.tolist()):
        block = view.blocks[slot // BLOCK_ITEMS].items
        alone = score(USERS, block, WEIGHTS).score[:, slot % BLOCK_ITEMS]
        np.testing.assert_allclose(together[:, place], alone, atol=1e-6)


def test_a_reader_keeps_its_view_while_items_change_and_slots_are_used_again() -> None:
    index = LiveIndex(WEIGHTS)
    index.update({"a": entry(1)})
    before = index.view
    scores = score(USERS, before.blocks[0].items, WEIGHTS).score
    index.update({"a": None})
    index.update({"b": entry(2)})
    np.testing.assert_array_equal(score(USERS, before.blocks[0].items, WEIGHTS).score, scores)
    assert before.slot("b") is None
    assert before.item_id(0) == "a"
    assert index.view.slot("a") is None
    assert index.view.slot("b") == 0
    assert index.view.size == 1


def test_sketches_are_kept_where_they_are_wanted_alone() -> None:
    plain, sketched = LiveIndex(WEIGHTS), LiveIndex(WEIGHTS, sketched=True)
    for index in (plain, sketched):
        index.update({"a": entry(3), "b": entry(4, sketched=False), "c": entry(5, sketched=False)})
        index.update({"c": None})
    assert plain.view.sketched is None
    assert sketched.view.sketched is not None
    assert sketched.view.sketched.without_sketch == 1
    assert len(sketched.view.sketched.sketches.places) == 3


def test_that_sketches_are_missing_is_said_once(capfd: pytest.CaptureFixture[str]) -> None:
    index = LiveIndex(WEIGHTS, sketched=True)
    loader = IndexLoader(index, "centroids", {"bootstrap.servers": "127.0.0.1:1", "group.id": "g"}, "v", H)
    loader._apply({"a": entry(3), "b": entry(4, sketched=False)})
    loader._apply({"c": entry(4, sketched=False)})
    assert metrics.INDEX_UNSKETCHED._value.get() == 2
    loader._apply({"b": entry(5), "c": None})
    assert metrics.INDEX_UNSKETCHED._value.get() == 0
    loader._reader.close()
    told = capfd.readouterr()
    assert (told.out + told.err).count("centroids without a sketch") == 1
