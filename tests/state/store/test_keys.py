"""Keys come back as they were made, and sort as their numbers do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.store.keys import StoreKey, delta_key, item_key, piece_key, split_key, window_key
from state.store.layout import StoreError

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@given(NAMES, st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_a_key_is_taken_apart_into_what_it_was_made_of(item: str, epoch: int, generation: int, number: int) -> None:
    assert split_key(item_key(b"I", item)) == StoreKey("I", item)
    assert split_key(delta_key(item, epoch)) == StoreKey("D", item, epoch)
    assert split_key(piece_key(item, generation, number)) == StoreKey("P", item, generation << 32 | number)
    assert split_key(window_key(item, generation, number, epoch)) == StoreKey("O", item, epoch, generation, number)


@given(NAMES, st.lists(st.integers(0, 2**64 - 1), min_size=2, max_size=9))
def test_deltas_sort_by_their_epochs_and_items_lie_apart(item: str, epochs: list[int]) -> None:
    assert sorted(delta_key(item, epoch) for epoch in epochs) == [delta_key(item, epoch) for epoch in sorted(epochs)]
    assert not delta_key(item + "x", epochs[0]).startswith(item_key(b"D", item))


@pytest.mark.parametrize("key", [b"", b"I", b"Z\0\1x", b"I\0\2x", b"D\0\1x", b"I\0\1\xff"])
def test_what_is_no_key_is_refused(key: bytes) -> None:
    with pytest.raises(StoreError, match="is not a key of this format"):
        split_key(key)
