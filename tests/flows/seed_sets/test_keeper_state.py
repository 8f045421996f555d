"""A snapshot comes back as it was, and what is none is refused with the remedy."""

from collections.abc import Mapping

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.seed_sets.keeper_state import OperatorSnapshot
from flows.support.errors import RalmError

NATURAL = st.integers(0, 2**63 - 1)


@given(
    NATURAL,
    NATURAL,
    st.none() | NATURAL,
    st.dictionaries(st.text(max_size=9), st.tuples(NATURAL, NATURAL), max_size=9),
    st.dictionaries(st.text(max_size=9), NATURAL, max_size=9),
)
def test_a_snapshot_comes_back_as_it_was(
    position: int,
    candidates: int,
    newest: int | None,
    dirty: Mapping[str, tuple[int, int]],
    pending: dict[str, int],
) -> None:
    first, last = (np.array([windows[n] for windows in dirty.values()], np.int64) for n in range(2))
    snapshot = OperatorSnapshot(3, position, candidates, newest, 7, (list(dirty), first, last), pending)
    found = OperatorSnapshot.decode(snapshot.encode())
    assert (found.partition, found.position, found.candidates, found.newest, found.closed, found.pending) == (
        3,
        position,
        candidates,
        newest,
        7,
        pending,
    )
    assert found.dirty[0] == list(dirty)
    np.testing.assert_array_equal(found.dirty[1], first)
    np.testing.assert_array_equal(found.dirty[2], last)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"nonsense",
        msgspec.msgpack.encode([0, 1, 2]),
        msgspec.msgpack.encode([0, -1, 0, None, 0, [], b"", b"", {}]),
        msgspec.msgpack.encode([0, 1, 0, None, 0, ["a"], b"", b"", {}]),
        msgspec.msgpack.encode([0, 1, 0, None, 0, ["a"], b"123", b"12345678", {}]),
    ],
)
def test_what_is_no_snapshot_is_refused_with_the_remedy(data: bytes) -> None:
    with pytest.raises(RalmError, match=r"cannot be read: .*from a backup, or move its folder recovery away"):
        OperatorSnapshot.decode(data)
