"""Values come back as they were written, and damaged ones are refused."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ralm.seed_set import SeedSet, WindowClicks
from state.store.layout import (
    FOR_EVER,
    MAX_STORED_TIME,
    RETIRED,
    BaseHead,
    CandidateEntry,
    ItemRecord,
    StoreError,
    decode_candidate_entry,
    decode_head,
    decode_record,
    decode_seeds,
    decode_window,
    encode_candidate_entry,
    encode_head,
    encode_record,
    encode_seeds,
    encode_window,
)

TIMES = st.integers(0, MAX_STORED_TIME - 1)
NATURAL = st.integers(0, 2**63 - 1)


@given(TIMES, NATURAL, NATURAL, NATURAL)
def test_records_entries_and_heads_come_back(time: int, one: int, two: int, three: int) -> None:
    record, entry = ItemRecord(time, one, two, bool(three % 2), bool(three & 2)), CandidateEntry(one, two)
    head = BaseHead(1 + one % (2**32 - 1), 1 + two % 1000, 1000 + three % 2**62)
    assert decode_record(encode_record(record), "a") == record
    assert decode_candidate_entry(encode_candidate_entry(entry), "a") == entry
    assert decode_head(encode_head(head), "a") == head


@given(st.dictionaries(st.integers(0, 2**64 - 1), TIMES, max_size=20))
def test_seeds_come_back_in_sixteen_bytes_each(newest: dict[int, int]) -> None:
    seeds = SeedSet.of_clicks(np.array(list(newest), np.uint64), np.array(list(newest.values()), np.int64), 20)
    value = encode_seeds(seeds)
    assert len(value) == 16 * len(newest)
    found = decode_seeds(value, "a")
    assert dict(zip(found.users.tolist(), found.times.tolist(), strict=True)) == newest


@given(st.dictionaries(st.integers(0, 2**64 - 1), st.integers(0, 999), min_size=1), st.integers(1, 9))
def test_an_open_windows_clicks_come_back(newest: dict[int, int], later: int) -> None:
    seeds = SeedSet.of_clicks(np.array(list(newest), np.uint64), np.array(list(newest.values()), np.int64), 200)
    clicks = WindowClicks(1000 * later, 1000, min(newest.values()), seeds)
    found = decode_window(encode_window(clicks), "a", clicks.closes, clicks.window)
    assert (found.closes, found.window, found.first) == (clicks.closes, clicks.window, clicks.first)
    assert found.seeds.users.tolist() == seeds.users.tolist()


@pytest.mark.parametrize(
    ("closes", "window", "value"),
    [
        (1000, 1000, struct.pack("<q", 5)),  # no click
        (1000, 1000, struct.pack("<qQq", 6, 1, 5)),  # the earliest is later than one
        (1000, 1000, struct.pack("<qQq", 5, 1, 1000)),  # beyond its window
        (1000, 2000, struct.pack("<qQq", 5, 1, 5)),  # folded in before its window ends
    ],
)
def test_an_open_windows_clicks_must_lie_in_it(closes: int, window: int, value: bytes) -> None:
    with pytest.raises(StoreError, match="the clicks of item 'a' in the window until"):
        decode_window(value, "a", closes, window)


def test_records_and_entries_of_the_format_before_are_read() -> None:
    assert decode_record(struct.pack("<qq", 7, 3), "a") == ItemRecord(7, 3)
    assert decode_candidate_entry(struct.pack("<qqq", 900, 5, 0), "a") == CandidateEntry(900)
    assert decode_candidate_entry(struct.pack("<qqq", FOR_EVER, 5, 6), "a") == CandidateEntry(RETIRED)
