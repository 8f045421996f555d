"""From raw messages to columns; what cannot be read becomes a dead letter with its reason, and the rest goes on.

The only place where each click is a Python object, since the client library hands it over as one. After it, clicks
are columns.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from flows.config.settings import MessageSettings
from flows.messages.batches import (
    NO_TIMESTAMP,
    CandidateBatch,
    CandidateChange,
    ClickBatch,
    Headers,
    OutMessage,
    RawBatch,
    RawMessage,
    RequestBatch,
    UnreadableHeaders,
    headers_of,
)
from flows.messages.codec import SCHEMA_VERSION, decode_candidate, decode_click, decode_item_key, decode_request
from flows.messages.dead_letter import cut_key, cut_value, dead_letter_headers
from flows.messages.rejects import Reject
from flows.messages.types import Click, Request
from flows.support.logs import get_logger
from monitoring import metrics
from state.user_keys import user_keys

log = get_logger(__name__)

B = TypeVar("B")
M = TypeVar("M")


@dataclass(frozen=True)
class Decoded(Generic[B]):
    """What became of a raw batch."""

    partition: int
    good: B
    dead_letters: list[OutMessage]


class Decoder:
    """Decodes the raw batches of clicks, candidates and requests.

    What becomes of a message depends on the message alone, never on when it is read: read again, it is the same.

    Args:
        limits: what is refused although it can be read.
        tell: whether to count and log what is refused; not when it is only read again.
    """

    def __init__(self, limits: MessageSettings, *, tell: bool = True) -> None:
        self._limits = limits
        self._tell = tell

    def clicks(self, raw: RawBatch) -> Decoded[ClickBatch]:
        """Decode clicks into columns."""
        most = self._limits.max_future

        def decode(message: RawMessage) -> Click:
            click = decode_click(message.value())
            ahead = click.ts - _sent(message, raw)
            if ahead > most:
                raise Reject("future_time", f"ts {click.ts} is {ahead} ms after its message; the most is max_future")
            _check_key(message, click.item_id)
            return click

        messages, clicks, dead = self._split(raw, decode)
        place: dict[str, int] = {}
        items = [place.setdefault(click.item_id, len(place)) for click in clicks]
        batch = ClickBatch(
            raw.partition,
            raw.next_offset,
            raw.idle,
            list(place),
            np.array(items, np.int64),
            user_keys([click.user_id for click in clicks]),
            np.array([click.ts for click in clicks], np.int64),
            np.array([message.offset() for message in messages], np.int64),
        )
        return Decoded(raw.partition, batch, dead)

    def candidates(self, raw: RawBatch) -> Decoded[CandidateBatch]:
        """Decode candidates and tombstones."""

        def decode(message: RawMessage) -> CandidateChange:
            offset, sent = message.offset() or 0, _sent(message, raw)
            if message.value() is None:
                return CandidateChange(offset, decode_item_key(message.key()), True, None, sent)
            candidate = decode_candidate(message.value())
            _check_key(message, candidate.item_id)
            return CandidateChange(offset, candidate.item_id, False, candidate.expires_at, sent)

        _, changes, dead = self._split(raw, decode)
        return Decoded(raw.partition, CandidateBatch(raw.partition, raw.next_offset, changes), dead)

    def requests(self, raw: RawBatch) -> Decoded[RequestBatch]:
        """Decode requests."""
        most = self._limits.max_candidates

        def decode(message: RawMessage) -> Request:
            request = decode_request(message.value())
            if request.candidates is not None and len(request.candidates) > most:
                raise Reject("too_many_candidates", f"{len(request.candidates)} candidates; the most is {most}")
            _check_key(message, request.user_id)
            return request

        messages, requests, dead = self._split(raw, decode)
        sent = [0 if kind == NO_TIMESTAMP else at for kind, at in (m.timestamp() for m in messages)]
        return Decoded(raw.partition, RequestBatch(raw.partition, requests, sent), dead)

    def _split(
        self, raw: RawBatch, decode: Callable[[RawMessage], M]
    ) -> tuple[list[RawMessage], list[M], list[OutMessage]]:
        messages: list[RawMessage] = []
        good: list[M] = []
        dead: list[OutMessage] = []
        for message in raw.messages:
            try:
                check_form(message, self._limits)
                good.append(decode(message))
                messages.append(message)
            except Reject as reject:
                dead.append(self._dead_letter(raw, message, reject))
        return messages, good, dead

    def _dead_letter(self, raw: RawBatch, message: RawMessage, reject: Reject) -> OutMessage:
        headers = dead_letter_headers(
            reject,
            topic=raw.topic,
            partition=raw.partition,
            offset=message.offset() or 0,
            time_ms=raw.now,
            original=None if isinstance(reject, UnreadableHeaders) else _original_headers(message),
        )
        # Key and value share the room, so that the broker takes the whole.
        room = self._limits.dead_letter_max_bytes
        key, key_cut = cut_key(message.key(), room // 2)
        value, cut = cut_value(message.value(), room - len(key or b""))
        if self._tell:
            metrics.DEAD_LETTERS.labels(raw.kind, reject.reason).inc()
            log.warning(
                "dead letter",
                topic=raw.topic,
                partition=raw.partition,
                offset=message.offset(),
                reason=reject.reason,
                detail=reject.detail,
            )
        return OutMessage(key, value, headers + key_cut + cut)


def _sent(message: RawMessage, raw: RawBatch) -> int:
    """The message's own time, ms since the epoch; when it was read, where it has none."""
    kind, at = message.timestamp()
    return raw.now if kind == NO_TIMESTAMP else at


def _original_headers(message: RawMessage) -> Headers | None:
    try:
        return headers_of(message)
    except UnreadableHeaders:
        return None


def _check_key(message: RawMessage, identifier: str) -> None:
    key = message.key()
    if key is None:
        raise Reject("null_key", f"the message has no key; it must be {identifier!r}")
    if key != identifier.encode():
        raise Reject("key_mismatch", f"the key is {key[:64]!r}, but the message is about {identifier!r}")


def check_form(message: RawMessage, limits: MessageSettings) -> None:
    """Check size and schema version, before a value is decoded.

    Raises:
        Reject: when it is not to be decoded.
    """
    if len(message) > limits.max_message_bytes:
        raise Reject("oversized", f"{len(message)} bytes; the most is {limits.max_message_bytes}")
    for name, value in headers_of(message):
        if name == "schema_version" and value != SCHEMA_VERSION.encode():
            shown = f"{value[:64]!r}" if value else "none"
            raise Reject("unsupported_schema_version", f"schema_version {shown}; this version reads {SCHEMA_VERSION}")
