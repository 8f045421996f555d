"""From raw messages to columns; what cannot be read becomes a dead letter with its reason, and the rest goes on.

The only place where each click is a Python object, since the client library hands it over as one. After it, clicks
are columns.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from flows.config.groups import MessageSettings
from flows.messages.batches import (
    APPEND_TIME,
    NO_TIMESTAMP,
    CandidateBatch,
    CandidateChange,
    ClickBatch,
    Headers,
    OutMessage,
    RawBatch,
    RawMessage,
    RequestBatch,
    UnreadableBatch,
    UnreadableHeaders,
    headers_of,
    judging_clock,
)
from flows.messages.brake import Refused
from flows.messages.codec import SCHEMA_VERSION, decode_candidate, decode_click, decode_item_key, decode_request
from flows.messages.dead_letter import cut_key, cut_value, dead_letter_headers
from flows.messages.rejects import InvalidMessage, likely_unit
from flows.messages.types import MAX_CANDIDATE_BYTES, Click, Request
from flows.support.log_limit import LogLimit
from flows.support.logs import get_logger
from monitoring import metrics
from state.user_keys import user_keys

log = get_logger(__name__)
_lines = LogLimit()
"""Of dead letters, which whoever may write to a topic can make; the topic has them all, and the metrics count them."""

_B = TypeVar("_B")
_M = TypeVar("_M")


@dataclass(frozen=True)
class Decoded(Generic[_B]):
    """What became of a raw batch."""

    partition: int
    good: _B
    dead_letters: list[OutMessage]


class Decoder:
    """Decodes the raw batches of clicks, candidates and requests.

    What becomes of a message depends on the message and the time that its broker gave it, never on when it is read:
    read again, it is the same. Only where the topic has the producers' times (CreateTime) are times judged by the wall
    clock at the reading, since the clock that wrote a time cannot vouch for it.

    Args:
        limits: what is refused although it can be read.
        tell: whether to count and log what is refused; not when it is only read again.
        on_batch: called with each batch and what of it is refused.
    """

    def __init__(
        self,
        limits: MessageSettings,
        *,
        tell: bool = True,
        on_batch: Callable[[RawBatch, list[Refused]], None] = lambda *_: None,
    ) -> None:
        self._on_batch = on_batch
        self._limits = limits
        self._tell = tell
        self._decoders: dict[str, Callable[[RawMessage, int], object]] = {
            "clicks": lambda message, now: self._click(message, now, {}),
            "candidates": self._candidate,
            "requests": self._request,
        }

    def clicks(self, raw: RawBatch) -> Decoded[ClickBatch]:
        """Decode clicks into columns."""
        ahead: dict[int | None, int] = {}
        messages, clicks, dead = self._split(raw, lambda message, now: self._click(message, now, ahead))
        place: dict[str, int] = {}
        items = [place.setdefault(click.item_id, len(place)) for click in clicks]
        times = np.array([click.ts for click in clicks], np.int64)
        clocks = None
        if ahead:  # seldom
            judged = [ahead.get(message.offset(), click.ts) for message, click in zip(messages, clicks, strict=True)]
            clocks = np.array(judged, np.int64)
        batch = ClickBatch(
            raw.partition,
            raw.next_offset,
            raw.idle,
            list(place),
            np.array(items, np.int64),
            user_keys([click.user_id for click in clicks]),
            times,
            np.array([message.offset() for message in messages], np.int64),
            clocks,
            raw.now,
            _heard(raw),
        )
        return Decoded(raw.partition, batch, dead)

    def candidates(self, raw: RawBatch) -> Decoded[CandidateBatch]:
        """Decode candidates and tombstones."""
        _, changes, dead = self._split(raw, self._candidate)
        return Decoded(raw.partition, CandidateBatch(raw.partition, raw.next_offset, changes), dead)

    def requests(self, raw: RawBatch) -> Decoded[RequestBatch]:
        """Decode requests."""
        messages, requests, dead = self._split(raw, self._request)
        sent = [_came(message, raw) for message in messages]
        return Decoded(raw.partition, RequestBatch(raw.partition, requests, sent), dead)

    def check(self, kind: str, message: RawMessage, now: int) -> InvalidMessage | None:
        """Why a message would become a dead letter; None if it would not.

        Args:
            kind: what its topic is in the contract: ``clicks``, ``candidates`` or ``requests``.
            message: the message.
            now: wall clock, ms since the epoch.
        """
        try:
            check_form(message, most_bytes(kind, self._limits))
            self._decoders[kind](message, now)
        except InvalidMessage as invalid:
            return invalid
        return None

    def _click(self, message: RawMessage, now: int, ahead: dict[int | None, int]) -> Click:
        """Decode a click; one that is ahead of the clock, by not too much, is noted with the clock, by its offset."""
        click = decode_click(message.value())
        clock = judging_clock(message, now)
        if click.ts > clock:
            if click.ts - clock > self._limits.max_future:
                raise _ahead(click.ts, clock, message)
            ahead[message.offset()] = clock
        _check_key(message, click.item_id)
        return click

    def _candidate(self, message: RawMessage, now: int) -> CandidateChange:
        del now  # a candidate has no time of its own to judge
        offset = message.offset() or 0
        if message.value() is None:
            return CandidateChange(offset, decode_item_key(message.key()), True, None)
        candidate = decode_candidate(message.value())
        _check_key(message, candidate.item_id)
        return CandidateChange(offset, candidate.item_id, candidate.retired, candidate.expires_at)

    def _request(self, message: RawMessage, now: int) -> Request:
        request = decode_request(message.value())
        clock = judging_clock(message, now)
        if request.ts - clock > self._limits.max_future:
            raise _ahead(request.ts, clock, message)
        check_candidates(request, self._limits)
        _check_key(message, request.user_id)
        return request

    def _split(
        self, raw: RawBatch, decode: Callable[[RawMessage, int], _M]
    ) -> tuple[list[RawMessage], list[_M], list[OutMessage]]:
        messages: list[RawMessage] = []
        good: list[_M] = []
        dead: list[OutMessage] = []
        refused: list[Refused] = []
        most = most_bytes(raw.kind, self._limits)
        for message in raw.messages:
            try:
                check_form(message, most)
                good.append(decode(message, raw.now))
                messages.append(message)
            except InvalidMessage as invalid:
                refused.append((len(good) + len(dead), message.offset() or 0, invalid.reason))
                dead.append(self._dead_letter(raw, message, invalid))
        self._on_batch(raw, refused)
        return messages, good, dead

    def _dead_letter(self, raw: RawBatch, message: RawMessage, invalid: InvalidMessage) -> OutMessage:
        headers = dead_letter_headers(
            invalid,
            topic=raw.topic,
            partition=raw.partition,
            offset=message.offset() or 0,
            time_ms=raw.now,
            original=None if isinstance(invalid, UnreadableHeaders) else _original_headers(message),
        )
        # Key and value share the room, so that the broker takes the whole.
        room = self._limits.dead_letter_max_bytes
        key, key_cut = cut_key(message.key(), room // 2)
        value, cut = cut_value(message.value(), room - len(key or b""))
        if self._tell:
            metrics.DEAD_LETTERS.labels(raw.kind, invalid.reason).inc()
            left_out = _lines.passes((raw.kind, invalid.reason))
            if left_out is None:
                return OutMessage(key, value, headers + key_cut + cut)
            log.warning(
                "dead letter",
                **({"more_like_it": left_out} if left_out else {}),
                topic=raw.topic,
                partition=raw.partition,
                offset=message.offset(),
                reason=invalid.reason,
                detail=invalid.detail,
            )
        return OutMessage(key, value, headers + key_cut + cut)


def _heard(raw: RawBatch) -> int | None:
    """The clock when the last message of a batch came, ms since the epoch; None where there is no message."""
    if not raw.messages:
        return None
    return judging_clock(raw.messages[-1], raw.now)


def _came(message: RawMessage, raw: RawBatch) -> int:
    """When a message came to the topic, ms since the epoch, as far as is known; 0 where it has no time."""
    kind, at = message.timestamp()
    if kind == NO_TIMESTAMP:
        return 0
    # A producer's clock may be slow, and this machine's fast: what came after the reader stood at the end is no older.
    return at if raw.waited is None else max(at, raw.now - raw.waited)


def _ahead(ts: int, clock: int, message: RawMessage) -> InvalidMessage:
    """A time that lies too far ahead of the clock that judges it."""
    appended = message.timestamp()[0] == APPEND_TIME
    judge, else_wrong = ("the broker's clock", "") if appended else ("this machine's clock", ", or this machine's")
    likely = likely_unit(ts) or f"the clock of what sent it is fast{else_wrong}"
    detail = f"ts {ts} is {ts - clock} ms ahead of {judge} ({clock}), more than max_future: {likely}"
    return InvalidMessage("future_time", detail)


def _original_headers(message: RawMessage) -> Headers | None:
    try:
        return headers_of(message)
    except UnreadableHeaders:
        return None


def _check_key(message: RawMessage, identifier: str) -> None:
    key = message.key()
    if key is None:
        raise InvalidMessage("null_key", f"the message has no key; it must be {identifier!r}")
    if key != identifier.encode():
        raise InvalidMessage("key_mismatch", f"the key is {key[:64]!r}, but the message is about {identifier!r}")


def most_bytes(kind: str, limits: MessageSettings) -> int:
    """The most bytes of a value; a request has room for as many candidates as it may name.

    >>> most_bytes("clicks", MessageSettings()), most_bytes("requests", MessageSettings(max_candidates=1000))
    (65536, 324536)
    """
    return limits.max_message_bytes + (limits.max_candidates * MAX_CANDIDATE_BYTES if kind == "requests" else 0)


def check_size(size: int, most: int) -> None:
    """Check how many bytes a value has.

    Raises:
        InvalidMessage: when they are too many.
    """
    if size > most:
        raise InvalidMessage("oversized", f"{size} bytes; the most is {most}")


def check_candidates(request: Request, limits: MessageSettings) -> None:
    """Check how many candidates a request names.

    Raises:
        InvalidMessage: when they are too many.
    """
    if request.candidates is not None and len(request.candidates) > limits.max_candidates:
        most = limits.max_candidates
        raise InvalidMessage("too_many_candidates", f"{len(request.candidates)} candidates; the most is {most}")


def check_form(message: RawMessage, most: int) -> None:
    """Check size and schema version, before a value is decoded.

    Raises:
        InvalidMessage: when it is not to be decoded.
    """
    if isinstance(message, UnreadableBatch):
        raise InvalidMessage("unreadable_batch", message.why)
    check_size(len(message), most)
    for name, value in headers_of(message):
        if name == "schema_version" and value != SCHEMA_VERSION.encode():
            shown = f"{value[:64]!r}" if value else "none"
            raise InvalidMessage(
                "unsupported_schema_version", f"schema_version {shown}; this version reads {SCHEMA_VERSION}"
            )
