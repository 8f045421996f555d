"""The sink and the source at a real broker: outages, expired offsets, positions, many partitions."""

import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from brokers.topics import wait_for_topics
from clients import PlainClient
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from transactions import transaction

from flows.config.settings import Settings
from flows.engine.sink import KafkaSink
from flows.engine.source import KafkaSource, SourceOptions
from flows.kafka.admin import make_topics
from flows.kafka.config import consumer_config, producer_config
from flows.kafka.consumer import TopicReader
from flows.kafka.first_offset import PartitionFacts
from flows.kafka.producer import Producer, ProducerRecord, SinkRole
from flows.kafka.topics import TopicNames
from flows.messages.batches import OutMessage
from flows.messages.codec import MAX_VALUE_BYTES
from flows.support.errors import RalmError

pytestmark = pytest.mark.broker


def settings_for(servers: str, **more: Any) -> Settings:
    made = Settings(bootstrap_servers=servers, topic_prefix=f"t{uuid4().hex[:10]}.", **more)
    wait_for_topics(servers, [state.plan.name for state in make_topics(made)])
    return made


def take_all(reader: TopicReader, partition: int, count: int) -> list[int]:
    found: list[int] = []
    until = time.monotonic() + 120
    while len(found) < count:
        assert time.monotonic() < until
        found += [message.offset() for message in reader.take(partition)]
    return found


def at_end(reader: TopicReader, partition: int) -> None:
    until = time.monotonic() + 120
    while not reader.at_end(partition):
        assert time.monotonic() < until
        assert reader.take(partition) == []


def test_what_the_broker_does_not_take_raises(own_broker: Any) -> None:
    settings = settings_for(own_broker.bootstrap_servers, delivery_timeout="2s")
    topic = TopicNames.of(settings).scores
    producer = Producer(producer_config(settings), 2.0, role=SinkRole("scores"))
    producer.send(ProducerRecord(topic, b"k", b"before"))
    producer.flush()
    own_broker.pause()
    try:
        producer.send(ProducerRecord(topic, b"k", b"lost?"))
        with pytest.raises(RalmError, match=rf"{topic}.*(not delivered|not taken)"):
            producer.flush()
        with pytest.raises(RalmError):
            producer.send(ProducerRecord(topic, b"k", b"and no more after it"))
    finally:
        own_broker.resume()


def test_an_oversized_message_raises_and_names_its_key(broker: str) -> None:
    settings = settings_for(broker)
    topic = TopicNames.of(settings).scores
    producer = Producer(producer_config(settings), 5.0, role=SinkRole("scores"))
    with pytest.raises(RalmError, match="key b'big'"):
        producer.send(ProducerRecord(topic, b"big", b"x" * 5_000_000))


def test_the_longest_value_of_ours_is_taken(broker: str) -> None:
    settings = settings_for(broker)
    topic = TopicNames.of(settings).centroids
    producer = Producer(producer_config(settings), 5.0, role=SinkRole("centroids"))
    producer.send(ProducerRecord(topic, b"k" * 513, b"x" * MAX_VALUE_BYTES))
    producer.flush()
    (found,) = PlainClient(broker, settings.topic_prefix).read("centroids")
    assert len(found.value()) == MAX_VALUE_BYTES


def test_a_topic_that_takes_only_shorter_messages_is_said_with_its_setting(broker: str) -> None:
    settings = settings_for(broker)
    name = f"{settings.topic_prefix}small"
    admin = AdminClient({"bootstrap.servers": broker})
    admin.create_topics([NewTopic(name, 1, 1, config={"max.message.bytes": "10000"})])[name].result(timeout=20)
    wait_for_topics(broker, [name])
    producer = Producer(producer_config(settings), 5.0, role=SinkRole("scores"))
    producer.send(ProducerRecord(name, b"k", b"x" * 50_000))
    with pytest.raises(RalmError, match=rf"the setting max\.message\.bytes of the topic {name}"):
        producer.flush()


@pytest.mark.embedded_too
def test_all_parts_of_a_sink_share_a_producer_and_a_snapshot_delivers(broker: str) -> None:
    settings = settings_for(broker)
    sink = KafkaSink("scores", TopicNames.of(settings).scores, producer_config(settings), 5000)
    assert len(sink.list_parts()) == 16
    assert [sink.part_fn(key) for key in ("0/2403", "3/157")] == [0, 3]
    parts = [sink.build_part("s", name, None) for name in sink.list_parts()[:2]]
    for number, part in enumerate(parts):
        part.write_batch([OutMessage(b"k", str(number).encode(), [("h", b"v")])])
        part.snapshot()
    found = PlainClient(broker, settings.topic_prefix).read("scores")
    assert sorted(message.value() for message in found) == [b"0", b"1"]
    assert found[0].headers() == [("h", b"v")]


def with_expired(broker: str, kind: str, count: int, first: int) -> tuple[Settings, str]:
    """Settings, and a topic of one partition with so many messages, of which those before an offset have expired."""
    settings = settings_for(broker, partitions=1)
    client, topic = PlainClient(broker, settings.topic_prefix), getattr(TopicNames.of(settings), kind)
    for number in range(count):
        client.send(kind, "i", {"number": number})
    client.flush()
    admin = AdminClient({"bootstrap.servers": broker})
    for future in admin.delete_records([TopicPartition(topic, 0, first)]).values():
        future.result(timeout=20)
    return settings, topic


