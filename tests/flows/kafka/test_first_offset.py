"""Where a partition is read from when a process starts."""

from typing import Any

import pytest

from flows.kafka.first_offset import HeldOffsets, begin_with_group, begin_with_store
from flows.support.errors import RalmError


class Facts:
    """What a broker says of a partition."""

    topic = "clicks"

    def __init__(self, first: int, end: int, committed: int | None = None) -> None:
        self._bounds, self._committed = (first, end), committed
        self.told: list[tuple[int, int]] = []

    def bounds(self, _: int) -> tuple[int, int]:
        return self._bounds

    def committed(self, _: int) -> int | None:
        return self._committed

    def commit(self, partition: int, offset: int) -> None:
        self.told.append((partition, offset))


def begin(facts: Facts, held: HeldOffsets | None = None, **options: Any) -> int:
    given = {"start_from": "earliest", "rebuild": "complete", "new": False, **options}
    return begin_with_store(facts, 2, held, **given)


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
    with pytest.raises(RalmError, match=r"the store has messages up to offset 8, .*from 9.*--rebuild partial"):
        begin(Facts(9, 20), HeldOffsets(5, 8))
    assert begin(Facts(9, 20), HeldOffsets(5, 8), rebuild="partial") == 9
    assert "gone for good" in "".join(capsys.readouterr())
    assert begin(Facts(9, 20), HeldOffsets(5, 8), compacted=True) == 9


def test_a_topic_that_ends_before_the_store_is_another(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RalmError, match=r"ends at offset 7, but the state has messages up to 8: the topic was made an"):
        begin(Facts(0, 7), HeldOffsets(5, 8))
    assert begin(Facts(0, 8), HeldOffsets(5, 8)) == 5


@pytest.mark.parametrize(("start_from", "expected"), [("earliest", 3), ("latest", 20)])
def test_a_partition_that_was_never_read_begins_as_it_is_set(start_from: str, expected: int) -> None:
    assert begin(Facts(3, 20), start_from=start_from) == expected


def test_a_store_that_lies_elsewhere_is_rebuilt_if_the_topic_has_all_of_it() -> None:
    assert begin(Facts(0, 20, committed=8)) == 0
    with pytest.raises(RalmError, match=r"its store is not in this state directory.*offset 3.*--rebuild partial"):
        begin(Facts(3, 20, committed=8))
    assert begin(Facts(3, 20, committed=8), rebuild="partial") == 3
    assert begin(Facts(3, 20, committed=8), compacted=True) == 3
    assert begin(Facts(3, 20, committed=8), new=True) == 3  # the state was moved away, to begin anew


def test_requests_go_on_where_the_group_is() -> None:
    facts = Facts(3, 20, committed=8)
    assert begin_with_group(facts, 2, start_from="latest") == 8
    assert not facts.told


@pytest.mark.parametrize(("start_from", "expected"), [("earliest", 3), ("latest", 20)])
def test_where_requests_begin_is_decided_once(start_from: str, expected: int) -> None:
    facts = Facts(3, 20)
    assert begin_with_group(facts, 2, start_from=start_from) == expected
    assert facts.told == [(2, expected)]


@pytest.mark.parametrize(("committed", "why"), [(2, "expired"), (21, "made anew")])
def test_requests_that_are_gone_are_told_and_stop_nothing(
    committed: int, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert begin_with_group(Facts(3, 20, committed), 2, start_from="latest") == 3
    assert why in "".join(capsys.readouterr())
