"""Where a partition is read from when a process starts."""

from typing import Any

import pytest
from partition_facts import Facts

from flows.kafka.first_offset import (
    Beginning,
    BeginRules,
    HeldOffsets,
    begin_with_group,
    begin_with_store,
)
from flows.kafka.topic_marks import decode_mark
from flows.support.errors import RalmError
from state.store.meta import NO_MARK, TopicMark


def begun(facts: Facts, held: HeldOffsets | None = None, **options: Any) -> Beginning:
    given: dict[str, Any] = {"start_from": "earliest", "rebuild": "complete", **options}
    return begin_with_store(facts, 2, held, BeginRules(**given))


def beginning(facts: Facts, held: HeldOffsets | None = None, **options: Any) -> tuple[int, bool]:
    return begun(facts, held, **options)[:2]


def begin(facts: Facts, held: HeldOffsets | None = None, **options: Any) -> int:
    return begun(facts, held, **options).offset


@pytest.mark.parametrize(
    ("first", "expected"),
    [(0, 5), (5, 5), (6, 6), (8, 8)],
)
def test_a_store_is_gone_on_with_where_all_before_it_has_settled(first: int, expected: int) -> None:
    assert begin(Facts(first, 20), HeldOffsets(5, 8)) == expected


def test_a_store_of_which_nothing_has_settled_is_read_from_the_beginning() -> None:
    assert begin(Facts(3, 20, committed=8), HeldOffsets(-1, 8)) == 3
    assert begin(Facts(9, 20), HeldOffsets(-1, 0)) == 9  # made for items that were moved to it


def test_messages_that_a_store_lacks_and_the_topic_has_no_more_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for compacted in (False, True):  # nor is a takedown to be passed over: compaction takes no offsets away
        with pytest.raises(RalmError, match=r"the store has messages up to offset 8, .*from 9.*--rebuild partial"):
            begin(Facts(9, 20), HeldOffsets(5, 8), compacted=compacted)
        assert begin(Facts(9, 20), HeldOffsets(5, 8), rebuild="partial", compacted=compacted) == 9
        assert "gone for good" in "".join(capsys.readouterr())
        assert begin(Facts(8, 20), HeldOffsets(5, 8), compacted=compacted) == 8


def test_a_topic_that_ends_before_the_store_is_another() -> None:
    with pytest.raises(RalmError, match=r"ends at offset 7, and was read up to 8: the topic was made anew"):
        begin(Facts(0, 7), HeldOffsets(5, 8))
    assert beginning(Facts(0, 8), HeldOffsets(5, 8)) == (5, False)


OLD, NEW = TopicMark("old", 6, 1000), TopicMark("new")


@pytest.mark.parametrize(
    ("facts", "mark", "topic_id", "why"),
    [
        (Facts(2, 20), OLD, "new", "its id is new, and was old"),
        (Facts(2, 7), OLD, "old", "its end was lost, as when a replica that lags takes the lead"),
        (Facts(2, 20, time=999), OLD, "old", "message at offset 6 is of 999 ms, and was of 1000 ms: its end was lost"),
        (Facts(2, 20, time=999), OLD._replace(topic_id=""), "", "the topic was made anew"),
        (Facts(2, 20, time=999), OLD._replace(topic_id=""), "new", "the topic was made anew"),
    ],
)
def test_another_topic_than_the_store_was_filled_from_is_refused_or_read_from_its_beginning(
    facts: Facts, mark: TopicMark, topic_id: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    held = HeldOffsets(5, 8, mark)
    with pytest.raises(RalmError, match="not what the store was filled from") as refused:
        begin(facts, held, topic_id=topic_id)
    assert why in str(refused.value)
    assert "--rebuild partial: all seed sets are kept" in str(refused.value)
    assert beginning(facts, held, topic_id=topic_id, rebuild="partial") == (2, True)
    # What the candidates topic said is kept, and nothing is lost by reading it from its beginning.
    assert beginning(facts, held, topic_id=topic_id, compacted=True) == (2, True)
    assert why in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("facts", "topic_id"),
    [
        (Facts(2, 20, time=1000), "old"),
        (Facts(2, 20, time=1000), ""),
        (Facts(2, 20), "old"),  # the message was compacted away, or does not come
        (Facts(7, 20), "old"),  # it has expired
    ],
)
def test_the_topic_that_the_store_was_filled_from_is_known_again(facts: Facts, topic_id: str) -> None:
    assert beginning(facts, HeldOffsets(5, 8, OLD), topic_id=topic_id) == (max(5, facts.bounds(2)[0]), False)


