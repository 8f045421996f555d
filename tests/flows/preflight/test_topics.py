"""What is thought of topics and rights, from what a broker says of them."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from flows.config.settings import Settings
from flows.kafka.facts import TopicFacts
from flows.kafka.topics import plan_topics
from flows.messages.decode import most_bytes
from flows.preflight.findings import Finding, Verdict
from flows.preflight.topics import UNFOLDS, TopicUse, judge_rights, judge_topics, look_at_kafka
from flows.run import FLOWS

ALL_RIGHTS = frozenset({"READ", "WRITE", "DESCRIBE", "DESCRIBE_CONFIGS"})
READS = frozenset({"READ", "DESCRIBE"})
SETTINGS = Settings(topic_prefix="t.", sasl_mechanism="PLAIN")
USE = FLOWS["look-alike"].topics
CLICKS_ONLY = TopicUse(("clicks",), ())


def as_planned(settings: Settings = SETTINGS, **changes: TopicFacts) -> dict[str, TopicFacts]:
    """A broker that has all topics as planned, but for those that are given by the end of their name."""
    facts = {
        plan.name: TopicFacts(
            plan.partitions,
            plan.replication_factor,
            config={**plan.config, "max.message.bytes": "1048588"},
            rights=ALL_RIGHTS,
        )
        for plan in plan_topics(settings)
    }
    return facts | {f"t.{name.replace('_', '-')}": found for name, found in changes.items()}


def changed(name: str, **changes: Any) -> TopicFacts:
    """A topic that is as planned, but for some facts."""
    return replace(as_planned()[f"t.{name}"], **changes)


def with_config(name: str, **config: str) -> TopicFacts:
    """A topic whose settings differ."""
    given = {key.replace("_", "."): value for key, value in config.items()}
    return changed(name, config={**(as_planned()[f"t.{name}"].config or {}), **given})


def judged(use: TopicUse, facts: Mapping[str, TopicFacts], settings: Settings = SETTINGS) -> dict[str, Finding]:
    return {finding.what: finding for finding in judge_topics(use, facts, settings)}


def test_topics_as_planned_are_well() -> None:
    found = judged(USE, as_planned())
    assert len(found) == 6
    assert {finding.verdict for finding in found.values()} == {Verdict.OK}
    assert found["topic t.centroids"].text == "4 partitions; cleanup.policy compact"


@pytest.mark.parametrize(("flow", "count"), [("look-alike", 6), ("seeds", 4), ("scores", 4)])
def test_only_the_topics_of_the_flow_are_looked_at(flow: str, count: int) -> None:
    assert len(judged(FLOWS[flow].topics, as_planned())) == count


@pytest.mark.parametrize("kind", ["clicks", "requests", "centroids", "scores", "dead_letters"])
def test_a_missing_topic_is_refused(kind: str) -> None:
    name = f"topic t.{kind.replace('_', '-')}"
    finding = judged(USE, as_planned(**{kind: TopicFacts()}))[name]
    assert (finding.verdict, finding.failure) == (Verdict.PROBLEM, False)
    assert "run `ralm topics`" in finding.text


@pytest.mark.parametrize(("candidates", "verdict"), [("clicked", Verdict.OK), ("listed", Verdict.PROBLEM)])
def test_candidates_must_exist_only_where_they_are_listed(candidates: Any, verdict: Verdict) -> None:
    settings = SETTINGS.model_copy(update={"candidates": candidates})
    finding = judged(USE, as_planned(candidates=TopicFacts()), settings)["topic t.candidates"]
    assert finding.verdict is verdict


@pytest.mark.parametrize("candidates", ["clicked", "listed"])
def test_candidates_that_the_user_may_not_see_are_refused_in_any_case(candidates: Any) -> None:
    settings = SETTINGS.model_copy(update={"candidates": candidates})
    finding = judged(USE, as_planned(candidates=TopicFacts(hidden=True)), settings)["topic t.candidates"]
    assert finding.verdict is Verdict.PROBLEM
    assert "give the user Read on it" in finding.text


def test_the_rights_that_a_hidden_topic_needs_are_named() -> None:
    found = judged(USE, as_planned(centroids=TopicFacts(hidden=True), scores=TopicFacts(hidden=True)))
    assert "give the user Read and Write on it" in found["topic t.centroids"].text
    assert "give the user Write on it" in found["topic t.scores"].text


def test_centroids_that_a_broker_made_by_itself_are_refused() -> None:
    finding = judged(USE, as_planned(centroids=with_config("centroids", cleanup_policy="delete")))["topic t.centroids"]
    assert finding.verdict is Verdict.PROBLEM
    assert "cleanup.policy delete, planned compact" in finding.text
    assert "--entity-name t.centroids --add-config cleanup.policy=compact" in finding.text


def test_clicks_that_are_compacted_are_refused() -> None:
    finding = judged(USE, as_planned(clicks=with_config("clicks", cleanup_policy="compact")))["topic t.clicks"]
    assert finding.verdict is Verdict.PROBLEM
    assert "all but a key's last message could go" in finding.text
    assert "cleanup.policy=delete,retention.ms=-1`, and retention.ms to 604800000 once" in finding.text.replace("'", "")


def test_clicks_that_are_deleted_by_time_too_keep_their_time() -> None:
    both = with_config("clicks", cleanup_policy="compact,delete")
    finding = judged(USE, as_planned(clicks=both))["topic t.clicks"]
    assert finding.text.endswith("--add-config cleanup.policy=delete`")


def test_clicks_and_candidates_need_as_many_partitions_as_each_other() -> None:
    finding = judged(USE, as_planned(candidates=changed("candidates", partitions=3)))["topic t.candidates"]
    assert finding.verdict is Verdict.PROBLEM
    assert finding.text.startswith("3 partitions, but t.clicks has 4")


def test_another_number_of_partitions_than_that_of_new_topics_is_well() -> None:
    assert (
        judged(CLICKS_ONLY, as_planned(clicks=changed("clicks", partitions=30)))["topic t.clicks"].verdict is Verdict.OK
    )


def test_partitions_without_a_leader_are_a_warning() -> None:
    finding = judged(USE, as_planned(requests=changed("requests", leaderless=(1, 3))))["topic t.requests"]
    assert finding.verdict is Verdict.WARNING
    assert "no broker leads partition 1, 3" in finding.text


def test_settings_that_the_user_may_not_see_are_said_to_be_unchecked() -> None:
    finding = judged(USE, as_planned(scores=changed("scores", config=None)))["topic t.scores"]
    assert finding.verdict is Verdict.UNCHECKED
    assert "cleanup.policy and max.message.bytes: this user has no right DescribeConfigs" in finding.text


def test_a_topic_of_the_producers_times_is_a_warning() -> None:
    facts = as_planned(clicks=with_config("clicks", message_timestamp_type="CreateTime"))
    finding = judged(USE, facts)["topic t.clicks"]
    assert finding.verdict is Verdict.WARNING
    assert "planned LogAppendTime; its times are judged by the clock of the machine" in finding.text


@pytest.mark.parametrize(
    ("topic", "text"),
    [
        ("centroids", "refuse it once that clock is further ahead than message.timestamp.after.max.ms"),
        ("scores", "it is kept for too short where that clock is behind"),
        ("dead-letters", "it is kept for too short where that clock is behind"),
    ],
)
def test_what_a_flow_writes_with_its_own_time_is_a_warning(topic: str, text: str) -> None:
    facts = as_planned() | {f"t.{topic}": with_config(topic, message_timestamp_type="CreateTime")}
    finding = judged(USE, facts)[f"topic t.{topic}"]
    assert finding.verdict is Verdict.WARNING
    assert text in finding.text


def test_what_is_superseded_and_kept_for_long_is_a_warning() -> None:
    facts = as_planned(centroids=with_config("centroids", segment_bytes="1073741824"))
    finding = judged(USE, facts)["topic t.centroids"]
    assert finding.verdict is Verdict.WARNING
    assert "segment.bytes 1073741824 (planned 67108864); a start may read much" in finding.text


def test_a_topic_that_takes_only_short_messages_is_a_warning_where_the_flow_writes() -> None:
    short = {name: with_config(name, max_message_bytes="10000") for name in ("clicks", "scores")}
    found = judged(USE, as_planned(**short))
    assert found["topic t.clicks"].verdict is Verdict.OK
    assert found["topic t.scores"].verdict is Verdict.WARNING
    assert "--entity-name t.scores --add-config max.message.bytes=1000000" in found["topic t.scores"].text


@pytest.mark.parametrize(
    ("memory", "verdict", "words"),
    [
        (None, Verdict.OK, ()),
        (2 << 30, Verdict.OK, ()),
        (512 << 20, Verdict.WARNING, ("need 1900 MiB, and this process may have 512", "max.message.bytes=282563`")),
        (256 << 20, Verdict.WARNING, ("Give it more memory",)),
    ],
)
def test_a_batch_that_may_unfold_to_more_than_there_is_is_a_warning(
    memory: int | None, verdict: Verdict, words: tuple[str, ...]
) -> None:
    found = {finding.what: finding for finding in judge_topics(USE, as_planned(), SETTINGS, memory=memory)}
    for kind in ("clicks", "candidates"):
        finding = found[f"topic t.{kind}"]
        assert finding.verdict is verdict
        assert all(each in finding.text for each in words), finding.text
    assert found["topic t.centroids"].verdict is Verdict.OK
    if memory == 256 << 20:
        assert "alter it" not in finding.text, "the longest good message would not fit"


@pytest.mark.parametrize("kind", ["clicks", "candidates", "requests"])
def test_what_a_topic_is_altered_to_takes_the_longest_good_message(kind: str) -> None:
    for memory in range(64 << 20, 2 << 30, 64 << 20):
        found = {finding.what: finding.text for finding in judge_topics(USE, as_planned(), SETTINGS, memory=memory)}
        said = re.search(r"--add-config max\.message\.bytes=(\d+)`", found[f"topic t.{kind}"])
        if said is not None:
            assert int(said[1]) * UNFOLDS <= memory
            assert int(said[1]) > most_bytes(kind, SETTINGS)


def test_how_much_is_sent_at_once_depends_on_the_settings() -> None:
    facts = as_planned(
        scores=with_config("scores", max_message_bytes="10000"),
        dead_letters=with_config("dead-letters", max_message_bytes="1048588"),
    )
    settings = SETTINGS.model_copy(update={"kafka_options": ("batch.size=9000",), "dead_letter_max_bytes": 2_000_000})
    found = judged(USE, facts, settings)
    assert found["topic t.scores"].verdict is Verdict.OK
    assert "max.message.bytes=2100000" in found["topic t.dead-letters"].text


def test_a_broker_that_does_not_describe_a_topic_is_a_failure() -> None:
    finding = judged(USE, as_planned(clicks=TopicFacts(trouble="Local: Timed out")))["topic t.clicks"]
    assert (finding.verdict, finding.failure) == (Verdict.PROBLEM, True)
    assert "Timed out" in finding.text


def test_all_rights_are_named_where_the_user_has_them() -> None:
    finding = judge_rights(FLOWS["scores"].topics, as_planned(), READS, SETTINGS)
    assert finding.verdict is Verdict.OK
    assert finding.text == (
        "Read on t.requests, Read on t.centroids, Write on t.scores, Write on t.dead-letters, Read on the group ralm"
    )


def test_missing_rights_are_refused_and_named() -> None:
    facts = as_planned(
        candidates=changed("candidates", rights=frozenset({"DESCRIBE"})), scores=changed("scores", rights=READS)
    )
    finding = judge_rights(USE, facts, frozenset(), SETTINGS)
    assert finding.verdict is Verdict.PROBLEM
    assert finding.text.startswith(
        "missing: Read on t.candidates, Write on t.scores, Read on the group ralm. Give them"
    )


def test_rights_that_the_broker_does_not_tell_are_said_to_be_unchecked() -> None:
    facts = {name: replace(found, rights=None) for name, found in as_planned().items()}
    finding = judge_rights(CLICKS_ONLY, facts, None, SETTINGS)
    assert finding.verdict is Verdict.UNCHECKED
    assert finding.text == "the broker does not say what this user may do with t.clicks, the group ralm"


def test_a_topic_that_is_not_there_says_nothing_of_rights() -> None:
    facts = as_planned(candidates=TopicFacts())
    assert "candidates" not in judge_rights(USE, facts, READS, SETTINGS).text


def test_without_a_broker_there_is_one_problem_and_the_rest_is_unchecked() -> None:
    settings = SETTINGS.model_copy(update={"bootstrap_servers": "127.0.0.1:1"})
    broker, rest = look_at_kafka(USE, settings, answer_s=0.3)
    assert (broker.what, broker.verdict, broker.failure) == ("broker", Verdict.PROBLEM, True)
    assert "no broker answers at 127.0.0.1:1" in str(broker)
    assert "\n" not in str(broker)
    assert (rest.what, rest.verdict) == ("topics, rights", Verdict.UNCHECKED)


def test_who_is_to_stop_does_not_wait_for_a_broker() -> None:
    settings = SETTINGS.model_copy(update={"bootstrap_servers": "127.0.0.1:1"})
    asked: list[None] = []

    def stopped() -> bool:
        asked.append(None)
        return True

    broker, _ = look_at_kafka(USE, settings, stopped=stopped, answer_s=600)
    assert broker.verdict is Verdict.PROBLEM
    assert asked == [None]
