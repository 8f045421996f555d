"""The topics as they must be, and how those that are not are described."""

from dataclasses import replace

import pytest

from flows.config.settings import Settings
from flows.kafka.admin import Found, differences_of
from flows.kafka.topics import TopicNames, TopicPlan, plan_topics

DAY = 86_400_000
CLICKS = TopicPlan("clicks", 4, 1, "delete", 7 * DAY)
CENTROIDS = TopicPlan("centroids", 4, 1, "compact", None)
AS_PLANNED = Found(4, 1, {"cleanup.policy": "delete", "retention.ms": str(7 * DAY)})


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
    assert CENTROIDS.config == {"cleanup.policy": "compact"}


def test_a_topic_as_planned_has_no_differences() -> None:
    assert differences_of(CLICKS, AS_PLANNED) == []
    compacted = Found(4, 1, {"cleanup.policy": "compact", "retention.ms": "604800000"})
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
def test_each_difference_is_said_and_weighed(found: Found, text: str, matters: bool) -> None:
    (difference,) = differences_of(CLICKS, found)
    assert text in difference.text
    assert difference.matters is matters


def test_centroids_that_are_deleted_by_time_differ() -> None:
    (difference,) = differences_of(CENTROIDS, replace(AS_PLANNED, config={"cleanup.policy": "compact,delete"}))
    assert difference.matters
    assert "the last message of a key could go" in difference.text
