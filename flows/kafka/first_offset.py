"""Where a partition is read from when a process starts: on from the store, or from what the group has committed.

A topic that was deleted and made anew has the name of the old one and other messages at the same offsets. It is known
by its id, and where a broker gives none by evidence: it ends before our position, or the message that we remember of it
has another time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, TypeAlias

from flows.kafka.topic_marks import decode_first_count, decode_mark, decode_more, encode_mark, is_within
from flows.support.errors import RalmError
from flows.support.logs import get_logger
from state.store.meta import NO_MARK, TopicMark

log = get_logger(__name__)

Rebuild: TypeAlias = Literal["complete", "partial"]
_ONCE = "there is one; else start once with --rebuild partial"


class PartitionFacts(Protocol):
    """What a broker says of a topic's partitions; ``TopicClient`` asks it."""

    topic: str

    def bounds(self, partition: int) -> tuple[int, int]:
        """The first offset and the end."""
        ...

    def committed(self, partition: int) -> int | None:
        """The offset that the group has committed, None without one."""
        ...

    def committed_mark(self, partition: int) -> str:
        """What was committed beside the offset that was asked for last."""
        ...

    def message_time(self, partition: int, offset: int) -> int | None:
        """The time of the message at an offset, ms; None where it is not there, or the broker does not say."""
        ...

    def commit(self, partition: int, offset: int, mark: str = "") -> None:
        """Commit an offset to the group, and a word beside it."""
        ...


FirstOffset: TypeAlias = Callable[[PartitionFacts, int], int]
"""Says for a partition where to begin; raises RalmError where what is missing is gone."""


@dataclass(frozen=True)
class HeldOffsets:
    """What a store says of a topic's partition.

    Attributes:
        resume: where to read on; negative where nothing that was read has settled, for the beginning.
        position: the offset after the last message that is in the store.
        mark: by what the topic is known again.
    """

    resume: int
    position: int
    mark: TopicMark = NO_MARK


class Beginning(NamedTuple):
    """Where to begin.

    Attributes:
        offset: the offset.
        anew: whether the store must say so at once: it is the first position, or another one than the store has.
        older: whether the group has read beyond what the store has, which is an older copy of itself then.
        more: whether the store has what a topic had that was there before.
    """

    offset: int
    anew: bool
    older: bool = False
    more: bool = False


def why_another(facts: PartitionFacts, partition: int, position: int, mark: TopicMark, topic_id: str) -> str:
    """Why a partition's messages are not those that were read up to a position; empty where nothing says so.

    Args:
        facts: what the broker says.
        partition: the partition.
        position: the offset after the last message that was read.
        mark: what is remembered of the topic that it was read from.
        topic_id: the id of the topic that is there now; empty where the broker gives none.
    """
    bounds = facts.bounds(partition)
    known = bool(mark.topic_id and topic_id)
    if known and mark.topic_id != topic_id:
        return f"the topic was made anew: its id is {topic_id}, and was {mark.topic_id}"
    cause = "its end was lost, as when a replica that lags takes the lead" if known else "the topic was made anew"
    if bounds[1] < position:
        return f"it ends at offset {bounds[1]}, and was read up to {position}: {cause}"
    if is_within(mark, bounds):
        time = facts.message_time(partition, mark.offset)
        if time is not None and time != mark.time:
            return f"its message at offset {mark.offset} is of {time} ms, and was of {mark.time} ms: {cause}"
    return ""


@dataclass(frozen=True)
class BeginRules:
    """By what it is decided where a topic begins that a store is filled from.

    Attributes:
        start_from: where a partition that was never read begins: ``earliest`` or ``latest``.
        rebuild: what to do where messages that a store lacks were deleted: ``complete`` refuses, ``partial`` goes on.
        lost: whether this state directory has had the partition, so that a missing store was lost.
        emitted: says the greatest offset of a partition's clicks that was emitted of, 0 where that is not known: asked
            where there is neither a store nor a committed offset.
        emitted_count: says how many partitions the clicks topic had at first, as messages that were emitted say, 0
            where they do not; asked likewise.
        compacted: whether the topic forgets what was overwritten, so that its first offset says nothing.
        grown: whether the topic has got partitions since, so that one has not all that its store had.
        topic_id: the topic's id; empty where the broker gives none.
        fewer: whether it has fewer partitions than it had.
        count: how many partitions it has, 0 where that is not known.
        more: whether the partition's store has, or had, what a topic had that was there before.
    """

    start_from: str
    rebuild: Rebuild
    lost: bool = False
    emitted: Callable[[int], int] = lambda _: 0
    emitted_count: Callable[[], int] = lambda: 0
    compacted: bool = False
    grown: bool = False
    topic_id: str = ""
    fewer: bool = False
    count: int = 0
    more: bool = False


