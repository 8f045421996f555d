"""Whether the centroids topic is still the one to which what the stores say was sent has gone."""

from collections.abc import Mapping
from typing import Any

from flows.kafka.first_offset import PartitionFacts, why_another
from flows.kafka.topic_marks import TopicMarks
from flows.support.text import counted
from state.store.meta import SentMessage, StoreMeta, TopicMark


def note_of_topic(marks: TopicMarks, topic_id: str) -> dict[str, Any]:
    """By what a store knows the topic again: its id, or where the broker gives none a message of it.

    Returns:
        Attributes of ``StoreMeta``; none where nothing is known yet, so that what was noted before stays.
    """
    if topic_id:
        return {"centroids_id": topic_id}
    known = sorted((partition, mark) for partition, mark in marks.of_kind("centroids").items() if mark.offset >= 0)
    if not known:
        return {}
    partition, mark = known[0]
    return {"centroids_sent": SentMessage(partition, mark.offset, mark.time)}


def deleted_offsets(topic: PartitionFacts, partitions: int) -> int:
    """How many offsets the topic has lost at its beginning, with whatever was there; compaction takes none away.

    Raises:
        RalmError: when the broker does not say.
    """
    return sum(topic.bounds(partition)[0] for partition in range(partitions))


def sent_elsewhere(
    stores: Mapping[int, StoreMeta], topic: PartitionFacts, partitions: int, topic_id: str
) -> dict[int, str]:
    """Why the topic is another one, or has lost messages, by the partition of each store whose centroids it has not.

    Args:
        stores: what each store knows of itself, by its partition.
        topic: what the broker says of the centroids topic.
        partitions: how many it has.
        topic_id: its id; empty where the broker gives none.

    Raises:
        RalmError: when the broker does not say.
    """
    found, deleted = {}, deleted_offsets(topic, partitions)
    for partition, meta in stores.items():
        why = _why_another(meta, topic, partitions, topic_id)
        if not why and deleted > meta.centroids_deleted:
            offsets = counted(deleted, "offset")
            why = f"its first messages were deleted ({offsets} in all, and {meta.centroids_deleted} before)"
        if why:
            found[partition] = why
    return found


def _why_another(meta: StoreMeta, topic: PartitionFacts, partitions: int, topic_id: str) -> str:
    before, sent = meta.centroids_id, meta.centroids_sent
    if before and topic_id:
        return f"its id is {topic_id}, and was {before}" if before != topic_id else ""
    if sent.offset < 0:
        return ""
    if sent.partition >= partitions:
        return f"it had a partition {sent.partition}, and has {partitions}"
    return why_another(topic, sent.partition, sent.offset + 1, TopicMark("", sent.offset, sent.time), topic_id)
