"""Stepping over batches that cannot be read: where they end, and that what follows is read."""

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer
from hand_clock import HandClock
from hypothesis import given
from hypothesis import strategies as st
from waiting import wait_until

from flows.config.groups import MessageSettings
from flows.config.settings import Settings
from flows.kafka import standstill
from flows.kafka.config import consumer_config
from flows.kafka.consumer import TopicReader
from flows.kafka.step_over import StepOver
from flows.kafka.topics import TopicNames
from flows.messages.batches import RawBatch, UnreadableBatch
from flows.messages.decode import Decoder
from flows.support.errors import RalmError
from tests.record_batches import CODECS, batch, folded, records, send_batch, varint


def end_of(first: int, bad: Callable[[int], bool], end: int, told: int) -> tuple[int, int]:
    """Where a search ends, and how many offsets were asked for."""
    search, asked = StepOver(first, "why"), 0
    while search.found is None:
        asked += 1
        if bad(search.probe):
            search.unreadable(told)
        else:
            search.readable(told)
        assert asked < 200
        assert search.probe <= end
    return search.found, asked


@given(st.integers(0, 2**40), st.integers(1, 100_000), st.integers(0, 1000))
def test_the_end_of_a_batch_is_found_exactly(first: int, length: int, behind: int) -> None:
    end = first + length + behind
    found, asked = end_of(first, lambda offset: offset < first + length, end, end)
    assert found == first + length
    assert asked <= length + 1
    assert asked <= 100


@given(st.lists(st.integers(1, 3), min_size=1, max_size=8))
def test_readable_batches_among_unreadable_ones_are_kept(lengths: list[int]) -> None:
    """Of batches that follow one another the first, third, and so on cannot be read."""
    bad = [offset for number, length in enumerate(lengths) for offset in [number % 2 == 0] * length]
    found, _ = end_of(0, lambda offset: offset < len(bad) and bad[offset], len(bad), len(bad))
    assert found == lengths[0]


def all_of(reader: TopicReader, clock: HandClock) -> list[Any]:
    """What a reader takes up to the end of its one partition."""
    taken: list[Any] = []

    def all_is_read() -> bool:
        taken.extend(reader.take(0))
        clock.now += 1.0
        return bool(reader.at_end(0))

    wait_until(all_is_read)
    reader.close()
    return taken