def begin_with_store(facts: PartitionFacts, partition: int, held: HeldOffsets | None, rules: BeginRules) -> Beginning:
    """Where to begin in a topic that a store is filled from.

    Args:
        facts: what the broker says.
        partition: the partition.
        held: what the store says; None where there is no store.
        rules: by what it is decided.

    Raises:
        RalmError: when messages that the store lacks are gone, or the topic is not the one that it was filled from.
    """
    if held is None:
        return Beginning(_begin_without(facts, partition, rules), True)
    first, _ = facts.bounds(partition)
    where = f"{facts.topic}[{partition}]"
    if why := refuse_another(facts, partition, held, rules):
        # What it said is kept: a takedown holds until the item is listed again.
        log.warning("another topic than before is read from its beginning", what=where, why=why, offset=first)
        return Beginning(first, True, more=held.position > 0)
    if lost := gone_beyond_store(facts, partition, held):
        _refuse_unless_partial(rules.rebuild, lost)
        log.warning("messages are gone for good", what=where, why=lost, kept_from=first)
    committed = facts.committed(partition)
    older, more = False, rules.more
    if committed is not None:
        mark = facts.committed_mark(partition)
        if decode_mark(mark).topic_id in ("", rules.topic_id):
            older, more = _is_older(held, committed), more or decode_more(mark)
    return Beginning(max(first, held.resume), False, older, more)


def _is_older(held: HeldOffsets, committed: int) -> bool:
    """Whether the group has read beyond what a store has: a store is written before that is committed."""
    return committed > held.position


def gone_beyond_store(facts: PartitionFacts, partition: int, held: HeldOffsets) -> str:
    """Why a topic does not have what a store lacks, and the way on; empty where it has.

    Args:
        facts: what the broker says.
        partition: the partition.
        held: what the store says.

    Raises:
        RalmError: when the broker does not say.
    """
    first, _ = facts.bounds(partition)
    if held.resume < 0 or first <= held.position:
        return ""
    return (
        f"{facts.topic}[{partition}]: the store has messages up to offset {held.position}, the topic those from "
        f"{first}; what lies between was deleted. Put a newer store of the partition in its place, if {_ONCE}: all "
        "that the store has is kept, and what lies between is lost."
    )


def refuse_another(facts: PartitionFacts, partition: int, held: HeldOffsets, rules: BeginRules) -> str:
    """Why a partition is not of the topic that its store was filled from; empty where nothing says so.

    Args:
        facts: what the broker says.
        partition: the partition.
        held: what the store says.
        rules: by what it is decided.

    Raises:
        RalmError: when it is not, and something would be lost by reading on: unless ``rebuild`` is ``partial``.
    """
    why = why_another(facts, partition, held.position, held.mark, rules.topic_id)
    if rules.fewer and not why:
        why = "it has fewer partitions than before: the topic was made anew"
    if why and not rules.compacted:
        refusal = f"{facts.topic}[{partition}] is not what the store was filled from: {why}"
        lost = f"what the old one had from offset {held.position} on"
        _refuse_unless_partial(rules.rebuild, f"{refusal}. {way_on(lost)}")
    return why


def lost_without_store(facts: PartitionFacts, partition: int, rules: BeginRules) -> str:
    """Why a store that is not here cannot be made whole of the topic, and the way on.

    Empty where it can, or where the partition was never read.

    Args:
        facts: what the broker says.
        partition: the partition.
        rules: by what it is decided.

    Raises:
        RalmError: when the broker, or the centroids topic, does not say.
    """
    return _lost(facts, partition, rules, facts.committed(partition))


def _lost(facts: PartitionFacts, partition: int, rules: BeginRules, committed: int | None) -> str:
    why = _why_not_whole(facts, partition, rules, committed)
    return why and (
        f"{facts.topic}[{partition}]: it was read before, and its store is not in this state directory; {why}. Put the "
        "partition's store back (from the process that had it, or from a backup: `ralm state restore BACKUP "
        f"--partition {partition}`), if {_ONCE}: the store is made of what the topic still has."
    )


def _begin_without(facts: PartitionFacts, partition: int, rules: BeginRules) -> int:
    """Where to begin without a store."""
    first, end = facts.bounds(partition)
    if rules.compacted:
        return first
    where, committed = f"{facts.topic}[{partition}]", facts.committed(partition)
    read = _was_read(partition, rules, committed)
    if lost := _lost(facts, partition, rules, committed):
        _refuse_unless_partial(rules.rebuild, lost)
        log.warning("messages are gone for good", what=where, why=lost, kept_from=first)
    elif not read and rules.start_from == "latest":
        return end
    elif first > 0:
        log.warning("the topic lacks its beginning: seed sets are made of what it still has", what=where, offset=first)
    if read:
        log.info("a store that is not here is rebuilt", topic=facts.topic, partition=partition, offset=first)
    return first