@pytest.mark.embedded_too
def test_an_offset_that_has_expired_raises_and_never_jumps(broker: str) -> None:
    settings, topic = with_expired(broker, "clicks", 50, 30)
    reader = TopicReader(topic, consumer_config(settings), 100)
    reader.add(0, 10)
    with pytest.raises(RalmError, match=r"deleted before they were read.*--rebuild partial"):
        take_all(reader, 0, 1)
    fresh = TopicReader(topic, consumer_config(settings), 100)
    fresh.add(0, fresh.bounds(0)[0])
    assert take_all(fresh, 0, 20) == list(range(30, 50))


@pytest.mark.embedded_too
def test_requests_that_expire_under_a_reader_are_no_reason_to_stop(
    broker: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, topic = with_expired(broker, "requests", 10, 6)
    reader = TopicReader(topic, consumer_config(settings), 5, skip_gone=True)
    reader.add(0, 2)  # where the brake on dead letters has held a source back
    assert take_all(reader, 0, 4) == [6, 7, 8, 9]
    assert reader.position(0) == 10
    reader.close()
    assert "messages are gone; going on from the beginning" in "".join(capsys.readouterr())


@pytest.mark.embedded_too
def test_each_partition_is_read_in_order_from_its_own_position(broker: str) -> None:
    settings = settings_for(broker, partitions=3)
    client, topic = PlainClient(broker, settings.topic_prefix), TopicNames.of(settings).clicks
    for number in range(300):
        client.send("clicks", f"i{number % 20}", {"number": number})
    client.flush()
    ends = {p: max(m.offset() for m in client.read("clicks") if m.partition() == p) + 1 for p in range(3)}
    reader = TopicReader(topic, consumer_config(settings), 7)
    assert reader.partition_counts()[topic] == 3
    for partition in range(3):
        reader.add(partition, partition * 5)
    for partition in range(3):
        assert take_all(reader, partition, ends[partition] - 5 * partition) == list(
            range(5 * partition, ends[partition])
        )
        at_end(reader, partition)
        assert reader.position(partition) == ends[partition]
        assert reader.lag(partition) == 0
        reader.commit(partition, ends[partition])
    reader.close()


@pytest.mark.embedded_too
def test_a_source_waits_until_it_is_open_sends_heartbeats_and_ends_when_told(broker: str) -> None:
    settings = settings_for(broker, partitions=1)
    client, state = PlainClient(broker, settings.topic_prefix), {"open": False, "stop": False}
    client.send("requests", "u", {"x": 1})
    client.flush()
    source = KafkaSource(options(settings, "requests", stopping=lambda: state["stop"], open=lambda: state["open"]))
    assert source.list_parts() == ["requests/00000"]
    part = source.build_part("s", "requests/00000", None)
    assert part.next_batch() == []
    state["open"] = True
    got = _poll(part.next_batch, lambda batch: bool(batch.messages))
    assert got.next_offset == 1
    beat = _poll(part.next_batch, lambda batch: not batch.messages)
    assert beat.next_offset == 1
    assert beat.idle >= 0
    assert part.position == 1
    state["stop"] = True
    with pytest.raises(StopIteration):
        part.next_batch()
    part.close()
    source.settled()
    assert source._reader.committed(0) == 1
    source.close()


def test_a_position_that_moves_without_a_message_is_sent_on(broker: str) -> None:
    settings = settings_for(broker, partitions=1)
    topic = TopicNames.of(settings).clicks
    transaction(broker, topic, [b"1"], commit=True)
    transaction(broker, topic, [b"never"] * 10, commit=False)
    source = KafkaSource(options(settings, "clicks"))
    part = source.build_part("s", source.list_parts()[0], None)
    sent = 0
    until = time.monotonic() + 120
    while sent < 12:
        assert time.monotonic() < until
        for batch in part.next_batch():
            sent = batch.next_offset
        assert part.position == sent
    source.close()


def test_a_topic_that_is_missing_says_what_to_do(broker: str) -> None:
    settings = Settings(bootstrap_servers=broker, topic_prefix=f"t{uuid4().hex}.")
    with pytest.raises(RalmError, match="ralm topics"):
        KafkaSource(options(settings, "clicks")).list_parts()
    assert KafkaSource(options(settings, "candidates", optional=True)).list_parts() == []


def test_a_topic_with_fewer_partitions_than_were_known_is_refused_and_more_are_taken(broker: str) -> None:
    settings = settings_for(broker, partitions=3)
    with pytest.raises(RalmError, match=r"has 3 partitions, but the state knows 5.*--rebuild partial"):
        KafkaSource(options(settings, "clicks", known=5)).list_parts()
    assert len(KafkaSource(options(settings, "clicks", known=1)).list_parts()) == 3


def test_clicks_and_candidates_must_have_as_many_partitions(broker: str) -> None:
    settings = settings_for(broker, partitions=2)
    clicks = TopicNames.of(settings_for(broker, partitions=3)).clicks
    with pytest.raises(RalmError, match=r"has 2 partitions and .* has 3"):
        KafkaSource(options(settings, "candidates", partner=clicks)).list_parts()


def from_the_start(facts: PartitionFacts, partition: int) -> int:
    return facts.bounds(partition)[0]


def options(settings: Settings, kind: str, **more: Any) -> SourceOptions:
    given = {"poll": 10, "begin": from_the_start, "stopping": lambda: False, **more}
    return SourceOptions(kind, getattr(TopicNames.of(settings), kind), consumer_config(settings), **given)


def _poll(poll: Callable[[], list[Any]], right: Callable[[Any], bool]) -> Any:
    until = time.monotonic() + 120
    while True:
        assert time.monotonic() < until
        for batch in poll():
            if right(batch):
                return batch
