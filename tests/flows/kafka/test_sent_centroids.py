"""The centroids topic is known again by its id, or by a message that was sent to it; and what it has lost is seen."""

from typing import Any

import pytest

from flows.kafka.sent_centroids import note_of_topic, sent_elsewhere
from flows.kafka.topic_marks import TopicMarks
from state.store.meta import SentMessage, StoreMeta, TopicMark


class Topic:
    """Two partitions with offsets 5 to 19, all of one time."""

    topic = "centroids"

    def bounds(self, _: int) -> tuple[int, int]:
        return 5, 20

    def committed(self, _: int) -> int | None:
        raise AssertionError

    def committed_mark(self, _: int) -> str:
        raise AssertionError

    def message_time(self, _: int, offset: int) -> int | None:
        return None if offset == 6 else 1000  # that one was compacted away

    def commit(self, partition: int, offset: int, mark: str = "") -> None:
        raise AssertionError


def meta(topic_id: str = "", *sent: int, deleted: int = 10) -> StoreMeta:
    sent_to: dict[str, Any] = {"centroids_id": topic_id, "centroids_sent": SentMessage(*sent)}
    return StoreMeta("clicks", 3, centroids_deleted=deleted, **sent_to)


@pytest.mark.parametrize(
    ("held", "topic_id", "why"),
    [
        (meta("old"), "new", "its id is new, and was old"),
        (meta("old", 0, 30, 1), "new", "its id is new"),
        (meta("", 1, 20, 1000), "", "ends at offset 20"),
        (meta("", 1, 8, 999), "", "its message at offset 8 is of 1000 ms"),
        (meta("", 1, 8, 999), "new", "its message at offset 8 is of 1000 ms"),  # the brokers give ids now
        (meta("", 2, 8, 1000), "", "it had a partition 2, and has 2"),
        (meta("old", deleted=9), "old", "its first messages were deleted (10 offsets in all, and 9 before)"),
        (meta("", 1, 8, 1000, deleted=0), "", "its first messages were deleted"),
    ],
)
def test_another_topic_is_told(held: StoreMeta, topic_id: str, why: str) -> None:
    assert why in sent_elsewhere({3: held, 4: meta()}, Topic(), 2, topic_id)[3]


@pytest.mark.parametrize(
    "held", [meta(), meta("old"), meta("", 1, 8, 1000), meta("", 1, 6, 999), meta("", 1, 2, 999), meta("old", 9, 30, 1)]
)
def test_the_same_topic_is_known_again(held: StoreMeta) -> None:
    assert not sent_elsewhere({3: held}, Topic(), 2, "old")


def test_what_is_noted_of_it() -> None:
    marks = TopicMarks()
    assert note_of_topic(marks, "id") == {"centroids_id": "id"}
    assert note_of_topic(marks, "") == {}, "what was noted before stays"
    marks.set("centroids", 0, TopicMark())
    marks.set("centroids", 2, TopicMark("", 7, 1000))
    assert note_of_topic(marks, "") == {"centroids_sent": SentMessage(2, 7, 1000)}
