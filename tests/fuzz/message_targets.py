"""The message decoders: a message of the contract that comes through again, or an invalid message with its reason."""

import json
import struct
from collections.abc import Callable
from random import Random
from typing import Any

import msgspec
import numpy as np

from flows.config.limits import MAX_TIME
from flows.messages.codec import (
    centroids_key,
    decode_candidate,
    decode_centroids,
    decode_click,
    decode_request,
    decode_scores,
    encode_centroids,
    encode_message,
    split_centroids_key,
)
from flows.messages.rejects import InvalidMessage
from flows.messages.types import MAX_EXPIRY, Candidate, Centroids, Click, Request, Scores

from .mutation import NUMBERS, mutated, near_json, number, text
from .target import Check, Target, reason_of


def click_bytes(rng: Random) -> bytes:
    """A click, or nearly."""
    return near_json(rng, [("user_id", identifier(rng)), ("item_id", identifier(rng)), ("ts", time(rng))])


def candidate_bytes(rng: Random) -> bytes:
    """A candidate, or nearly."""
    return near_json(rng, [("item_id", identifier(rng)), ("expires_at", rng.choice((time(rng), b"null")))])


def request_bytes(rng: Random) -> bytes:
    """A request, or nearly."""
    asked = b"[" + b",".join(identifier(rng) for _ in range(rng.randrange(5))) + b"]"
    pairs = [("request_id", identifier(rng)), ("user_id", identifier(rng)), ("ts", time(rng))]
    if rng.random() < 0.6:
        pairs.append(("candidates", rng.choice((asked, b"null"))))
    if rng.random() < 0.5:
        pairs.append(("top_k", str(rng.choice((1, 5, 2**31 - 1))).encode()))
    if rng.random() < 0.4:
        pairs.append(("profile", _profile(rng)))
    return near_json(rng, pairs)


def scores_bytes(rng: Random) -> bytes:
    """An answer, or nearly."""
    parts = (rng.randrange(9), time(rng))
    item = b'{"item_id":"i","score":%d.5,"global_part":0.1,"local_part":1e-3,"window_end":%s}' % parts
    status = rng.choice((b'"ok"', b'"unknown_user"', b'"expired"', b'"fine"'))
    pairs = [("request_id", quoted(rng)), ("user_id", quoted(rng)), ("status", status), ("model_version", quoted(rng))]
    pairs += [("scored_at", time(rng)), ("scores", b"[" + b",".join([item] * rng.randrange(3)) + b"]")]
    pairs += [("truncated", rng.choice((b"true", b"false", b"1")))] if rng.random() < 0.3 else []
    return near_json(rng, [*pairs, ("cold", b"[" + quoted(rng) + b"]"), ("stale", b"[]")])


def centroids_bytes(rng: Random) -> bytes:
    """Centroids whose sizes may lie, or nearly centroids."""
    k, h = rng.randint(1, 4), rng.randint(1, 4)
    numbers = [rng.choice((0.5, -1.0, 3e38, float("nan"), float("inf"))) if rng.random() < 0.05 else 0.25] * (k * h + h)
    data = struct.pack(f"<{len(numbers)}f", *numbers)
    found: dict[Any, Any] = {
        "item_id": text(rng),
        "model_version": text(rng),
        "window_end": rng.randrange(MAX_TIME),
        "seeds": rng.randrange(10**6),
        "counts": [rng.randrange(100) for _ in range(k)],
        "k": k,
        "h": h,
        "centroids": data[: 4 * k * h],
        "global": data[4 * k * h :],
        "sketch": _sketch(rng),
    }
    if rng.random() < 0.5:
        name = rng.choice(list(found))
        found[name] = rng.choice((_in_64_bits(number(rng)), text(rng), None, [], rng.randbytes(8), {}, 1.5))
    if rng.random() < 0.2:  # sizes whose product is right modulo 2^64, or 0
        found |= rng.choice(({"k": 2**62, "h": 4}, {"k": 2**32, "h": 2**32}, {"k": -1, "h": -1}, {"k": 0, "h": 0}))
        found |= {"counts": [], "centroids": b"", "global": b""} if rng.random() < 0.5 else {}
    encoded = msgspec.msgpack.encode(found)
    return mutated(rng, encoded) if rng.random() < 0.4 else encoded


def key_bytes(rng: Random) -> bytes | None:
    """A key of the centroids topic, or nearly."""
    if rng.random() < 0.05:
        return None
    key = f"{text(rng)}/{text(rng)}".encode()
    return mutated(rng, key) if rng.random() < 0.5 else key


