"""Values come back as they were written, and damaged ones are refused."""

import json
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ralm.seed_set import SeedSet, WindowClicks
from state.store.layout import (
    FOR_EVER,
    MAX_STORED_TIME,
    MIGRATED_FORMAT,
    RETIRED,
    STATE_FORMAT,
    BaseHead,
    CandidateEntry,
    ItemRecord,
    ManifestFingerprint,
    SentMessage,
    StoreError,
    StoreMeta,
    TopicMark,
    decode_candidate_entry,
    decode_head,
    decode_meta,
    decode_record,
    decode_seeds,
    decode_window,
    encode_candidate_entry,
    encode_head,
    encode_meta,
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


META = StoreMeta("clicks", 3, 7, 8, 6, -1, "m", ("l", "k"), epoch=5, manifest=ManifestFingerprint(4, 99, 2**32 - 1))


def test_what_a_store_knows_of_itself_comes_back(tmp_path: Path) -> None:
    marks = {"clicks_mark": TopicMark("x", 6, 1000), "candidates_mark": TopicMark(), "centroids_id": "y"}
    marks |= {"centroids_sent": SentMessage(2, 7, 1000), "centroids_deleted": 9}
    for meta in (META, replace(META, **marks)):
        assert decode_meta(tmp_path, encode_meta(meta)) == meta


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"position": -1}, "does not say what it is"),
        ({"partition": "3"}, "does not say what it is"),
        ({"manifest": [1, 2]}, "does not say what it is"),
        ({"older_versions": [1]}, "does not say what it is"),
        ({"clicks_mark": ["x", 1]}, "does not say what it is"),
        ({"clicks_mark": ["x", -2, 0]}, "does not say what it is"),
        ({"candidates_mark": [1, 1, 0]}, "does not say what it is"),
        ({"centroids_id": None}, "does not say what it is"),
        ({"centroids_sent": [-1, 0, 0]}, "does not say what it is"),
        ({"centroids_sent": [0, 0, 0, 0]}, "does not say what it is"),
        ({"centroids_sent": [0, "0", 0]}, "does not say what it is"),
        ({"centroids_deleted": -1}, "does not say what it is"),
        ({"resume": 8}, "does not say what it is"),
        ({"resume_candidates": -2}, "does not say what it is"),
        ({"strange": 1}, "does not say what it is"),
        ({"format": "2"}, "does not say what it is"),
        ({"format": STATE_FORMAT + 1}, "A newer version wrote it"),
        ({"format": MIGRATED_FORMAT - 1}, "Drain the flow with the"),
    ],
)
def test_other_knowledge_is_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    value = json.dumps({**json.loads(encode_meta(replace(META))), **change}).encode()
    with pytest.raises(StoreError, match=message):
        decode_meta(tmp_path, value)


def test_the_format_before_goes_on_where_its_store_ends(tmp_path: Path) -> None:
    old = json.loads(encode_meta(META))
    del old["resume"], old["resume_candidates"]
    found = decode_meta(tmp_path, json.dumps({**old, "format": MIGRATED_FORMAT}).encode())
    assert found == replace(META, resume=7, resume_candidates=8)
