"""Redrives dead letters: sends them to the topic where they were read, once the cause is fixed.

The topic is read twice: first for its receipts and for where its letters come from, then letters go as they are read.
Letters have their original's key, so those of a key are in one partition of the topic and in their original order.

What was redriven is noted in the dead-letter topic itself, by a receipt in the letter's own partition. So the note
lives exactly as long as the letter (a consumer group's offsets may be forgotten earlier, and could not say which
letters of a partition were passed over), any machine knows it, and filters do no harm. A receipt is written after the
broker has taken the letters: a crash between the two sends them once more. That is at least once, as everywhere here:
a click twice is one seed, a request twice is answered twice.
"""

from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

import numpy as np

from flows.admin.dead_letters.acceptance import Acceptance
from flows.admin.dead_letters.topic import Filters, read_records
from flows.config.settings import Settings
from flows.kafka.producer import Producer, ProducerRecord
from flows.kafka.range_reader import ReadProgress, read_to_end
from flows.kafka.single_messages import SingleMessages
from flows.kafka.tool_rights import require_rights
from flows.kafka.topics import TopicNames
from flows.messages.batches import RawMessage, UnreadableHeaders, headers_of
from flows.messages.dead_letter import DeadLetter, ForeignRecord, Record, RedriveReceipt, receipt_of
from flows.messages.rejects import InvalidMessage
from ralm.features import Ints

_NOWHERE = (-1, -1)
_RECEIPT_OF = 500
"""Letters of a partition for which one receipt is written."""

Place: TypeAlias = tuple[int, int]
"""A partition and an offset in it."""
LetterCallback: TypeAlias = Callable[[DeadLetter, str], None]
"""Called for each letter with the reason why it stays, or an empty text if it goes."""


@dataclass(frozen=True)
class RedriveOptions:
    """What is redriven, and how.

    Attributes:
        filters: which letters.
        limit: the most letters; None is all.
        dry_run: send nothing.
        set_key: give letters that were refused for their key the key that their value says.
        unproven: send letters too whose original is not in its topic any more, or is another message.
        again: send letters too that a receipt says were redriven.
    """

    filters: Filters
    limit: int | None = None
    dry_run: bool = False
    set_key: bool = False
    unproven: bool = False
    again: bool = False


@dataclass
class RedriveSummary:
    """What became of the letters that were meant.

    Attributes:
        sent: letters that were redriven (in a dry run, would be), by topic.
        already: originals that had been redriven before.
        refused: letters that would be refused again, by the reason now.
        cut: letters that are not whole.
        unroutable: letters whose topic is not one that this deployment reads, by topic.
        unproven: letters whose original is not in its topic, or not the same.
        superseded: candidates whose item has a newer message.
        foreign_records: messages of the topic that are not dead letters.
        beyond: letters that were not looked at because of the limit.
    """

    sent: Counter[str] = field(default_factory=Counter)
    already: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    cut: int = 0
    unproven: int = 0
    unroutable: Counter[str] = field(default_factory=Counter)
    superseded: int = 0
    foreign_records: int = 0
    beyond: int = 0


@dataclass(frozen=True)
class _Redriven(ProducerRecord):
    copies: tuple[Place, ...] = ()


def redrive(
    settings: Settings,
    options: RedriveOptions,
    now: Callable[[], int],
    *,
    on_letter: LetterCallback = lambda *_: None,
    reading: ReadProgress = lambda *_: None,
    sending: ReadProgress = lambda *_: None,
) -> RedriveSummary:
    """Redrive dead letters, those of a key in their original order.

    Args:
        settings: the settings; letters are checked with them, and only go to their topics.
        options: which letters, and how.
        now: wall clock, ms since the epoch.
        on_letter: called for each letter.
        reading: called with how much of the topic is read.
        sending: the same for the second time, when letters go.

    Raises:
        RalmError: when the topic cannot be read, or a letter or a receipt was not delivered.
    """
    acceptance = Acceptance(settings, now, set_key=options.set_key)
    survey, since = _Survey(acceptance, options), options.filters.since
    for record in read_records(settings, since, reading):
        survey.add(record)
    survey.finish(settings)
    names = TopicNames.of(settings)
    proofs = () if options.unproven else survey.topics
    writes = () if options.dry_run else (names.dead_letters, *survey.topics)
    require_rights(settings, proofs, writes, " To redrive what is of one topic only, name it: --topic.")
    with SingleMessages(settings) as originals:
        prove = (lambda _: "") if options.unproven else partial(_why_unproven, originals)
        messages = _messages(read_records(settings, since, sending), survey, options.limit, on_letter, prove)
        if options.dry_run:
            for _ in messages:
                pass
        else:
            _deliver(settings, messages, now)
    return survey.summary


