"""Where a partition is read from when a process starts: on from the store, or from what the group has committed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from flows.support.errors import RalmError
from flows.support.logs import get_logger

log = get_logger(__name__)

Rebuild: TypeAlias = Literal["complete", "partial"]


class PartitionFacts(Protocol):
    """What a broker says of a topic's partitions; ``TopicReader`` asks it."""

    topic: str

    def bounds(self, partition: int) -> tuple[int, int]:
        """The first offset and the end."""
        ...

    def committed(self, partition: int) -> int | None:
        """The offset that the group has committed, None without one."""
        ...

    def commit(self, partition: int, offset: int) -> None:
        """Commit an offset to the group."""
        ...


FirstOffset: TypeAlias = Callable[[PartitionFacts, int], int]
"""Says for a partition where to begin; raises RalmError where what is missing is gone."""


@dataclass(frozen=True)
class HeldOffsets:
    """What a store says of a topic's partition.

    Attributes:
        resume: where to read on; negative where nothing that was read has settled, for the beginning.
        position: the offset after the last message that is in the store.
    """

    resume: int
    position: int


def begin_with_store(
    facts: PartitionFacts,
    partition: int,
    held: HeldOffsets | None,
    *,
    start_from: str,
    rebuild: Rebuild,
    new: bool,
    compacted: bool = False,
) -> int:
    """Where to begin in a topic that a store is filled from.

    Args:
        facts: what the broker says.
        partition: the partition.
        held: what the store says; None where there is no store.
        start_from: where a partition that was never read begins: ``earliest`` or ``latest``.
        rebuild: what to do where messages that a store lacks were deleted: ``complete`` refuses, ``partial`` goes on.
        new: whether all begins anew here, so that a missing store lacks nothing.
        compacted: whether the topic forgets what was overwritten, so that its first offset says nothing.

    Raises:
        RalmError: when messages that the store lacks are gone, or the topic is not the one that it was filled from.
    """
    first, end = facts.bounds(partition)
    where = f"{facts.topic}[{partition}]"
    if held is None:
        if new or compacted or facts.committed(partition) is None:
            return end if start_from == "latest" else first
        if first > 0:
            lost = f"{where}: it was read before, and its store is not in this state directory"
            _accept(rebuild, f"{lost}; the topic has no more than what follows offset {first}", first)
        log.info("a store that is not here is rebuilt", topic=facts.topic, partition=partition, offset=first)
        return first
    if end < held.position:
        msg = (
            f"{where} ends at offset {end}, but the state has messages up to {held.position}: the topic was made anew, "
            "or this is another cluster. Point bootstrap_servers and topic_prefix to the right one, or move the state "
            "directory away to begin with this topic."
        )
        raise RalmError(msg)
    if held.resume >= 0 and first > held.position and not compacted:
        _accept(
            rebuild,
            f"{where}: the store has messages up to offset {held.position}, the topic those from {first}",
            first,
        )
    return max(first, held.resume)


def begin_with_group(facts: PartitionFacts, partition: int, *, start_from: str) -> int:
    """Where to begin in a topic that fills no store: where the group has got to.

    Where that is first decided it is committed at once, so that it is decided once. That messages have expired
    meanwhile is said, and no reason to stop.
    """
    first, end = facts.bounds(partition)
    committed = facts.committed(partition)
    if committed is None:
        begin = end if start_from == "latest" else first
        facts.commit(partition, begin)
        return begin
    if first <= committed <= end:
        return committed
    why = "expired before they were read" if committed < first else "are others: the topic was made anew"
    log.warning(
        f"messages {why}; going on from the beginning of what the topic has",
        topic=facts.topic,
        partition=partition,
        committed=committed,
        offset=first,
    )
    return first


def _accept(rebuild: Rebuild, lost: str, first: int) -> None:
    if rebuild == "partial":
        log.warning("messages are gone for good", what=lost, kept_from=first)
        return
    msg = (
        f"{lost}; what lies between was deleted. Put the partition's store back (from the process that had it, or from "
        "a backup), or go on with what the topic still has: --rebuild partial."
    )
    raise RalmError(msg)
