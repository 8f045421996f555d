"""Whole batches as the source hands them over, and dead letters as the tools read them."""

import json
from collections.abc import Callable
from random import Random
from typing import Any

from confluent_kafka import Message

from flows.admin.dead_letters.acceptance import Acceptance
from flows.admin.dead_letters.show import as_json, explanation, row
from flows.config.groups import MessageSettings
from flows.config.limits import MAX_TIME, MIN_EVENT_TIME
from flows.config.settings import Settings
from flows.messages.batches import CandidateBatch, ClickBatch, OutMessage, RawBatch, RequestBatch, UnreadableBatch
from flows.messages.dead_letter import DeadLetter, RedriveReceipt, read_record, receipt_of
from flows.messages.decode import Decoded, Decoder
from flows.messages.rejects import REASONS
from flows.messages.types import MAX_EXPIRY
from flows.support.logs import set_up_logs

from .message_targets import candidate_bytes, click_bytes, request_bytes
from .mutation import NUMBERS, mutated, text
from .target import Check, Target

NOW = 1_764_000_000_000
LIMITS = MessageSettings(max_message_bytes=4000, max_future="1s", dead_letter_max_bytes=1000, max_candidates=3)
_HEADER_ROOM = 100_000
"""What the producer has for headers, over ``dead_letter_max_bytes``."""


class Holed:
    """A message with a header name that is not UTF-8, as the client library has it: an error once, then a hole."""

    def __init__(self, message: Message) -> None:
        self._message = message
        self._asked = False

    def headers(self) -> Any:
        assert not self._asked, "the headers were asked for again: a look at the hole would end the process"
        self._asked = True
        raise SystemError

    def __len__(self) -> int:
        return len(self._message)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._message, name)


def raw_messages(rng: Random, value: Callable[[Random], bytes], identifier: str) -> list[dict[str, Any]]:
    """Up to six messages as literals: key, value, headers, timestamp, and whether there is a hole in the headers."""
    return [_raw_message(rng, value, identifier) for _ in range(rng.randint(1, 6))]


def _raw_message(rng: Random, value: Callable[[Random], bytes], identifier: str) -> dict[str, Any]:
    data = None if rng.random() < 0.05 else value(rng)
    headers: Any = [(text(rng), rng.choice((None, b"", b"1", rng.randbytes(5)))) for _ in range(rng.randrange(3))]
    if rng.random() < 0.4:
        headers.append(("schema_version", rng.choice((*[b"1"] * 20, b"2", b"", None, b"\xff" * 9000))))
    if rng.random() < 0.02:
        headers *= 9000
    key = _key(data, identifier) if rng.random() < 0.8 else rng.choice((None, b"", b"\xff", b"k" * 5000, b"x"))
    stamp = (rng.choice((0, 1, 2)), rng.choice((-1, 0, NOW)))
    return {"key": key, "value": data, "headers": headers, "timestamp": stamp, "hole": rng.random() < 0.01}


def _key(data: bytes | None, name: str) -> bytes:
    """The key that a producer would choose, as any JSON reader sees it."""
    try:
        found = json.loads(data or b"")[name]
    except (ValueError, TypeError, KeyError, RecursionError):
        return b"x"
    return str(found).encode("utf-8", "replace")


def _message(topic: str, offset: int, given: dict[str, Any]) -> Any:
    if _stand_in(given):
        return UnreadableBatch(1, offset, offset, "not to be unfolded")
    kept = {name: given[name] for name in ("key", "value", "headers", "timestamp")}
    message = Message(topic=topic, partition=1, offset=offset, **kept)
    return Holed(message) if given["hole"] else message


def _stand_in(given: dict[str, Any]) -> bool:
    """Whether a batch that cannot be read stands in a message's place."""
    return given["key"] is None and given["value"] is None and not given["headers"]


def _batch_check(kind: str) -> Check:
    set_up_logs("error")
    decoder = Decoder(LIMITS)
    decoders: dict[str, Callable[[RawBatch], Decoded[Any]]]
    decoders = {"clicks": decoder.clicks, "candidates": decoder.candidates, "requests": decoder.requests}
    holds = {"clicks": _clicks_hold, "candidates": _candidates_hold, "requests": _requests_hold}

    def check(given: list[dict[str, Any]]) -> list[str]:
        messages = [_message(kind, 100 + number, one) for number, one in enumerate(given)]
        raw = RawBatch(kind, kind, 1, messages, 100 + len(messages), 0, NOW)
        batch = decoders[kind](raw)
        good = holds[kind](batch.good)
        assert good + len(batch.dead_letters) == len(messages), "good ones and dead letters do not add up"
        return ["accepted"] * good + [_letter_holds(letter, given) for letter in batch.dead_letters]

    return check


def _clicks_hold(good: ClickBatch) -> int:
    assert len({len(good.items), len(good.users), len(good.times), len(good.offsets)}) == 1
    assert sorted(set(good.offsets.tolist())) == good.offsets.tolist()
    assert not len(good.times) or good.times.max() <= NOW + LIMITS.max_future
    assert all(1 <= len(item.encode()) <= 256 for item in good.item_ids)
    return len(good.offsets)