def _why_unproven(originals: SingleMessages, letter: DeadLetter) -> str:
    """Why a letter may be forged; empty where what it says that it was lies in its topic.

    Whoever may write dead letters could have them sent to topics that he may not write, with the rights of whoever
    redrives. So nothing is sent that was not in the very topic before.
    """
    original = originals.at(letter.topic, letter.source_partition, letter.source_offset)
    if original is None:
        return f"what it came from, {letter.source}, is not there any more, so that it could be forged (--unproven)"
    same = (original.key(), original.value()) == (letter.key, letter.value)
    if not same or _headers(original) != letter.headers:
        return f"it is forged: {letter.source} holds another message"
    return ""


def _headers(message: RawMessage) -> list[tuple[str, bytes | None]] | None:
    """A message's headers as a letter has them; None where they cannot be read, of which no letter is whole."""
    try:
        headers = headers_of(message)
    except UnreadableHeaders:
        return None
    return [(name, value.encode() if isinstance(value, str) else value) for name, value in headers]


def _messages(
    records: Iterable[Record],
    survey: "_Survey",
    limit: int | None,
    on_letter: LetterCallback,
    prove: Callable[[DeadLetter], str],
) -> Iterator[_Redriven]:
    """What is to be sent of the records of the second reading."""
    summary = survey.summary
    for letter in records:
        if not isinstance(letter, DeadLetter) or not (copies := survey.take(letter)):
            continue
        if limit is not None and summary.sent.total() >= limit:
            summary.beyond += 1
            continue
        key, why_not = survey.judge(letter, prove, alone=len(copies) == 1)
        on_letter(letter, why_not)
        if not why_not:
            summary.sent[letter.topic] += 1
            yield _Redriven(letter.topic, key, letter.value, [*letter.headers], copies=copies)


