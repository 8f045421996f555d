"""The long poll: fetches that find nothing wait, writes wake them, and everything else passes through unchanged."""

import asyncio
import os
import signal
import socket
import struct
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from kafka_bytes import END_TXN, FETCH, METADATA, PRODUCE, fetch, found, framed, produce, request
from waiting import close_in_time

from flows.kafka.embedded_broker import EmbeddedBroker
from flows.kafka.long_poll import listen, watch
from flows.support.errors import RalmError

LONG = {"fetch.wait.max.ms": 200_000, "socket.timeout.ms": 250_000}


@dataclass
class Script:
    """A broker that answers at once, as it is told.

    Attributes:
        port: where it listens.
        asked: kind and number of each request that arrived.
        answers: what it answers to a request of a kind; without one, with its number alone.
        free: answers to fetches wait for it.
    """

    port: int = 0
    asked: list[tuple[int, int]] = field(default_factory=list)
    answers: dict[int, Callable[[int], bytes]] = field(default_factory=dict)
    free: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                size = struct.unpack(">i", await reader.readexactly(4))[0]
                kind, _, number = struct.unpack(">hhi", (await reader.readexactly(size))[:8])
                self.asked.append((kind, number))
                answer = self.answers.get(kind, lambda number: framed(struct.pack(">i", number)))(number)
                if kind == FETCH:
                    await self.free.wait()
                writer.write(answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def fetches(self) -> int:
        return sum(kind == FETCH for kind, _ in self.asked)


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, *frames: bytes) -> None:
        self.writer.write(b"".join(frames))

    async def receive(self) -> bytes:
        size = await self.reader.readexactly(4)
        return size + await self.reader.readexactly(struct.unpack(">i", size)[0])


Connect = Callable[[], Coroutine[Any, Any, Client]]


@asynccontextmanager
async def stage() -> AsyncIterator[tuple[Script, Connect]]:
    """A scripted broker that finds nothing, a long poll before it, and how to connect to that."""
    script = Script(answers={FETCH: found})
    script.free.set()
    async with await asyncio.start_server(script.serve, "127.0.0.1", 0) as broker:
        script.port = broker.sockets[0].getsockname()[1]
        async with await listen(0, script.port) as server:
            port, writers = server.sockets[0].getsockname()[1], list[asyncio.StreamWriter]()

            async def connect() -> Client:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writers.append(writer)
                return Client(reader, writer)

            yield script, connect
            for writer in writers:
                writer.close()
                await writer.wait_closed()


def play(scene: Callable[[Script, Connect], Coroutine[Any, Any, None]]) -> None:
    async def act() -> None:
        async with asyncio.timeout(60), stage() as (script, connect):
            await scene(script, connect)

    asyncio.run(act())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.005)


def test_nothing_is_answered_when_the_wait_is_over_and_asked_for_once() -> None:
    async def scene(script: Script, connect: Connect) -> None:
        client = await connect()
        client.send(fetch(1, 50))
        assert await client.receive() == found(1)
        assert script.fetches() == 1

    play(scene)


def test_a_fetch_that_finds_something_does_not_wait() -> None:
    async def scene(script: Script, connect: Connect) -> None:
        script.answers[FETCH] = lambda number: found(number, records=b"batch")
        client = await connect()
        client.send(fetch(1))
        assert await client.receive() == found(1, records=b"batch")

    play(scene)


@pytest.mark.parametrize("write", [produce(9, b"clicks"), produce(9, b"a", b"b"), request(END_TXN, 1, 9)])
def test_a_write_wakes_a_fetch(write: bytes) -> None:
    async def scene(script: Script, connect: Connect) -> None:
        reader, writer = await connect(), await connect()
        reader.send(fetch(1))
        await until(lambda: script.fetches() == 1)
        script.answers[FETCH] = lambda number: found(number, records=b"batch")
        writer.send(write)
        await writer.receive()
        assert await reader.receive() == found(1, records=b"batch")
        assert script.fetches() == 2

    play(scene)


def test_a_write_without_confirmation_wakes_a_fetch_and_disturbs_no_answer() -> None:
    async def scene(script: Script, connect: Connect) -> None:
        reader, writer = await connect(), await connect()
        reader.send(fetch(1))
        await until(lambda: script.fetches() == 1)
        script.answers[FETCH] = lambda number: found(number, records=b"batch")
        script.answers[PRODUCE] = lambda _: b""
        writer.send(produce(8, b"clicks", acks=0), request(METADATA, 1, 9))
        assert (await writer.receive())[4:8] == struct.pack(">i", 9)
        assert await reader.receive() == found(1, records=b"batch")

    play(scene)


def test_a_write_while_the_broker_looks_is_not_missed() -> None:
    async def scene(script: Script, connect: Connect) -> None:
        reader, writer = await connect(), await connect()
        script.free.clear()  # what it says of the fetch is old when it says it
        reader.send(fetch(1))
        await until(lambda: script.fetches() == 1)
        writer.send(produce(9, b"clicks"))
        await writer.receive()
        script.answers[FETCH] = lambda number: found(number, records=b"batch")
        script.free.set()
        assert await reader.receive() == found(1, records=b"batch")
        assert script.fetches() == 2

    play(scene)


def test_a_write_to_another_topic_wakes_nobody_and_the_next_request_ends_the_wait() -> None:
    async def scene(script: Script, connect: Connect) -> None:
        reader, writer = await connect(), await connect()
        reader.send(fetch(1))
        await until(lambda: script.fetches() == 1)
        writer.send(produce(9, b"scores"))
        await writer.receive()
        reader.send(request(METADATA, 1, 2))
        assert await reader.receive() == found(1)
        assert await reader.receive() == framed(struct.pack(">i", 2))
        assert script.fetches() == 1

    play(scene)


