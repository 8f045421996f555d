"""Sends dead letters back to where they came from, once what was wrong is mended.

What was sent back is noted in the topic of dead letters itself, by a receipt in the letter's own partition. So the
note lives exactly as long as the letter (a consumer group's offsets may be forgotten earlier, and could not say which
letters of a partition were passed over), any machine knows it, and filters do no harm. A receipt is written after the
broker has taken the letters: a crash between the two sends them once more. That is at least once, as everywhere here:
a click twice is one seed, a request twice is answered twice.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from flows.admin.dead_letters.acceptance import Acceptance
from flows.admin.dead_letters.spool import InOrder, Spool
from flows.admin.dead_letters.topic import Filters, read_records
from flows.config.settings import Settings
from flows.kafka.producer import Producer, ProducerRecord
from flows.kafka.range_reader import ReadProgress, read_to_end
from flows.kafka.topics import TopicNames
from flows.messages.dead_letter import DeadLetter, SentBack, Stranger, receipt_of
from flows.messages.rejects import Reject

_RECEIPT_OF = 500
"""Letters of a partition for which one receipt is written."""

Place = tuple[int, int]
"""Partition and offset of a letter."""
Told = Callable[[DeadLetter, str], None]
"""Told of each letter, and why it is left, or an empty text if it goes back."""


@dataclass(frozen=True)
class ReturnOptions:
    """What is sent back, and how.

    Attributes:
        filters: which letters.
        limit: the most letters; None is all.
        dry_run: send nothing.
        set_key: give letters that were refused for their key the key that their value says.
    """

    filters: Filters
    limit: int | None = None
    dry_run: bool = False
    set_key: bool = False


@dataclass
class Summary:
    """What became of the letters that were meant.

    Attributes:
        sent: letters that went back (in a dry run, would), by topic.
        already: originals that had been sent back before.
        refused: letters that would be refused again, by the reason now.
        cut: letters that are not whole.
        foreign: letters of a topic that is none of ours to send to, by topic.
        overtaken: candidates whose item has a newer message.
        strangers: messages of the topic that are no dead letters.
        beyond: letters that were not looked at because of the limit.
    """

    sent: Counter[str] = field(default_factory=Counter)
    already: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    cut: int = 0
    foreign: Counter[str] = field(default_factory=Counter)
    overtaken: int = 0
    strangers: int = 0
    beyond: int = 0


@dataclass(frozen=True)
class _Back(ProducerRecord):
    copies: tuple[Place, ...] = ()


def send_back(
    settings: Settings,
    options: ReturnOptions,
    now: Callable[[], int],
    *,
    told: Told = lambda *_: None,
    reading: ReadProgress = lambda *_: None,
    sending: ReadProgress = lambda *_: None,
) -> Summary:
    """Send dead letters back, in the order of their original partition and offset.

    Args:
        settings: the settings; letters are checked with them, and only go to their topics.
        options: which letters, and how.
        now: wall clock, ms since the epoch.
        told: told of each letter.
        reading: told how much of the topic is read.
        sending: told how many letters are done.

    Raises:
        RalmError: when the topic cannot be read, or a letter or a receipt was not delivered.
    """
    acceptance = Acceptance(settings, now, set_key=options.set_key)
    summary = Summary()
    with Spool() as spool:
        for record in read_records(settings, options.filters.since, reading):
            if isinstance(record, SentBack):
                spool.note(record)
            elif isinstance(record, Stranger):
                summary.strangers += 1
            elif options.filters.take(record):
                spool.add(record)
        letters = spool.in_order()
        summary.already = letters.already
        judge = _Judge(acceptance, summary, _newest_candidates(settings, letters, acceptance))
        if options.dry_run:
            _go_through(letters, options, judge, told, sending, lambda _: True)
        else:
            _deliver(settings, letters, options, judge, now, told, sending)
    return summary


class _Judge:
    """Decides on a letter, and counts it."""

    def __init__(self, acceptance: Acceptance, summary: Summary, newest: dict[bytes, Place]) -> None:
        self._acceptance = acceptance
        self.summary = summary
        self.topics = acceptance.topics
        self._newest = newest

    def message(self, letter: DeadLetter, copies: list[Place]) -> _Back | str:
        """The message to send, or why the letter stays."""
        summary = self.summary
        if letter.topic not in self.topics:
            summary.foreign[letter.topic] += 1
            return "its topic is none of ours to send to"
        if letter.cut:
            summary.cut += 1
            return f"it is not whole: {letter.cut}"
        try:
            key = self._acceptance.key(letter)
        except Reject as reject:
            summary.refused[reject.reason] += 1
            return f"it would be refused again: {reject}"
        if letter.topic == self._acceptance.candidates and self._is_overtaken(letter, key):
            summary.overtaken += 1
            return "its item has a newer candidate message, which it would undo"
        summary.sent[letter.topic] += 1
        return _Back(letter.topic, key, letter.value, list(letter.headers), copies=tuple(copies))

    def _is_overtaken(self, letter: DeadLetter, key: bytes | None) -> bool:
        newest = self._newest.get(key or b"")
        if newest is None:
            return False
        partition, offset = newest
        return partition != letter.source_partition or offset > letter.source_offset


def _newest_candidates(settings: Settings, letters: InOrder, acceptance: Acceptance) -> dict[bytes, Place]:
    """Place of the newest message of each item for which there is a letter; of candidates the last one counts."""
    topic, wanted = acceptance.candidates, set()
    for letter, _ in letters:
        if letter.topic == topic and not letter.cut:
            with suppress(Reject):
                wanted.add(acceptance.key(letter) or b"")
    newest: dict[bytes, Place] = {}
    if wanted:
        for message in read_to_end(settings, topic):
            key = message.key()
            if key in wanted:
                newest[key] = (message.partition() or 0, message.offset() or 0)
    return newest


def _go_through(
    letters: InOrder,
    options: ReturnOptions,
    judge: _Judge,
    told: Told,
    progress: ReadProgress,
    send: Callable[[_Back], bool],
) -> None:
    """Judge the letters in order until the limit is reached or one cannot be sent."""
    summary, total = judge.summary, len(letters)
    for done, (letter, copies) in enumerate(letters):
        if options.limit is not None and summary.sent.total() >= options.limit:
            summary.beyond = total - done
            break
        message = judge.message(letter, copies)
        told(letter, message if isinstance(message, str) else "")
        if isinstance(message, _Back) and not send(message):
            break
        progress(done + 1, total)


def _deliver(
    settings: Settings,
    letters: InOrder,
    options: ReturnOptions,
    judge: _Judge,
    now: Callable[[], int],
    told: Told,
    progress: ReadProgress,
) -> None:
    names = TopicNames.of(settings)
    receipts = _Receipts(Producer.of_tool(settings), names.dead_letters, now)
    producer = Producer.of_tool(settings, receipts.delivered)
    producer.check_topics(*judge.topics, names.dead_letters)

    def send(message: _Back) -> bool:
        producer.send(message)
        receipts.write(_RECEIPT_OF)
        return not producer.failed  # what comes after one that failed must not go before it

    try:
        _go_through(letters, options, judge, told, progress, send)
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
        if isinstance(message, _Back):
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
