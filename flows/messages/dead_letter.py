"""Dead letters: the original bytes, and in the headers where they came from and why they were refused.

A dead letter is bounded whatever the message was, since a broker that refuses one stops the flow, again at every
start. The topic holds letters, receipts for those that were redriven, and what others put there.
"""

from dataclasses import dataclass
from typing import Final, Self, TypeAlias

import msgspec

from flows.config.limits import MAX_TIME
from flows.messages.batches import NO_TIMESTAMP, Headers, RawMessage, UnreadableBatch, headers_of
from flows.messages.codec import SCHEMA_VERSION
from flows.messages.rejects import InvalidMessage
from flows.messages.types import DeadLetterHeaders, Receipt
from state.nesting import check_depth

ORIGINAL = "original."
"""Put before the names of the message's own headers."""
ALL_LEFT_OUT = "all"
_DETAIL_BYTES = 500
_HEADER_BYTES = 65_536
"""Of the original headers, prefixes and lengths included."""
_LENGTHS = 8
"""What the lengths of a header's name and value may take."""
RECEIPT: Final = "receipt"
"""The header that tells a receipt from a letter."""
_receipt = msgspec.json.Decoder(Receipt)
_json = msgspec.json.Encoder()


def dead_letter_headers(
    invalid: InvalidMessage, *, topic: str, partition: int, offset: int, time_ms: int, original: Headers | None
) -> Headers:
    """The headers of a dead letter.

    Args:
        invalid: why the message was refused.
        topic: where it was read.
        partition: of the topic.
        offset: in the partition.
        time_ms: when it was refused, ms since the epoch.
        original: its own headers; they follow, named ``original.NAME``, as far as 64 KiB go; ``headers_left_out``
            says how many did not. None if they cannot be read, and then it says ``all``.
    """
    fields = {
        "schema_version": SCHEMA_VERSION,
        "topic": topic,
        "partition": str(partition),
        "offset": str(offset),
        "reason": invalid.reason,
        "detail": _cut_text(invalid.detail, _DETAIL_BYTES),
        "time": str(time_ms),
    }
    kept: Headers = []
    if original is None:
        fields["headers_left_out"] = ALL_LEFT_OUT
    else:
        kept = _as_far_as_they_go(original)
        if len(kept) < len(original):
            fields["headers_left_out"] = str(len(original) - len(kept))
    headers: Headers = [(name, value.encode(errors="replace")) for name, value in fields.items()]
    return headers + kept


def cut_value(value: bytes | None, most: int) -> tuple[bytes | None, Headers]:
    """A value that the broker will take.

    Args:
        value: the original value.
        most: the most bytes.

    Returns:
        The value, cut if it is longer, and then the header ``original_bytes`` that says how long it was.
    """
    return _cut(value, most, "original_bytes")


def cut_key(key: bytes | None, most: int) -> tuple[bytes | None, Headers]:
    """A key that the broker will take, with the header ``original_key_bytes`` if it had to be cut."""
    return _cut(key, most, "original_key_bytes")


def _cut(part: bytes | None, most: int, name: str) -> tuple[bytes | None, Headers]:
    if part is None or len(part) <= most:
        return part, []
    return part[:most], [(name, str(len(part)).encode())]


def _cut_text(text: str, most: int) -> str:
    return text.encode(errors="replace")[:most].decode(errors="ignore")


def _as_far_as_they_go(original: Headers) -> Headers:
    room = _HEADER_BYTES
    kept: Headers = []
    for name, value in original:
        long = f"{ORIGINAL}{name}"
        size = len(value.encode()) if isinstance(value, str) else len(value or b"")
        room -= len(long.encode()) + size + _LENGTHS
        if room < 0:
            break
        kept.append((long, value))
    return kept