@pytest.mark.broker
class Unwilling:
    """A client that now and then is not in a state to seek."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self._asked = 0

    def seek(self, place: Any) -> None:
        self._asked += 1
        if self._asked % 2:
            raise KafkaException(KafkaError(KafkaError._STATE))
        self._consumer.seek(place)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._consumer, name)


@pytest.mark.parametrize(("count", "unwilling"), [(1, False), (40, False), (1, True), (5, True)])
def test_a_batch_that_unfolds_to_too_much_is_stepped_over(
    count: int, unwilling: bool, topics: Callable[..., Settings], client: Any
) -> None:
    settings = topics(partitions=1)
    name = TopicNames.of(settings).clicks
    client.send_all(name, [("k", b"before")])
    config = {"bootstrap.servers": settings.bootstrap_servers, "compression.codec": "zstd", "linger.ms": 200}
    bomb = Producer({**config, "message.max.bytes": 100_000_000, "batch.size": 100_000_000})
    for _ in range(count):
        bomb.produce(name, b"a" * (4_000_000 // count), b"k")
    assert bomb.flush(30) == 0
    client.send_all(name, [("k", b"behind"), ("k", b"last")])

    small = {
        "message.max.bytes": 400_000,
        "fetch.max.bytes": 400_000,
        "receive.message.max.bytes": 500_000,
        "fetch.error.backoff.ms": 10,
    }
    clock = HandClock()
    reader = TopicReader(name, {**consumer_config(settings), **small}, 10, clock, step_over="oversized")
    if unwilling:
        reader._consumer = Unwilling(reader._consumer)  # type: ignore[assignment]
    reader.add(0, 0)
    taken = all_of(reader, clock)
    (gap,) = [message for message in taken if isinstance(message, UnreadableBatch)]
    assert [message.value() for message in taken] == [b"before", None, b"behind", b"last"]
    assert (gap.first, gap.last) == (1, count)
    assert [message.offset() for message in taken] == [0, 1, count + 1, count + 2]
    raw = RawBatch("clicks", name, 0, [gap], count + 1, 0, 0)
    (letter,) = Decoder(MessageSettings()).clicks(raw).dead_letters
    headers = dict(letter.headers)
    assert headers["reason"] == b"unreadable_batch"
    offsets = "offset 1" if count == 1 else f"offsets 1 to {count}"
    assert f"{offsets} of {name}[0] cannot be read".encode() in headers["detail"]
    assert (letter.key, letter.value) == (None, None)


@pytest.mark.broker
@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_a_batch_of_each_codec_that_unfolds_to_much_is_one_letter_and_what_follows_is_read(
    codec: str, topics: Callable[..., Settings], client: Any
) -> None:
    """zstd is refused by the client at its limit; the others come whole, and are refused by ours."""
    settings = topics(partitions=1)
    name = TopicNames.of(settings).clicks
    config = {"bootstrap.servers": settings.bootstrap_servers, "compression.codec": codec}
    bomb = Producer({**config, "message.max.bytes": 100_000_000})
    bomb.produce(name, b"a" * 9_000_000, b"k")
    assert bomb.flush(30) == 0
    click = b'{"user_id": "u", "item_id": "i", "ts": 1764000000000}'
    client.send_all(name, [("i", click)])
    small = {"message.max.bytes": 900_000, "fetch.max.bytes": 900_000, "receive.message.max.bytes": 1_000_000}
    clock = HandClock()
    reader = TopicReader(name, {**consumer_config(settings), **small}, 10, clock, step_over="oversized")
    reader.add(0, 0)
    taken = all_of(reader, clock)
    found = Decoder(MessageSettings()).clicks(RawBatch("clicks", name, 0, taken, 2, 0, 1_764_000_000_001))
    (letter,) = found.dead_letters
    headers = dict(letter.headers)
    assert headers["reason"] == (b"unreadable_batch" if codec == "zstd" else b"oversized")
    assert headers["offset"] == b"0"
    assert found.good.offsets.tolist() == [1]


@pytest.mark.broker
def test_a_batch_with_something_behind_its_end_is_stepped_over_as_one_that_cannot_be_unfolded(
    topics: Callable[..., Settings], client: Any
) -> None:
    """Brokers take two LZ4 frames in a row. The client says that it is damaged, although its checksum is right."""
    settings = topics(partitions=1)
    name = TopicNames.of(settings).clicks
    client.send_all(name, [("k", b"before")])
    data = batch(2 * folded("lz4", records([b"value"])), codec=CODECS["lz4"], count=1)
    assert send_batch(settings.bootstrap_servers, name, data) == 0
    client.send_all(name, [("k", b"behind")])
    clock = HandClock()
    config = {**consumer_config(settings), "fetch.error.backoff.ms": 10}
    reader = TopicReader(name, config, 10, clock, step_over="oversized")
    reader.add(0, 0)
    taken = all_of(reader, clock)
    if taken[1].value() == b"value":
        pytest.skip("this broker takes batches apart and writes them anew")
    assert [message.value() for message in taken] == [b"before", None, b"behind"]
    assert isinstance(taken[1], UnreadableBatch)
    assert (taken[1].first, taken[1].last) == (1, 1)


@pytest.mark.broker
@pytest.mark.parametrize(("codec", "last", "step_over"), [("none", False, "oversized"), ("lz4", True, "none")])
def test_a_record_that_the_client_cannot_take_apart_does_not_stop_it(
    codec: str,
    last: bool,
    step_over: str,
    topics: Callable[..., Settings],
    client: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Brokers take a value with a length of -2; the client library silently stands still at it."""
    monkeypatch.setattr(standstill, "_SILENT_S", 3.0)
    settings = topics(partitions=1)
    name = TopicNames.of(settings).clicks
    client.send_all(name, [("k", b"before")])
    record = b"\0" + varint(0) + varint(0) + varint(1) + b"k" + varint(-2) + varint(0)
    data = batch(folded(codec, varint(len(record)) + record), codec=CODECS[codec], count=1)
    assert send_batch(settings.bootstrap_servers, name, data) == 0
    if not last:
        client.send_all(name, [("k", b"behind")])
    clock = HandClock()
    reader = TopicReader(name, consumer_config(settings), 10, clock, step_over=step_over)
    reader.add(0, 0)
    taken: list[Any] = []
    wanted = 2 if last else 3

    def all_is_read() -> bool:
        taken.extend(reader.take(0))
        clock.now += 1.0
        return len(taken) >= wanted

    if step_over == "none":
        with pytest.raises(RalmError, match=r"at offset 1: the Kafka client .* start with --step-over oversized"):
            wait_until(all_is_read)
        reader.close()
        return
    wait_until(all_is_read)
    reader.close()
    assert [message.value() for message in taken] == [b"before", None, b"behind"]
    assert isinstance(taken[1], UnreadableBatch)
    assert (taken[1].first, taken[1].last) == (1, 1)