def _candidates_hold(good: CandidateBatch) -> int:
    assert sorted({change.offset for change in good.changes}) == [change.offset for change in good.changes]
    assert all(1 <= len(change.item_id.encode()) <= 256 for change in good.changes)
    assert all(
        change.expires_at is None or MIN_EVENT_TIME <= change.expires_at <= MAX_EXPIRY for change in good.changes
    )
    return len(good.changes)


def _requests_hold(good: RequestBatch) -> int:
    assert len(good.sent) == len(good.requests)
    assert all(len(request.candidates or ()) <= LIMITS.max_candidates for request in good.requests)
    return len(good.requests)


def _letter_holds(letter: OutMessage, given: list[dict[str, Any]]) -> str:
    """A dead letter is bounded, and the tools read from it what the message was; gives its reason."""
    size = sum(len(name.encode()) + len(value or b"") for name, value in letter.headers)
    assert size + 8 * len(letter.headers) < _HEADER_ROOM, f"headers of {size} bytes"
    assert len(letter.key or b"") + len(letter.value or b"") <= LIMITS.dead_letter_max_bytes
    record = read_record(
        Message(topic="d", partition=0, offset=3, key=letter.key, value=letter.value, headers=letter.headers)
    )
    assert isinstance(record, DeadLetter), record
    assert record.reason in REASONS
    assert record.detail
    original = given[record.source_offset - 100]
    if not record.cut:
        assert (record.key, record.value) == (original["key"], original["value"])
        assert record.headers == original["headers"]
    else:
        assert (original["value"] or b"").startswith(record.value or b"")
        assert (original["key"] or b"").startswith(record.key or b"")
    return record.reason


def letter_message(rng: Random) -> dict[str, Any]:
    """A message of the dead-letters topic, or nearly."""
    digits = [str(rng.choice(NUMBERS)) if rng.random() < 0.2 else str(rng.randrange(100)) for _ in range(3)]
    ours: list[tuple[str, Any]] = [
        ("schema_version", b"1" if rng.random() < 0.95 else b"2"),
        ("topic", rng.choice((b"clicks", b"requests", b"candidates", b"scores", text(rng).encode()))),
        ("partition", digits[0].encode()),
        ("offset", digits[1].encode()),
        ("reason", rng.choice(sorted(REASONS)).encode()),
        ("detail", text(rng).encode()),
        ("time", digits[2].encode()),
    ]
    if rng.random() < 0.2:
        ours.append(
            (
                rng.choice(("original_bytes", "original_key_bytes", "headers_left_out")),
                str(rng.choice(NUMBERS)).encode(),
            )
        )
    if rng.random() < 0.1:
        ours.append(("receipt", b"redriven"))
    for place in range(len(ours)):
        if rng.random() < 0.04:
            ours[place] = (ours[place][0], rng.choice((None, mutated(rng, ours[place][1] or b""), b"9" * 6000)))
    headers = ours + [(f"original.{text(rng)}", rng.choice((None, rng.randbytes(4)))) for _ in range(rng.randrange(3))]
    value: bytes | None = rng.choice((click_bytes, request_bytes))(rng)
    if rng.random() < 0.2:
        value = receipt_of([rng.choice(NUMBERS[:4])], NOW)[0]
    key = rng.choice((None, b"item-1", rng.randbytes(3), text(rng).encode()))
    return {"key": key, "value": value, "headers": headers, "timestamp": (1, NOW), "hole": rng.random() < 0.02}


def _letter_check() -> Check:
    set_up_logs("error")
    acceptance = Acceptance(Settings(), lambda: NOW, set_key=True)

    def check(given: dict[str, Any]) -> str:
        record = read_record(_message("dead-letters", 5, given))
        if isinstance(record, RedriveReceipt):
            assert all(offset >= 0 for offset in record.offsets)
            return "receipt"
        if not isinstance(record, DeadLetter):
            assert record.why
            return "no letter"
        assert 0 <= record.time <= MAX_TIME
        assert 0 <= record.source_offset < 2**63
        cells = row(record, redriven=False)
        said = explanation(record, acceptance, redriven=True, most=200)
        assert all(cell.isprintable() for cell in (*cells, *said.split("\n"))), "not safe to print"
        assert json.loads(as_json(record, redriven=False))["offset"] == 5
        return "accepted" if "would be accepted" in said else "stays"

    return check


TARGETS = [
    Target("clicks-batch", 0.06, lambda rng: raw_messages(rng, click_bytes, "item_id"), lambda: _batch_check("clicks")),
    Target(
        "candidates-batch",
        0.04,
        lambda rng: raw_messages(rng, candidate_bytes, "item_id"),
        lambda: _batch_check("candidates"),
    ),
    Target(
        "requests-batch",
        0.05,
        lambda rng: raw_messages(rng, request_bytes, "user_id"),
        lambda: _batch_check("requests"),
    ),
    Target("dead-letter", 0.05, letter_message, _letter_check),
]
