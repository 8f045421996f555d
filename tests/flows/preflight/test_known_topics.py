"""Topics beside what the stores know of them: what ``ralm run --check`` says of one that was made anew."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from flows.config.settings import Settings
from flows.kafka.facts import TopicFacts
from flows.preflight.findings import Verdict
from flows.preflight.known_topics import Messages, compare
from flows.seed_sets.state_facts import StateFacts
from flows.support.errors import RalmError
from state.store.meta import StoreMeta, TopicMark


class Topic:
    """Partitions with as many messages each, of one time, from offset 0 on."""

    topic = "t"

    def __init__(self, end: int = 20, time: int = 1000, first: int = 0, committed: int | None = None) -> None:
        self._end, self._time, self._first, self._committed = end, time, first, committed
        self.expected: dict[int, int] = {}

    def bounds(self, _: int) -> tuple[int, int]:
        return self._first, self._end

    def committed(self, _: int) -> int | None:
        return self._committed

    def committed_mark(self, _: int) -> str:
        return ""

    def message_time(self, partition: int, offset: int) -> int | None:
        assert self.expected[partition] == offset
        return self._time

    def commit(self, *_: Any) -> None:
        raise AssertionError

    def expect(self, offsets: Mapping[int, int]) -> None:
        self.expected = dict(offsets)

    @contextmanager
    def opened(self, _: str) -> Iterator[Messages]:
        yield self


def state(topic_id: str = "old", partitions: int = 4) -> StateFacts:
    mark = TopicMark(topic_id, 6, 1000)
    return StateFacts(
        partitions,
        {
            p: StoreMeta("t", p, 8, 8, 8, 8, clicks_mark=mark, candidates_mark=mark, centroids_id=topic_id)
            for p in range(partitions)
        },
    )


def seen(
    kind: str,
    now: TopicFacts,
    facts: StateFacts,
    topic: Topic | None = None,
    **settings: Any,
) -> tuple[Verdict, str]:
    (found,) = compare(kind, "t", now, facts, Settings(**settings), (topic or Topic()).opened)
    return found


@pytest.mark.parametrize("kind", ["clicks", "candidates", "centroids"])
def test_the_id_that_the_stores_know_is_said(kind: str) -> None:
    verdict, text = seen(kind, TopicFacts(4, topic_id="old"), state())
    assert verdict is Verdict.OK
    assert "its id old is what" in text


def test_clicks_that_were_made_anew_are_refused_with_the_way_on_unless_that_is_known() -> None:
    verdict, text = seen("clicks", TopicFacts(4, topic_id="new"), state())
    assert verdict is Verdict.PROBLEM
    assert "partition 0: the topic was made anew: its id is new, and was old" in text
    assert "--rebuild partial: all seed sets are kept" in text
    verdict, text = seen("clicks", TopicFacts(4, topic_id="new"), state(), rebuild="partial")
    assert verdict is Verdict.WARNING
    assert "it is read from its beginning" in text


@pytest.mark.parametrize(("rebuild", "verdict"), [("complete", Verdict.PROBLEM), ("partial", Verdict.WARNING)])
def test_so_are_clicks_with_fewer_partitions(rebuild: str, verdict: Verdict) -> None:
    for topic_id in ("", "new"):
        found, text = seen("clicks", TopicFacts(3, topic_id=topic_id), state(), rebuild=rebuild)
        assert found is verdict
        assert "has 3 partitions, but the state knows 4" in text


def test_candidates_and_centroids_that_were_made_anew_are_a_warning() -> None:
    verdict, text = seen("candidates", TopicFacts(4, topic_id="new"), state())
    assert verdict is Verdict.WARNING
    assert "is kept, and this one is read from its beginning" in text
    verdict, text = seen("centroids", TopicFacts(9, topic_id="new"), state())
    assert verdict is Verdict.WARNING
    assert "centroids are sent again" in text


@pytest.mark.parametrize(
    ("topic", "why"), [(Topic(end=7), "it ends at offset 7"), (Topic(time=999), "its message at offset 6 is of 999 ms")]
)
def test_without_an_id_its_messages_tell(topic: Topic, why: str) -> None:
    verdict, text = seen("clicks", TopicFacts(4), state(""), topic)
    assert verdict is Verdict.PROBLEM
    assert why in text
    assert seen("clicks", TopicFacts(4), state(""))[0] is Verdict.OK
    assert "gives no ids" in seen("clicks", TopicFacts(4), state(""))[1]
    assert "know no id of it yet" in seen("clicks", TopicFacts(4, topic_id="old"), state(""))[1]
    assert "know no id of it yet" in seen("centroids", TopicFacts(4, topic_id="old"), state(""))[1]
    assert "gives no ids" in seen("centroids", TopicFacts(4), state(""))[1]


@pytest.mark.parametrize("kind", ["clicks", "candidates"])
@pytest.mark.parametrize(("rebuild", "verdict"), [("complete", Verdict.PROBLEM), ("partial", Verdict.WARNING)])
def test_what_was_deleted_before_a_store_had_it_is_said(kind: str, rebuild: str, verdict: Verdict) -> None:
    (found, text), *_ = compare(
        kind, "t", TopicFacts(4, topic_id="old"), state(), Settings(rebuild=rebuild), Topic(first=9).opened
    )
    assert found is verdict
    assert "t[0]: the store has messages up to offset 8, the topic those from 9" in text
    assert "(and 3 more of its partitions likewise)" in text
    assert seen(kind, TopicFacts(4, topic_id="old"), state(), Topic(first=8), rebuild=rebuild)[0] is Verdict.OK


def test_only_the_stores_of_this_process_are_asked_and_nothing_is_said_without_any() -> None:
    settings = Settings(addresses="a:1,b:1", process_id=1)
    mixed = {0: state("old").stores[0], 1: state("new").stores[1]}
    for facts in (TopicFacts(2, topic_id="new"), TopicFacts(2)):
        (found,) = compare("clicks", "t", facts, StateFacts(2, mixed), settings, Topic().opened)
        assert found[0] is Verdict.OK
    nothing = [StateFacts(), StateFacts(2, {0: mixed[0]})]
    assert not [
        each for facts in nothing for each in compare("clicks", "t", TopicFacts(2), facts, settings, Topic().opened)
    ]
    assert not list(compare("clicks", "t", TopicFacts(), state(), settings, Topic().opened))
    assert not list(compare("requests", "t", TopicFacts(4), state(), settings, Topic().opened))


def test_a_state_directory_that_is_empty_is_a_problem_where_the_topic_has_not_all_that_was_read() -> None:
    lost, found = Topic(first=3, committed=8), TopicFacts(4, topic_id="old")
    verdict, text = seen("clicks", found, StateFacts(), lost)
    assert verdict is Verdict.PROBLEM
    assert "t[0]: it was read before, and its store is not in this state directory" in text
    assert "and 3 more of its partitions likewise" in text
    assert seen("clicks", found, StateFacts(), lost, rebuild="partial")[0] is Verdict.WARNING
    for topic in (Topic(committed=8), Topic(first=3)):  # rebuilt whole, and a first start
        assert not list(compare("clicks", "t", found, StateFacts(), Settings(), topic.opened))
    without = StateFacts(4, {p: meta for p, meta in state().stores.items() if p != 2}, begun={"clicks": frozenset({2})})
    same, gone = compare("clicks", "t", found, without, Settings(), Topic(first=3).opened)
    assert (same[0], gone[0]) == (Verdict.OK, Verdict.PROBLEM)
    assert gone[1].startswith("t[2]: ")


def test_a_topic_that_is_optional_is_not_where_the_stores_have_read_it() -> None:
    verdict, text = seen("candidates", TopicFacts(), state())
    assert verdict is Verdict.PROBLEM
    assert "run `ralm topics` to make it; what it said is kept" in text


def test_a_broker_that_does_not_say_leaves_it_unchecked() -> None:
    class Silent(Topic):
        def bounds(self, _: int) -> tuple[int, int]:
            msg = "it does not say what it has"
            raise RalmError(msg)

    verdict, text = seen("clicks", TopicFacts(4, topic_id="old"), state(), Silent())
    assert verdict is Verdict.UNCHECKED
    assert "does not say" in text
