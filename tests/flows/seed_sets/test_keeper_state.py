"""What is still to be done comes back as it was, and what is invalid is refused with the remedy."""

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.seed_sets.keeper_state import OpenWork
from state.store.seed_store import SeedStore, StoreError

NATURAL = st.integers(0, 2**63 - 1)


@given(
    st.none() | NATURAL,
    NATURAL,
    st.none() | NATURAL,
    st.dictionaries(st.text(max_size=9), st.tuples(NATURAL, NATURAL), max_size=9),
    st.dictionaries(st.text(max_size=9), NATURAL, max_size=9),
    NATURAL,
)
def test_what_is_to_be_done_comes_back_as_it_was(
    newest: int | None,
    closed: int,
    heard: int | None,
    dirty: Mapping[str, tuple[int, int]],
    pending: dict[str, int],
    dropped_until: int,
) -> None:
    first, last = (np.array([windows[n] for windows in dirty.values()], np.int64) for n in range(2))
    given = OpenWork(newest, closed, heard, (list(dirty), first, last), pending, dropped_until)
    found = OpenWork.decode(given.encode())
    assert (found.newest, found.closed, found.heard) == (newest, closed, heard)
    assert found.dropped_until == dropped_until
    assert found.pending == pending
    assert found.dirty[0] == list(dirty)
    np.testing.assert_array_equal(found.dirty[1], first)
    np.testing.assert_array_equal(found.dirty[2], last)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"nonsense",
        msgspec.msgpack.encode([0, 1, 2]),
        msgspec.msgpack.encode([None, -1, None, [], b"", b"", {}]),
        msgspec.msgpack.encode([None, 0, None, ["a"], b"", b"", {}]),
        msgspec.msgpack.encode([None, 0, None, ["a"], b"123", b"12345678", {}]),
    ],
)
def test_what_is_invalid_is_refused_with_the_store_and_the_remedy(data: bytes) -> None:
    with pytest.raises(StoreError, match=r"in a/00003 is damaged: .* cannot be read .*Move that.*backup"):
        OpenWork.of(cast("SeedStore", SimpleNamespace(path=Path("a/00003"), work=data)))
