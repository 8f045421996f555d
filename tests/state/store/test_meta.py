"""What a store knows of itself comes back, and other knowledge is refused."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from state.store.layout import StoreError
from state.store.meta import (
    MIGRATED_FORMAT,
    STATE_FORMAT,
    ManifestFingerprint,
    SentMessage,
    StoreMeta,
    TopicMark,
    decode_meta,
    encode_meta,
)

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