def identifier(rng: Random) -> bytes:
    """An identifier as JSON text, often at a limit."""
    return str(rng.choice(NUMBERS)).encode() if rng.random() < 0.15 else quoted(rng)


def quoted(rng: Random) -> bytes:
    """A text as JSON text."""
    return json.dumps(text(rng), ensure_ascii=rng.random() < 0.5).encode()


def time(rng: Random) -> bytes:
    """A time as JSON text."""
    likely = (0, 1_764_000_000, 10**11, 1_764_000_000_000, MAX_EXPIRY, MAX_TIME)
    return str(rng.choice(likely) if rng.random() < 0.9 else number(rng)).encode()


def _profile(rng: Random) -> bytes:
    """A profile as JSON: texts, numbers and lists, and what may not be one."""
    values = (quoted(rng), b"7", b"2.50", b"1e22", b"null", b'["a",1]', b"[]", b"true", b"{}", b"1e999", b"9" * 30)
    count = rng.choice((0, 1, 2, 3, 3, 257))
    return b"{" + b",".join(b"%s:%s" % (quoted(rng), rng.choice(values)) for _ in range(count)) + b"}"


def _sketch(rng: Random) -> bytes:
    """A sketch, or what is none: too long, unsorted, with a part of a hash at its end."""
    hashes = [rng.randrange(2**32) for _ in range(rng.choice((0, 0, 1, 5, 127, 128, 129, 200)))]
    hashes = sorted(hashes) if rng.random() < 0.8 else hashes
    return struct.pack(f"<{len(hashes)}I", *hashes) + (rng.randbytes(1) if rng.random() < 0.05 else b"")


def _in_64_bits(found: int) -> int:
    return min(max(found, -(2**63)), 2**64 - 1)


def _is_identifier(found: Any) -> bool:
    return type(found) is str and 1 <= len(found.encode()) <= 256


def _click_holds(click: Click) -> None:
    assert _is_identifier(click.user_id)
    assert _is_identifier(click.item_id)
    assert type(click.ts) is int
    assert 0 <= click.ts <= MAX_TIME


def _candidate_holds(candidate: Candidate) -> None:
    assert _is_identifier(candidate.item_id)
    assert candidate.expires_at is None or 0 <= candidate.expires_at <= MAX_TIME


def _request_holds(request: Request) -> None:
    assert all(_is_identifier(found) for found in (request.request_id, request.user_id, *(request.candidates or ())))
    assert 0 <= request.ts <= MAX_TIME
    assert request.top_k is None or 1 <= request.top_k < 2**31
    assert request.profile is None or len(request.profile) <= 256
    assert all(type(value) is str and value for value in (request.profile or {}).values())


def _scores_hold(scores: Scores) -> None:
    assert 0 <= scores.scored_at <= MAX_TIME
    assert all(np.isfinite([item.score, item.global_part, item.local_part]).all() for item in scores.scores)


def _centroids_hold(message: Centroids) -> None:
    assert message.centroids_array().shape == (message.k, message.h)
    assert message.global_array().shape == (message.h,)
    assert len(message.counts) == message.k >= 1
    assert min(message.counts) >= 0
    assert np.isfinite(message.centroids_array()).all()
    assert len(message.sketch_array()) <= min(128, message.seeds)
    assert (np.diff(message.sketch_array().astype(np.int64)) > 0).all()
    assert 0 <= message.window_end <= MAX_TIME


def _through(
    decode: Callable[[bytes | None], Any], encode: Callable[[Any], bytes], holds: Callable[[Any], None]
) -> Callable[[], Check]:
    def check(value: bytes | None) -> str:
        try:
            message = decode(value)
        except InvalidMessage as invalid:
            return reason_of(invalid)
        holds(message)
        assert decode(encode(message)) == message, "it does not come through again"
        return "accepted"

    return lambda: check


def _key_check(key: bytes | None) -> str:
    try:
        version, item = split_centroids_key(key)
    except InvalidMessage as invalid:
        return reason_of(invalid)
    assert version
    assert item
    assert centroids_key(version, item) == key
    return "accepted"


TARGETS = [
    Target("click", 0.2, click_bytes, _through(decode_click, encode_message, _click_holds)),
    Target("candidate", 0.1, candidate_bytes, _through(decode_candidate, encode_message, _candidate_holds)),
    Target("request", 0.18, request_bytes, _through(decode_request, encode_message, _request_holds)),
    Target("scores", 0.08, scores_bytes, _through(decode_scores, encode_message, _scores_hold)),
    Target("centroids", 0.15, centroids_bytes, _through(decode_centroids, encode_centroids, _centroids_hold)),
    Target("centroids-key", 0.05, key_bytes, lambda: _key_check),
]