class _Survey:
    """What is known of the letters after the first reading: 24 bytes of each, and what must not go.

    Attributes:
        summary: counts what stays.
    """

    def __init__(self, acceptance: Acceptance, options: RedriveOptions) -> None:
        self.summary = RedriveSummary()
        self._acceptance = acceptance
        self._filters, self._unproven, self._again = options.filters, options.unproven, options.again
        self._redriven: defaultdict[int, set[int]] = defaultdict(set)
        self._found: defaultdict[tuple[str, int], array[int]] = defaultdict(lambda: array("q"))
        self._letters: dict[tuple[str, int], Ints] = {}
        """By topic and partition of the original: its offset, partition of the letter, its offset; int64[3, n]."""
        self._newest: dict[bytes, Place] = {}
        """Of each item with a candidate letter the place of the newest message; only an item's last one counts."""
        self._claims: dict[Place, list[tuple[bytes, int]]] = {}
        """What candidate letters say is at a place: the key with which it would go, and a hash of key and value."""

    def add(self, record: Record) -> None:
        """Note a record of the first reading."""
        if isinstance(record, RedriveReceipt):
            if not self._again:
                self._redriven[record.partition].update(record.offsets)
        elif isinstance(record, ForeignRecord):
            self.summary.foreign_records += 1
        elif self._filters.take(record):
            place = record.source_partition, record.source_offset
            self._found[record.topic, place[0]].extend((place[1], record.partition, record.offset))
            if self._acceptance.kinds.get(record.topic) == "candidates" and not record.cut:
                with suppress(InvalidMessage):
                    key = self._acceptance.key(record) or b""
                    if self._unproven:
                        self._newest[key] = max(self._newest.get(key, place), place)
                    else:  # a letter that is not what it says stands before no other
                        self._newest.setdefault(key, _NOWHERE)
                        self._claims.setdefault(place, []).append((key, hash((record.key, record.value))))

    def finish(self, settings: Settings) -> None:
        """Sort what was noted, and look for newer candidates."""
        for source, found in self._found.items():
            rows = np.array(found, np.int64).reshape(-1, 3)
            self._letters[source] = rows[np.lexsort(rows.T[::-1])].T.copy()
        self._found.clear()
        for message in read_to_end(settings, TopicNames.of(settings).candidates) if self._newest else ():
            place = message.partition() or 0, message.offset() or 0
            keys = {message.key() or b""}
            if claims := self._claims.get(place):
                what = hash((message.key(), message.value()))
                keys |= {key for key, claim in claims if claim == what}
            for key in keys:
                newest = self._newest.get(key)
                if newest is not None and (place[0] != newest[0] or place > newest):
                    self._newest[key] = place
        self._claims.clear()

    @property
    def topics(self) -> list[str]:
        """The topics that letters may go to."""
        return sorted({topic for topic, _ in self._letters} & self._acceptance.kinds.keys())

    def take(self, letter: DeadLetter) -> tuple[Place, ...]:
        """Places of all letters of the same original; nothing if it was redriven or settled before, or is not meant.

        The flow may have written a letter twice (at least once); if one of the two was redriven, both were.
        """
        places = self._places(letter)
        copies = tuple((p, o) for p, o in places.T.tolist())
        if (letter.partition, letter.offset) not in copies:
            return ()
        if any(offset in self._redriven[partition] for partition, offset in copies):
            self.summary.already += 1
            self._settle(letter)
            return ()
        return copies

    def _places(self, letter: DeadLetter) -> Ints:
        """A view of the places of all letters of the same original: partitions and offsets, int64[2, n]."""
        columns = self._letters.get((letter.topic, letter.source_partition))
        if columns is None:
            return np.empty((2, 0), np.int64)
        first, end = (int(np.searchsorted(columns[0], letter.source_offset, side)) for side in ("left", "right"))
        return columns[1:, first:end]

    def _settle(self, letter: DeadLetter) -> None:
        """This letter stands for all of the same original, whatever becomes of it."""
        self._places(letter)[0] = -1

    def judge(self, letter: DeadLetter, prove: Callable[[DeadLetter], str], *, alone: bool) -> tuple[bytes | None, str]:
        """The key to send a letter with, and why it stays or an empty text; counts it if it stays.

        Args:
            letter: the letter.
            prove: why it may be forged; asks the broker.
            alone: whether it is the only one of its original. Of several the first may be forged to have it stand for
                the others, so that only one that is true, and whole, does.
        """
        summary, kind = self.summary, self._acceptance.kinds.get(letter.topic)
        if kind is None:
            self._settle(letter)
            summary.unroutable[letter.topic] += 1
            return None, "its topic is not managed by this deployment"
        if letter.cut:
            summary.cut += 1
            return None, f"it is not whole: {letter.cut}"
        if not alone and (why_not := prove(letter)):
            summary.unproven += 1
            return None, why_not
        self._settle(letter)
        key, why_not = self._key(letter, kind)
        if alone and not why_not and (why_not := prove(letter)):
            summary.unproven += 1
        return key, why_not

    def _key(self, letter: DeadLetter, kind: str) -> tuple[bytes | None, str]:
        summary = self.summary
        try:
            key = self._acceptance.key(letter)
        except InvalidMessage as invalid:
            summary.refused[invalid.reason] += 1
            return None, f"it would be refused again: {invalid}"
        if kind == "candidates" and self._is_superseded(letter, key):
            summary.superseded += 1
            return None, "its item has a newer candidate message, which it would undo"
        return key, ""

    def _is_superseded(self, letter: DeadLetter, key: bytes | None) -> bool:
        partition, offset = self._newest.get(key or b"", _NOWHERE)
        if offset < 0:
            return False
        return partition != letter.source_partition or offset > letter.source_offset


def _deliver(settings: Settings, messages: Iterator[_Redriven], now: Callable[[], int]) -> None:
    dead_letters = TopicNames.of(settings).dead_letters
    receipts = _Receipts(Producer.of_tool(settings), dead_letters, now)
    producer = Producer.of_tool(settings, receipts.delivered)
    try:
        for message in messages:
            producer.send(message)
            receipts.write(_RECEIPT_OF)
            if producer.failed:  # what comes after one that failed must not go before it
                break
    finally:
        try:
            producer.flush()
        finally:
            receipts.write(1)
            receipts.finish()


class _Receipts:
    """Notes what the broker has taken."""

    def __init__(self, producer: Producer, topic: str, now: Callable[[], int]) -> None:
        self._producer = producer
        self._topic = topic
        self._now = now
        self._unnoted: dict[int, list[int]] = {}

    def delivered(self, message: ProducerRecord, _: object) -> None:
        """Called for each message that the broker has taken."""
        if isinstance(message, _Redriven):
            for partition, offset in message.copies:
                self._unnoted.setdefault(partition, []).append(offset)

    def write(self, least: int) -> None:
        """Write a receipt for each partition with so many letters."""
        for partition in [p for p, offsets in self._unnoted.items() if len(offsets) >= least]:
            value, headers = receipt_of(self._unnoted.pop(partition), self._now())
            self._producer.send(ProducerRecord(self._topic, None, value, headers, partition))

    def finish(self) -> None:
        """Wait until all receipts are written.

        Raises:
            RalmError: when one is not.
        """
        self._producer.flush()