class DeadLetter(msgspec.Struct, frozen=True):
    """A dead letter.

    Attributes:
        partition: of the dead-letter topic.
        offset: in that partition.
        topic: where the message was read.
        source_partition: of that topic.
        source_offset: in that partition.
        reason: one of ``REASONS``.
        detail: the reason in detail, for people.
        time: when it was refused, ms since the epoch.
        key: the original key.
        value: the original value, or the beginning of it.
        headers: the original headers.
        cut: what of the original is missing; empty if it is whole.
    """

    partition: int
    offset: int
    topic: str
    source_partition: int
    source_offset: int
    reason: str
    detail: str
    time: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    cut: str

    @classmethod
    def of(cls, message: RawMessage, headers: Headers) -> Self:
        """Read a message of the topic.

        Raises:
            ValueError: when it is not a dead letter of this version.
        """
        fields: dict[str, str] = {}
        original: list[tuple[str, bytes | None]] = []
        for name, value in headers:
            raw = value.encode() if isinstance(value, str) else value
            if name.startswith(ORIGINAL):
                original.append((name.removeprefix(ORIGINAL), raw))
            elif raw is not None:
                fields.setdefault(name, raw.decode(errors="replace"))
        said = msgspec.convert(fields, DeadLetterHeaders)
        place = _number(said.partition, 2**31 - 1)
        offset, time = _number(said.offset, 2**63 - 1), _number(said.time, MAX_TIME)
        return cls(
            message.partition() or 0,
            message.offset() or 0,
            said.topic,
            place,
            offset,
            said.reason,
            said.detail,
            time,
            message.key(),
            message.value(),
            original,
            _what_is_cut(said),
        )

    @property
    def source(self) -> str:
        """Where the message was read.

        >>> DeadLetter(0, 0, "clicks", 1, 7, "not_json", "", 0, None, None, [], "").source
        'clicks[1] at offset 7'
        """
        return f"{self.topic}[{self.source_partition}] at offset {self.source_offset}"

    def original(self, key: bytes | None) -> RawMessage:
        """The message as it was, but for the key, which is as given, and its timestamp, which is not known."""
        return _Original(self, key)


@dataclass(frozen=True)
class _Original:
    """A message made again from its dead letter."""

    letter: DeadLetter
    given_key: bytes | None

    def __len__(self) -> int:
        return len(self.letter.value or b"")

    def key(self) -> bytes | None:
        return self.given_key

    def value(self) -> bytes | None:
        return self.letter.value

    def headers(self) -> Headers:
        return list(self.letter.headers)

    def timestamp(self) -> tuple[int, int]:
        return NO_TIMESTAMP, 0

    def partition(self) -> int:
        return self.letter.source_partition

    def offset(self) -> int:
        return self.letter.source_offset


@dataclass(frozen=True)
class RedriveReceipt:
    """A receipt: these letters of this partition were redriven."""

    partition: int
    offsets: list[int]


@dataclass(frozen=True)
class ForeignRecord:
    """A message of the topic that is neither, and why."""

    partition: int
    offset: int
    why: str


Record: TypeAlias = DeadLetter | RedriveReceipt | ForeignRecord


def read_record(message: RawMessage) -> Record:
    """What a message of the dead-letter topic is; whatever is in it, this raises nothing."""
    partition, offset = message.partition() or 0, message.offset() or 0
    if isinstance(message, UnreadableBatch):
        return ForeignRecord(partition, offset, message.why)
    try:
        headers = headers_of(message)
        if any(name == RECEIPT for name, _ in headers):
            value = message.value() or b""
            check_depth(value)
            # What comes behind a receipt, it cannot be of: nobody hides letters that are not written yet.
            return RedriveReceipt(partition, [of for of in _receipt.decode(value).redriven if of < offset])
        return DeadLetter.of(message, headers)
    except (InvalidMessage, ValueError) as error:  # msgspec's errors are ValueErrors
        return ForeignRecord(partition, offset, str(error))


def receipt_of(offsets: list[int], time_ms: int) -> tuple[bytes, Headers]:
    """Value and headers of a receipt for letters of one partition, redriven at a time (ms since the epoch)."""
    version = ("schema_version", SCHEMA_VERSION.encode())
    headers: Headers = [version, (RECEIPT, b"redriven"), ("content-type", b"application/json")]
    return _json.encode(Receipt(sorted(offsets), time_ms)), headers


def _number(text: str, most: int) -> int:
    if len(text) > len(str(most)) or int(text) > most:
        msg = f"the number {text[:20]} is out of range"
        raise ValueError(msg)
    return int(text)


def _what_is_cut(said: DeadLetterHeaders) -> str:
    parts = [
        said.original_bytes and f"the value had {said.original_bytes[:20]} bytes",
        said.original_key_bytes and f"the key had {said.original_key_bytes[:20]} bytes",
        said.headers_left_out and f"{said.headers_left_out[:20]} of its headers were left out",
    ]
    return ", ".join(part for part in parts if part)