@pytest.mark.parametrize(("start_from", "expected"), [("earliest", 3), ("latest", 20)])
def test_a_partition_that_was_never_read_begins_as_it_is_set(start_from: str, expected: int) -> None:
    assert beginning(Facts(3, 20), start_from=start_from) == (expected, True)


def test_a_store_that_lies_elsewhere_is_rebuilt_if_the_topic_has_all_of_it() -> None:
    assert begin(Facts(0, 20, committed=8)) == 0
    with pytest.raises(RalmError, match=r"its store is not in this state directory.*offset 3.*--rebuild partial"):
        begin(Facts(3, 20, committed=8))
    assert begin(Facts(3, 20, committed=8), rebuild="partial") == 3
    assert begin(Facts(3, 20, committed=8), compacted=True) == 3
    assert begin(Facts(0, 20, committed=8), start_from="latest") == 0  # which is for a first start
    with pytest.raises(RalmError, match="its store is not in this state directory"):
        begin(Facts(3, 20), lost=True)  # of which the group has forgotten


@pytest.mark.parametrize(
    ("facts", "more", "why"),
    [
        (Facts(0, 20, committed=8, mark=OLD), {"topic_id": "new"}, "its id is new, and was old"),
        (Facts(0, 7, committed=8, mark=OLD), {"topic_id": "old"}, "its end was lost"),
        (Facts(0, 20, committed=8, mark=OLD._replace(topic_id=""), time=999), {}, "the topic was made anew"),
        (Facts(0, 20), {"lost": True, "fewer": True}, "it has fewer partitions than before"),
    ],
)
def test_a_store_that_lies_elsewhere_is_not_rebuilt_in_silence_from_another_topic(
    facts: Facts, more: dict[str, Any], why: str
) -> None:
    with pytest.raises(RalmError, match=rf"not what it was filled from: .*{why}.*--rebuild partial"):
        begin(facts, **more)
    assert begin(facts, **more, rebuild="partial") == 0


@pytest.mark.parametrize(
    ("committed", "read_of", "expected"),
    [(8, "old", False), (9, "old", True), (9, "", True), (None, "", False), (9, "one before", False)],
)
def test_a_store_that_has_less_than_the_group_has_read_of_its_topic_is_an_older_copy(
    committed: int | None, read_of: str, expected: bool
) -> None:
    held = HeldOffsets(5, 8, TopicMark("old"))
    facts = Facts(0, 20, committed=committed, mark=TopicMark(read_of))
    assert begun(facts, held, topic_id="old").older == expected


def test_a_store_that_is_lost_after_the_topic_has_grown_is_not_rebuilt_in_silence() -> None:
    with pytest.raises(RalmError, match=r"has grown meanwhile, and its older clicks lie in other.*--rebuild partial"):
        begin(Facts(0, 20, committed=8), grown=True)
    assert begin(Facts(0, 20, committed=8), grown=True, rebuild="partial") == 0
    assert begin(Facts(0, 20), grown=True) == 0  # one that came when it grew
    assert begin(Facts(0, 20, committed=8), HeldOffsets(5, 8), grown=True) == 5


def test_a_store_that_had_more_than_its_topic_is_not_rebuilt_of_that_in_silence() -> None:
    """The topic was made anew, and all that had come from the one before was kept."""
    held = HeldOffsets(5, 8, OLD)
    assert begun(Facts(0, 20), held, topic_id="new", rebuild="partial").more
    assert not begun(Facts(0, 20), HeldOffsets(-1, 0, OLD), topic_id="new", rebuild="partial").more
    for known in ({"facts": Facts(0, 20, committed=8, more=True)}, {"facts": Facts(0, 20), "lost": True, "more": True}):
        with pytest.raises(
            RalmError, match=r"had the clicks of a topic, too, that was there before.*--rebuild partial"
        ):
            begin(**known)
        assert begin(**known, rebuild="partial") == 0
    # Whoever gets the store without the directory that knew of it hears of it from the group.
    assert begun(Facts(0, 20, committed=8, more=True), HeldOffsets(5, 8)).more


