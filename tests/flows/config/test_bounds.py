"""What a setting allows, those who take it can take; what two settings say of one thing does not contradict itself."""

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import Consumer
from confluent_kafka.admin import NewTopic
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from flows.config.fields import GREATEST_COUNT, LONGEST, is_duration
from flows.config.groups import names_of
from flows.config.rules import doubtful
from flows.config.settings import Settings
from flows.kafka.config import check_client, producer_config
from flows.kafka.topics import plan_topics
from flows.messages.brake import DeadLetterBrake

NUMBERS = [name for name, field in Settings.model_fields.items() if field.annotation in (int, float)]
COUNTS = [name for name in NUMBERS if Settings.model_fields[name].annotation is int]


def ends(name: str) -> tuple[Any, Any]:
    """The least and the greatest value of a number."""
    field = Settings.model_fields[name]
    found = {
        kind: getattr(mark, kind)
        for mark in field.metadata
        for kind in ("ge", "gt", "le", "lt")
        if getattr(mark, kind, None) is not None
    }
    least, most = found.get("ge", found.get("gt")), found.get("le", found.get("lt"))
    return (least or 0), LONGEST if most is None and is_duration(field) else most


@pytest.mark.parametrize("name", COUNTS)
def test_each_count_has_an_end_that_libraries_can_take(name: str) -> None:
    _, most = ends(name)
    assert most is not None
    assert most <= (LONGEST if is_duration(Settings.model_fields[name]) else GREATEST_COUNT)
    with pytest.raises(ValidationError):
        Settings(**{name: most + 1})


@pytest.mark.parametrize(
    "name", [name for name in names_of("kafka", "topics", "source", "messages") if name in NUMBERS]
)
@pytest.mark.parametrize("end", [0, 1])
def test_the_kafka_client_takes_both_ends_of_what_it_is_given(name: str, end: int) -> None:
    value = ends(name)[end]
    settings = Settings(**{name: f"{value}ms" if is_duration(Settings.model_fields[name]) else value})
    check_client(settings)
    assert [NewTopic(plan.name, plan.partitions, plan.replication_factor) for plan in plan_topics(settings)]
    consumer = Consumer({"bootstrap.servers": "", "group.id": "none"})
    assert consumer.consume(settings.poll_batch, timeout=0) == []
    assert consumer.consume(settings.score_batch, timeout=0) == []
    consumer.close()
    client = producer_config(settings)
    assert client["message.max.bytes"] < client["queue.buffering.max.kbytes"] * 1024, "it would wait for room for ever"


@pytest.mark.parametrize("name", names_of("brake"))
def test_a_brake_is_made_of_both_ends(name: str) -> None:
    for value in ends(name):
        if isinstance(Settings.model_fields[name].default, float):
            continue
        settings = Settings(**{name: value, "dead_letter_max_ratio": 0.0})
        DeadLetterBrake("clicks", "clicks", settings, lambda: None)


PAIRS: dict[tuple[str, str], Callable[[Any, Any], bool]] = {
    ("top_k", "max_top_k"): lambda top, most: top <= most,
    ("min_seeds", "max_seeds"): lambda least, most: least <= most,
    ("clusters", "cluster_sample"): lambda clusters, sample: clusters <= sample,
    ("window", "item_ttl"): lambda window, ttl: ttl == 0 or window <= ttl,
    ("window", "stale_after"): lambda window, stale: window <= stale,
    ("window", "snapshot_interval"): lambda window, snapshot: snapshot <= window,
    ("snapshot_interval", "request_timeout"): lambda snapshot, timeout: timeout == 0 or snapshot <= timeout,
    ("item_ttl", "retention"): lambda ttl, retention: ttl <= retention,
    ("seeds_retention", "retention"): lambda seeds, retention: seeds == 0 or seeds <= retention,
    ("max_message_bytes", "dead_letter_max_bytes"): lambda message, letter: message <= letter,
}
"""What must hold of two settings where nothing is refused and nothing doubted; all others are as by default."""
NUMBER = st.integers(1, 200)


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
@given(values=st.tuples(NUMBER, NUMBER), scale=st.sampled_from([1, 1000, 3_600_000]))
def test_two_limits_of_one_thing_are_refused_or_doubted_where_they_contradict(
    pair: tuple[str, str], values: tuple[int, int], scale: int
) -> None:
    def written(name: str, value: int) -> Any:
        return f"{value * scale}ms" if is_duration(Settings.model_fields[name]) else value

    try:
        settings = Settings(**{name: written(name, value) for name, value in zip(pair, values, strict=True)})
    except ValidationError:
        return
    if not list(doubtful(settings)):
        assert PAIRS[pair](*(getattr(settings, name) for name in pair))
