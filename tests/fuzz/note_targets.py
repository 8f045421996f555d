"""Small notes that others may have written: committed marks, what a state directory and a data set say of itself."""

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from tempfile import mkdtemp
from typing import Any

import numpy as np

from flows.kafka.topic_marks import decode_mark, encode_mark
from flows.offline.datasets.layout import Dataset, load, save
from flows.offline.datasets.words import as_words
from flows.support.errors import RalmError
from flows.support.metrics_page import MetricsPage, MetricsServer
from state.directory import NAME, backup_positions, begun_partitions, partition_counts, read_format
from state.store.layout import StoreError
from state.store.meta import NO_MARK, STATE_FORMAT, ManifestFingerprint, StoreMeta, TopicMark, decode_meta, encode_meta

from .mutation import mutated, near_json, number, text, value
from .target import Check, Target, said

_META = StoreMeta(topic="clicks", partition=0, model_version="m", manifest=ManifestFingerprint(3, 5, 7))
_FILES = ("fields.json", "events.npz", "users.npz", "items.npz")


def near(valid: dict[str, Any]) -> Callable[[Random], bytes]:
    """A note of JSON, or nearly."""
    return partial(near_json, valid=[(name, json.dumps(found).encode()) for name, found in valid.items()])


def mark_text(rng: Random) -> str:
    """What is committed beside an offset, or nearly."""
    parts = [json.dumps(text(rng)).encode(), str(number(rng)).encode(), str(number(rng)).encode()]
    if rng.random() < 0.3:
        parts[rng.randrange(3)] = value(rng)
    data = b"[" + b", ".join(parts) + b"]"
    data = mutated(rng, data) if rng.random() < 0.4 else data
    return data.decode("utf-8", "replace")[:4096]


def folder_change(rng: Random) -> dict[str, Any]:
    """What is done to a data set's folder: a file is changed, missing or another's."""
    name = rng.choice(_FILES)
    kind = rng.random()
    if kind < 0.1:
        return {"file": name, "content": None}
    if name == "fields.json" and kind < 0.7:
        return {"file": name, "content": near({"name": "made", "fields": {"age": "continuous"}, "timed": True})(rng)}
    return {"file": name, "bytes_from": rng.randrange(2**32)}


def page_text(rng: Random) -> bytes:
    """What another server at the port may answer in place of a metrics page, or nearly one."""
    names = ("ralm_items", "ralm_lag", "http_requests_total", "a")
    lines = [
        f'{rng.choice(names)}{{partition="{rng.choice(("0", text(rng)))}"}} {rng.choice(("1", "3.0", "NaN", "x"))}'
        for _ in range(rng.randrange(4))
    ]
    data = "\n".join(["# TYPE ralm_items gauge", *lines, ""]).encode("utf-8", "replace")
    return mutated(rng, data) if rng.random() < 0.6 else data


def _mark_check() -> Check:
    def check(given: str) -> str:
        mark = decode_mark(given)
        assert -(2**63) <= mark.offset < 2**63, "no offset"
        assert -(2**63) <= mark.time < 2**63, "no time"
        assert decode_mark(encode_mark(mark)) == mark
        meta = StoreMeta(**{**_META.__dict__, "clicks_mark": mark})
        if mark != NO_MARK and mark.offset >= 0 and mark.time >= 0:
            assert decode_meta(Path("store"), encode_meta(meta)).clicks_mark == mark
        return "refused" if mark == NO_MARK else "accepted"

    return check


def _format_check() -> Check:
    folder = Path(mkdtemp(prefix="ralm-fuzz-format-"))

    def check(content: bytes) -> str:
        (folder / NAME).write_bytes(content)
        try:
            read_format(folder)
            counts = partition_counts(folder)
            begun = begun_partitions(folder, "clicks")
            positions = backup_positions(folder) or {}
        except StoreError as refusal:
            said(refusal)
            return "refused"
        assert all(type(found) is int for found in (*counts, *begun, *positions, *positions.values()))
        return "accepted"

    return check


def _meta_check(content: bytes) -> str:
    try:
        meta = decode_meta(Path("store"), content)
    except StoreError as refusal:
        said(refusal)
        return "refused"
    assert decode_meta(Path("store"), encode_meta(meta)) == meta
    return "accepted"


def _dataset() -> Dataset:
    users, items = as_words(["ann", "bob", "cem"]), as_words(["mug", "tea"])
    return Dataset(
        "made",
        users[np.array([0, 1, 2, 2])],
        items[np.array([0, 1, 0, 1])],
        np.array([1, 2, 3, 4], np.int64) * 10**12,
        users,
        {"age": ("continuous", np.array([1.0, 2.0, 3.0], np.float32))},
        items,
        as_words(["", "food"]),
    )


def _folder_check() -> Check:
    good, folder = (Path(mkdtemp(prefix="ralm-fuzz-set-")) for _ in range(2))
    save(_dataset(), good)
    contents = {name: (good / name).read_bytes() for name in _FILES}

    def check(change: dict[str, Any]) -> str:
        shutil.rmtree(folder)
        folder.mkdir()
        for name, content in contents.items():
            given: bytes | None = content
            if name == change["file"]:
                given = change["content"] if "content" in change else mutated(Random(change["bytes_from"]), content)
            if given is not None:
                (folder / name).write_bytes(given)
        try:
            dataset = load(folder)
            dataset.interactions()
        except RalmError as refusal:
            said(refusal)
            return "refused"
        return "accepted"

    return check


class _Answers(MetricsServer):
    """A server that answers what is given."""

    answer: bytes

    def _bytes(self, path: str) -> tuple[int, bytes]:
        del path
        return 200, self.answer


def _page_check() -> Check:
    server = _Answers("127.0.0.1", 9)

    def check(content: bytes) -> list[str]:
        object.__setattr__(server, "answer", content)
        outcomes = []
        for ask in (server.page, server.ready, server.status):
            try:
                answer = ask()
            except OSError as refusal:
                said(refusal)
                outcomes.append("refused")
                continue
            if isinstance(answer, MetricsPage):
                answer.total("ralm_items")
            outcomes.append("accepted")
        return outcomes

    return check


_MARK = TopicMark("6QxO", 3, 1_700_000_000_000)
TARGETS = [
    Target("topic-mark", 0.01, mark_text, _mark_check),
    Target(
        "state-format",
        0.005,
        near({"format": STATE_FORMAT, "partitions": [1, 2], "backup": {"00000": 7}, "begun": {"clicks": [0]}}),
        _format_check,
    ),
    Target(
        "store-meta",
        0.01,
        near(json.loads(encode_meta(StoreMeta(**{**_META.__dict__, "clicks_mark": _MARK})))),
        lambda: _meta_check,
    ),
    Target("dataset-folder", 0.005, folder_change, _folder_check),
    Target("metrics-page", 0.01, page_text, _page_check),
]
