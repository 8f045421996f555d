"""What is in the topic of dead letters: letters, receipts for those that were sent back, and what others put there."""

from dataclasses import dataclass
from typing import Final, Self, TypeAlias

import msgspec
from confluent_kafka import Message

from flows.batches import Headers
from flows.dead_letters import ORIGINAL
from flows.decode import headers_of
from flows.message_types import Receipt
from flows.messages import MAX_TIME, SCHEMA_VERSION, DeadLetterHeaders, Reject

RECEIPT: Final = "receipt"
"""The header that tells a receipt from a letter."""
_receipt = msgspec.json.Decoder(Receipt)
_json = msgspec.json.Encoder()


class DeadLetter(msgspec.Struct, frozen=True):
    """A dead letter.

    Attributes:
        partition: of the topic of dead letters.
        offset: in that partition.
        topic: where the message was read.
        source_partition: of that topic.
        source_offset: in that partition.
        reason: one of ``REASONS``.
        detail: for people.
        time: when it was refused, ms since the epoch.
        key: the original key.
        value: the original value, or the beginning of it.
        headers: the original headers.
        cut: what of the original is not here, in words; empty if it is whole.
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
    def of(cls, message: Message, headers: Headers) -> Self:
        """Read a message of the topic.

        Raises:
            ValueError: when it is no dead letter of this version.
        """
        ours: dict[str, str] = {}
        original: list[tuple[str, bytes | None]] = []
        for name, value in headers:
            raw = value.encode() if isinstance(value, str) else value
            if name.startswith(ORIGINAL):
                original.append((name.removeprefix(ORIGINAL), raw))
            elif raw is not None:
                ours.setdefault(name, raw.decode(errors="replace"))
        said = msgspec.convert(ours, DeadLetterHeaders)
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

    def original(self, key: bytes | None) -> Message:
        """The message as it was, but for the key, which is as given."""
        return Message(
            topic=self.topic,
            partition=self.source_partition,
            offset=self.source_offset,
            key=key,
            value=self.value,
            headers=list(self.headers),
        )


@dataclass(frozen=True)
class SentBack:
    """A receipt: these letters of this partition were sent back."""

    partition: int
    offsets: list[int]


@dataclass(frozen=True)
class Stranger:
    """A message of the topic that is neither, and why."""

    partition: int
    offset: int
    why: str


Record: TypeAlias = DeadLetter | SentBack | Stranger


def read_record(message: Message) -> Record:
    """What a message of the topic of dead letters is; whatever is in it, this raises nothing."""
    partition, offset = message.partition() or 0, message.offset() or 0
    try:
        headers = headers_of(message)
        if any(name == RECEIPT for name, _ in headers):
            return SentBack(partition, _receipt.decode(message.value() or b"").sent_back)
        return DeadLetter.of(message, headers)
    except (Reject, ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
        return Stranger(partition, offset, str(error))


def receipt_of(offsets: list[int], time_ms: int) -> tuple[bytes, Headers]:
    """Value and headers of a receipt for letters of one partition, sent back at a time (ms since the epoch)."""
    headers: Headers = [("schema_version", SCHEMA_VERSION.encode()), (RECEIPT, b"sent_back")]
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
