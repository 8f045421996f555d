"""The topics as they must be, and how those that are not are described."""

import re
from dataclasses import replace

import pytest

from flows.config.settings import Settings
from flows.kafka.admin import differences_of
from flows.kafka.facts import TopicFacts
from flows.kafka.topics import TopicNames, TopicPlan, plan_topics

DAY = 86_400_000
CLICKS = TopicPlan("clicks", 4, 1, "delete", 7 * DAY)
CENTROIDS = TopicPlan("centroids", 4, 1, "compact", None)
AS_PLANNED = TopicFacts(4, 1, config={"cleanup.policy": "delete", "retention.ms": str(7 * DAY)})


def test_names_have_the_prefix() -> None:
    names = TopicNames.of(Settings(topic_prefix="shop.", topic_scores="answers"))
    assert list(names) == [
        "shop.clicks",
        "shop.candidates",
        "shop.requests",
        "shop.centroids",
        "shop.answers",
        "shop.dead-letters",
    ]
    assert names.scores == "shop.answers"


def test_state_is_compacted_and_events_are_kept_by_time() -> None:
    settings = Settings(retention="2d", dead_letters_retention="9d", partitions=12, replication_factor=3)
    kept = {plan.name: (plan.cleanup, plan.retention) for plan in plan_topics(settings)}
    assert kept == {
        "clicks": ("delete", 2 * DAY),
        "candidates": ("compact", None),
        "requests": ("delete", 2 * DAY),
        "centroids": ("compact", None),
        "scores": ("delete", 2 * DAY),
        "dead-letters": ("delete", 9 * DAY),
    }
    assert {(plan.partitions, plan.replication_factor) for plan in plan_topics(settings)} == {(12, 3)}


def test_the_brokers_settings_of_a_topic() -> None:
    assert CLICKS.config == {"cleanup.policy": "delete", "retention.ms": "604800000"}
    assert CENTROIDS.needed_config == {"cleanup.policy": "compact"}
    assert CENTROIDS.config == {
        "cleanup.policy": "compact",
        "segment.bytes": "67108864",
        "segment.ms": "3600000",
        "min.cleanable.dirty.ratio": "0.1",
        "max.compaction.lag.ms": "86400000",
    }


def test_the_broker_gives_messages_their_times_but_for_candidates() -> None:
    plans = {plan.name: plan for plan in plan_topics(Settings())}
    stamped = {name for name, plan in plans.items() if plan.config.get("message.timestamp.type") == "LogAppendTime"}
    assert stamped == {"clicks", "requests", "centroids", "scores", "dead-letters"}
    assert all("message.timestamp.type" not in plan.needed_config for plan in plans.values())


def test_a_topic_of_the_producers_times_differs_a_little() -> None:
    plan = replace(CLICKS, unless_stamped="times are judged by another clock")
    for kind, differences in (("LogAppendTime", 0), ("CreateTime", 1)):
        config = {**(AS_PLANNED.config or {}), "message.timestamp.type": kind}
        found = differences_of(plan, replace(AS_PLANNED, config=config))
        assert len(found) == differences
        assert differences_of(CLICKS, replace(AS_PLANNED, config=config)) == []
    assert "times are judged by another clock: alter it with" in found[0].text
    assert "--add-config message.timestamp.type=LogAppendTime" in found[0].text
    assert not found[0].matters


def test_a_topic_as_planned_has_no_differences() -> None:
    assert differences_of(CLICKS, AS_PLANNED) == []
    compacted = TopicFacts(4, 1, config={"cleanup.policy": "compact", "retention.ms": "604800000"})
    assert differences_of(CENTROIDS, compacted) == []


@pytest.mark.parametrize(
    ("found", "text", "matters"),
    [
        (replace(AS_PLANNED, partitions=8), "8 partitions, planned 4", True),
        (replace(AS_PLANNED, partitions=2), "2 partitions, planned 4", True),
        (replace(AS_PLANNED, replicas=0), "0 replicas, planned 1", True),
        (replace(AS_PLANNED, replicas=3), "3 replicas, planned 1", False),
        (replace(AS_PLANNED, config={"cleanup.policy": "compact"}), "cleanup.policy compact, planned delete", True),
        (replace(AS_PLANNED, config={}), "cleanup.policy None, planned delete", True),
        (kept := replace(AS_PLANNED, config=AS_PLANNED.config | {"retention.ms": str(DAY)}), "kept 1d", True),
        (replace(kept, config=kept.config | {"retention.ms": str(30 * DAY)}), "kept 30d, planned 7d", False),
        (replace(kept, config=kept.config | {"retention.ms": "-1"}), "kept for ever, planned 7d", False),
    ],
)
def test_each_difference_is_said_and_weighed(found: TopicFacts, text: str, matters: bool) -> None:
    (difference,) = differences_of(CLICKS, found)
    assert text in difference.text
    assert difference.matters is matters


def test_centroids_that_are_deleted_by_time_differ() -> None:
    (difference,) = differences_of(CENTROIDS, replace(AS_PLANNED, config={"cleanup.policy": "compact,delete"}))
    assert difference.matters
    assert "the last message of a key could go" in difference.text


@pytest.mark.parametrize(
    ("config", "text"),
    [
        (
            {"segment.bytes": "1073741824", "segment.ms": "3600000"},
            (
                "segment.bytes 1073741824 (planned 67108864); a start may read much that is long superseded: alter it "
                "with `kafka-configs.sh --bootstrap-server BROKER --alter --entity-type topics --entity-name centroids "
                "--add-config segment.bytes=67108864`"
            ),
        ),
        ({"min.cleanable.dirty.ratio": "0.5"}, "min.cleanable.dirty.ratio 0.5 (planned 0.1)"),
        ({"max.compaction.lag.ms": str(2**63 - 1)}, "--add-config max.compaction.lag.ms=86400000"),
    ],
)
def test_a_compacted_topic_that_keeps_long_what_is_superseded_differs(config: dict[str, str], text: str) -> None:
    (difference,) = differences_of(CENTROIDS, replace(AS_PLANNED, config={"cleanup.policy": "compact", **config}))
    assert text in difference.text
    assert not difference.matters


def test_one_that_forgets_sooner_is_as_good() -> None:
    config = {"cleanup.policy": "compact", "segment.bytes": "1000000", "min.cleanable.dirty.ratio": "0.01"}
    assert differences_of(CENTROIDS, replace(AS_PLANNED, config=config)) == []


def test_settings_that_the_user_may_not_see_are_said_to_be_uncompared() -> None:
    (difference,) = differences_of(CLICKS, replace(AS_PLANNED, config=None))
    assert "no right DescribeConfigs" in difference.text
    assert difference.matters


def test_partitions_that_are_asked_for_as_they_are_differ_no_more() -> None:
    found = replace(AS_PLANNED, partitions=6)
    (difference,) = differences_of(CLICKS, found)
    said = re.search(r"say --partitions (\d+): a change of the topic moves keys", difference.text)
    assert said is not None
    assert differences_of(replace(CLICKS, partitions=int(said[1])), found) == []