def test_answers_keep_the_order_of_requests_sent_at_once() -> None:
    async def scene(script: Script, connect: Connect) -> None:
        client = await connect()
        client.send(fetch(1), request(METADATA, 1, 2), fetch(3), produce(4, b"clicks"), fetch(5, 50))
        numbers = [struct.unpack(">i", (await client.receive())[4:8])[0] for _ in range(5)]
        assert numbers == [1, 2, 3, 4, 5]

    play(scene)


def test_the_brokers_address_becomes_ours() -> None:
    async def scene(script: Script, connect: Connect) -> None:
        client = await connect()
        theirs = b"127.0.0.1" + struct.pack(">i", script.port)
        script.answers[METADATA] = lambda number: framed(struct.pack(">i", number) + b"..." + theirs + b"...")
        client.send(request(METADATA, 1, 2))
        port = client.writer.get_extra_info("peername")[1]
        assert await client.receive() == framed(
            struct.pack(">i", 2) + b"...127.0.0.1" + struct.pack(">i", port) + b"..."
        )

    play(scene)


def test_large_messages_pass_unchanged_to_a_reader_that_lags() -> None:
    big = Random(0).randbytes(8_000_000)

    async def scene(script: Script, connect: Connect) -> None:
        script.answers[FETCH] = lambda number: framed(struct.pack(">i", number) + big)
        client = await connect()
        client.send(fetch(1), fetch(2), request(PRODUCE, 7, 3, big), request(METADATA, 1, 4))
        for number in (1, 2):
            assert await client.receive() == framed(struct.pack(">i", number) + big)
        assert [(await client.receive())[4:8] for _ in range(2)] == [struct.pack(">i", n) for n in (3, 4)]

    play(scene)


def test_what_is_not_kafka_is_cut_off() -> None:
    async def scene(script: Script, connect: Connect) -> None:
        client = await connect()
        client.send(b"\xff" * 100)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await client.receive()
        other = await connect()
        other.send(request(METADATA, 1, 2))
        assert await other.receive()

    play(scene)


def test_without_a_broker_clients_are_cut_off_and_it_ends() -> None:
    async def scene(script: Script, connect: Connect) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            nowhere = probe.getsockname()[1]
            async with await listen(0, nowhere) as server:
                port = server.sockets[0].getsockname()[1]
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                assert await reader.read() == b""
                writer.close()
                with pytest.raises(OSError, match="Connect call failed"):
                    await watch(nowhere)

    play(scene)


@pytest.fixture
def topic(own_broker: EmbeddedBroker) -> str:
    admin = AdminClient({"bootstrap.servers": own_broker.bootstrap_servers})
    admin.create_topics([NewTopic("waits", 2, 1)])["waits"].result(15)
    return "waits"


@pytest.fixture
def waiting(own_broker: EmbeddedBroker, topic: str) -> Iterator[Consumer]:
    """A consumer at the end of the topic whose fetches wait for minutes."""
    consumer = Consumer({"bootstrap.servers": own_broker.bootstrap_servers, "group.id": "g", **LONG})
    consumer.assign([TopicPartition(topic, partition, 0) for partition in (0, 1)])
    assert consumer.poll(0.5) is None
    yield consumer
    close_in_time(consumer.close)


@pytest.mark.broker
def test_a_waiting_consumer_gets_a_message_at_once(own_broker: EmbeddedBroker, topic: str, waiting: Consumer) -> None:
    producer = Producer({"bootstrap.servers": own_broker.bootstrap_servers})
    for number in range(20):
        producer.produce(topic, str(number), partition=number % 2)
        assert producer.flush(30) == 0
        message = waiting.poll(60)
        assert message is not None
        assert message.value() == str(number).encode()


@pytest.mark.broker
def test_a_request_does_not_wait_behind_a_fetch(topic: str, waiting: Consumer) -> None:
    for _ in range(5):
        assert waiting.get_watermark_offsets(TopicPartition(topic, 0), timeout=60) == (0, 0)


@pytest.mark.broker
def test_the_end_of_a_transaction_wakes_a_waiting_consumer(
    own_broker: EmbeddedBroker, topic: str, waiting: Consumer
) -> None:
    producer = Producer({"bootstrap.servers": own_broker.bootstrap_servers, "transactional.id": "t"})
    producer.init_transactions(60)
    for number in range(5):
        producer.begin_transaction()
        producer.produce(topic, str(number), partition=0)
        assert producer.flush(30) == 0
        assert waiting.poll(0.1) is None
        producer.commit_transaction(60)
        message = waiting.poll(60)
        assert message is not None
        assert message.value() == str(number).encode()


def connects(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=30).close()
    except ConnectionRefusedError:
        return False
    except OSError:
        pass  # it ends at this very moment
    return True


def runs(broker: EmbeddedBroker) -> bool:
    try:
        broker.check()
    except RalmError:
        return False
    return True


@pytest.mark.broker
@pytest.mark.parametrize("which", [0, 1])
def test_a_broker_that_is_killed_refuses_connections(own_broker: EmbeddedBroker, which: int) -> None:
    os.kill(own_broker.pids[which], signal.SIGKILL)
    address = ("127.0.0.1", own_broker.port)
    while connects(address):
        pass
    while runs(own_broker):
        pass
    own_broker.stop()
    own_broker.start()
    socket.create_connection(address, timeout=30).close()
