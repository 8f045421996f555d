"""Text that is nested too deep is refused by a fixed number, whatever the stack has left."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.config.sources import load_settings
from flows.kafka.topic_marks import decode_mark
from flows.messages.codec import decode_candidate, decode_centroids, decode_click, decode_request, encode_centroids
from flows.messages.nesting import check_msgpack_depth
from flows.messages.types import Centroids
from flows.offline.datasets.json_rows import parse_json
from state.directory import NAME, read_format
from state.nesting import MAX_DEPTH, NestedTooDeepError, check_depth, json_of

STACKS = (0, 200, 400)
"""Calls below a decoder."""


def nested(levels: int, kind: str) -> str:
    return "[" * levels + "]" * levels if kind == "list" else '{"a":' * levels + "1" + "}" * levels


def below(calls: int, decode: Callable[[], Any]) -> Any:
    return decode() if not calls else below(calls - 1, decode)


def outcomes(decode: Callable[[], Any]) -> set[str]:
    """What comes of it at each height of the stack."""
    found = set()
    for calls in STACKS:
        try:
            below(calls, decode)
            found.add("taken")
        except Exception as error:
            found.add(f"{type(error).__name__}: {error}")
    return found


def centroids(more: bytes) -> bytes:
    """Centroids with a field of a later version."""
    made = encode_centroids(
        Centroids.of(
            item_id="i",
            model_version="v",
            window_end=5,
            seeds=10,
            counts=np.array([1]),
            centroids=np.ones((1, 2), np.float32),
            global_=np.ones(2, np.float32),
        )
    )
    return bytes([made[0] + 1]) + made[1:] + msgspec.msgpack.encode("later") + more


def _toml(folder: Path, inner: str) -> Any:
    file = folder / "ralm.toml"
    file.write_text(f"max_seeds = 7\nkafka_options = {inner}\n")
    return load_settings(file, environment={})


def _format(folder: Path, inner: str) -> Any:
    (folder / NAME).write_text(f'{{"format": 3, "partitions": [4], "later": {inner}}}')
    return read_format(folder)


def _packed(inner: str) -> bytes:
    """The same as MessagePack."""
    levels = inner.count("[") + inner.count("{")
    return b"\x91" * (levels - 1) + b"\x90" if "[" in inner else b"\x81\xa1a" * levels + b"\x01"


_CLICK = '{"user_id": "u", "item_id": "i", "ts": 1732440000000, "later": %s}'
DOORS: dict[str, Callable[[Path, str], Any]] = {
    "click": lambda _, inner: decode_click((_CLICK % inner).encode()),
    "candidate": lambda _, inner: decode_candidate(f'{{"item_id": "i", "later": {inner}}}'.encode()),
    "request": lambda _, inner: decode_request((_CLICK.replace("item", "request") % inner).encode()),
    "centroids": lambda _, inner: decode_centroids(centroids(_packed(inner))),
    "rows": lambda _, inner: parse_json("a.jsonl", (_CLICK % inner).encode()),
    "settings": _toml,
    "format": _format,
    "json": lambda _, inner: json_of(inner),
}


@pytest.mark.parametrize("kind", ["list", "object"])
@pytest.mark.parametrize("door", [door for door in DOORS if door not in ("settings", "format")])
def test_what_is_taken_does_not_depend_on_the_stack(tmp_path: Path, door: str, kind: str) -> None:
    outer = 0 if door == "json" else 1
    assert outcomes(lambda: DOORS[door](tmp_path, nested(MAX_DEPTH - outer, kind))) == {"taken"}
    for levels in (MAX_DEPTH - outer + 1, 450, 880):
        (said,) = outcomes(lambda: DOORS[door](tmp_path, nested(levels, kind)))  # noqa: B023 (called at once)
        assert f"nested more than {MAX_DEPTH} deep" in said


@pytest.mark.parametrize("door", ["settings", "format"])
@pytest.mark.parametrize("levels", [MAX_DEPTH - 1, MAX_DEPTH + 1, 450])
def test_files_are_refused_in_the_same_words_wherever_they_are_read(tmp_path: Path, door: str, levels: int) -> None:
    assert len(outcomes(lambda: DOORS[door](tmp_path, nested(levels, "list")))) == 1


def test_brackets_within_texts_do_not_count() -> None:
    check_depth(json.dumps(['"\\[{' * 1000, {"[" * 500: ["}" * 3]}]))
    check_depth(json.dumps([[{"a": [1]}]] * 1000))
    assert decode_mark(nested(5000, "list")).offset == -1


@given(
    st.recursive(
        st.none() | st.integers(-(2**31), 2**31) | st.floats(allow_nan=False) | st.binary(max_size=300) | st.text(),
        lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=40), inner, max_size=20),
        max_leaves=40,
    ),
    st.integers(0, MAX_DEPTH + 20),
)
def test_messagepack_is_measured_as_it_is(value: Any, around: int) -> None:
    levels = around + _depth(value)
    for _ in range(around):
        value = [1, value, "after"]
    packed = msgspec.msgpack.encode(value)
    if levels > MAX_DEPTH:
        with pytest.raises(NestedTooDeepError):
            check_msgpack_depth(packed)
    else:
        check_msgpack_depth(packed)


def _depth(value: Any) -> int:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if parts is None else 1 + max(map(_depth, parts), default=0)