def test_of_a_growth_that_the_group_has_forgotten_what_was_emitted_says_it() -> None:
    emitted: dict[str, Any] = {"emitted": lambda _: 8, "count": 3}
    assert begin(Facts(0, 20), **emitted, emitted_count=lambda: 3) == 0
    assert begin(Facts(0, 20), **emitted, emitted_count=lambda: 0) == 0
    with pytest.raises(RalmError, match=r"has grown meanwhile.*--rebuild partial"):
        begin(Facts(0, 20), **emitted, emitted_count=lambda: 2)
    assert begin(Facts(0, 20, committed=8), **emitted, emitted_count=lambda: 2) == 0  # the group knows better
    assert begin(Facts(0, 20), count=3, emitted_count=lambda: 2) == 0  # of which nothing was emitted


def test_the_group_knows_of_a_growth_where_the_state_directory_was_lost() -> None:
    """A disk that is not mounted looks like a first start."""
    with pytest.raises(RalmError, match=r"has grown meanwhile, and its older clicks lie in other.*--rebuild partial"):
        begin(Facts(0, 20, committed=8, had=4), count=6)
    assert begin(Facts(0, 20, committed=8, had=4), count=6, rebuild="partial") == 0
    assert begin(Facts(0, 20, committed=8, had=6), count=6) == 0
    assert begin(Facts(0, 20, committed=8), count=6) == 0  # committed by a version that did not say
    with pytest.raises(RalmError, match="it has fewer partitions than before"):
        begin(Facts(0, 20, committed=8, had=6), count=4)


def test_centroids_tell_what_was_read_where_directory_and_group_were_lost() -> None:
    def emitted(partition: int) -> int:
        assert partition == 2
        return 15

    with pytest.raises(RalmError, match=r"read before, and its store is not in this.*offset 3.*--rebuild partial"):
        begin(Facts(3, 20), emitted=emitted)
    assert begin(Facts(3, 20), emitted=emitted, rebuild="partial") == 3
    assert begin(Facts(0, 20), emitted=emitted) == 0
    assert begin(Facts(0, 20), emitted=emitted, start_from="latest") == 0, "which is for a first start"
    with pytest.raises(RalmError, match="ends at offset 9, and centroids were made of its clicks up to 15: it was mad"):
        begin(Facts(0, 9), emitted=emitted)
    assert begin(Facts(0, 9, committed=8), emitted=emitted) == 0, "the group knows better"


def test_requests_go_on_where_the_group_is() -> None:
    facts = Facts(3, 20, committed=8, mark=OLD, time=1000)
    assert begin_with_group(facts, 2, start_from="latest", topic_id="old") == (8, OLD)
    assert begin_with_group(Facts(3, 20, committed=8), 2, start_from="latest") == (8, NO_MARK)
    assert not facts.commits


@pytest.mark.parametrize(
    ("start_from", "begun", "expected"),
    [("earliest", False, 3), ("latest", False, 20), ("earliest", True, 3), ("latest", True, 3)],
)
def test_where_requests_begin_is_decided_once(start_from: str, begun: bool, expected: int) -> None:
    facts = Facts(3, 20)
    found = begin_with_group(facts, 2, start_from=start_from, begun=begun, topic_id="new")
    assert found == (expected, NEW)
    assert facts.commits == [(2, expected)]


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        (Facts(3, 20, 2), "expired"),
        (Facts(3, 20, 21), "made anew"),
        (Facts(3, 20, 8, OLD), "its id is new"),
        (Facts(3, 20, 8, OLD._replace(topic_id=""), 999), "made anew"),
    ],
)
def test_requests_that_are_gone_are_told_and_stop_nothing(
    facts: Facts, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert begin_with_group(facts, 2, start_from="latest", topic_id="new") == (3, NEW)
    assert facts.commits == [(2, 3)]
    assert why in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    "text", ["[" * 2000, '["a", 99999999999999999999, 1]', '["a", 1, -99999999999999999999]', '["a", -2, 1]']
)
def test_what_others_have_committed_beside_an_offset_tells_nothing(text: str) -> None:
    assert decode_mark(text).offset == -1
    assert decode_mark(text).topic_id == ""