def _was_read(partition: int, rules: BeginRules, committed: int | None) -> bool:
    return rules.lost or committed is not None or rules.emitted(partition) > 0


def _why_not_whole(facts: PartitionFacts, partition: int, rules: BeginRules, committed: int | None) -> str:
    """Why the topic does not have all that a partition's store had; empty where it has, or there was none."""
    first, _ = facts.bounds(partition)
    if not _was_read(partition, rules, committed):
        return ""
    if another := _why_another_than_read(facts, partition, rules, committed):
        return f"the topic is not what it was filled from: {another}"
    if first > 0:
        return f"the topic has no more than what follows offset {first}; what lies between was deleted"
    if rules.more or (committed is not None and decode_more(facts.committed_mark(partition))):
        return "its store had the clicks of a topic, too, that was there before"
    at_first = rules.emitted_count() if committed is None else decode_first_count(facts.committed_mark(partition))
    if rules.grown or 0 < at_first < rules.count:
        return "the topic has grown meanwhile, and its older clicks lie in other partitions"
    return ""


def had_at_first(facts: PartitionFacts, partition: int, topic_id: str) -> int:
    """How many partitions the topic had at first, as is committed beside a partition's offset.

    0 where it is not known, or was said of another topic than ``topic_id``.
    """
    committed = facts.committed(partition)
    if committed is None:
        return 0
    mark = facts.committed_mark(partition)
    another = why_another(facts, partition, committed, decode_mark(mark), topic_id)
    return 0 if another else decode_first_count(mark)


def _why_another_than_read(facts: PartitionFacts, partition: int, rules: BeginRules, committed: int | None) -> str:
    """Why a partition is another one than was read before, of which there is no store; empty where nothing says so."""
    if rules.fewer and rules.lost:
        return "it has fewer partitions than before"
    if committed is None:
        (_, end), emitted = facts.bounds(partition), rules.emitted(partition)
        anew = f"it ends at offset {end}, and centroids were made of its clicks up to {emitted}: it was made anew"
        return anew if end < emitted else ""
    mark = facts.committed_mark(partition)
    if 0 < rules.count < decode_first_count(mark):
        return "it has fewer partitions than before"
    return why_another(facts, partition, committed, decode_mark(mark), rules.topic_id)


def begin_with_group(
    facts: PartitionFacts, partition: int, *, start_from: str, begun: bool = False, topic_id: str = ""
) -> tuple[int, TopicMark]:
    """Where to begin in a topic that fills no store: where the group has got to.

    Where that is first decided it is committed at once, so that it is decided once. That messages have expired
    meanwhile, or that the topic was made anew, is said, and no reason to stop.

    Args:
        facts: what the broker says.
        partition: the partition.
        start_from: where a topic that was never read begins: ``earliest`` or ``latest``.
        begun: whether the topic was read before: then what the group says nothing of is read from its beginning.
        topic_id: the topic's id; empty where the broker gives none.

    Returns:
        The offset, and by what the topic is known again.
    """
    first, end = facts.bounds(partition)
    committed = facts.committed(partition)
    fresh = TopicMark(topic_id)
    if committed is None:
        begin = end if start_from == "latest" and not begun else first
        facts.commit(partition, begin, encode_mark(fresh))
        return begin, fresh
    mark = decode_mark(facts.committed_mark(partition))
    why = why_another(facts, partition, committed, mark, topic_id)
    if not why and first <= committed:
        return committed, mark._replace(topic_id=topic_id or mark.topic_id)
    gone = {"expired": first - committed} if not why else {}
    log.warning(
        "messages are gone; going on from the beginning of what the topic has",
        topic=facts.topic,
        partition=partition,
        committed=committed,
        offset=first,
        why=why or "they expired before they were read",
        **gone,
    )
    facts.commit(partition, first, encode_mark(fresh))
    return first, fresh


def _refuse_unless_partial(rebuild: Rebuild, refusal: str) -> None:
    if rebuild != "partial":
        raise RalmError(refusal)


def way_on(lost: str) -> str:
    """What to do where clicks are another topic than the stores were filled from.

    Args:
        lost: what cannot be had any more.
    """
    return (
        "If bootstrap_servers or topic_prefix name the wrong cluster, fix that. Else start once with --rebuild "
        "partial: all seed sets are kept, and this topic is read from its beginning, so that nothing is lost but "
        f"{lost}. To begin with this topic alone, move away what the state directory holds before that. Nothing was "
        "changed."
    )
