"""A long poll before a Kafka broker that answers empty fetches at once, as the embedded one does.

A fetch that finds nothing waits here, as it waits in Apache Kafka, until something was written to one of its topics or
its ``max_wait_ms`` are over. All writes pass through this process, so it knows when to ask the broker again. Everything
else is passed on as it comes. Where Kafka lets the requests behind a waiting fetch wait too, here they end its wait.

It is a program of its own, on the standard library alone, so that it starts at once and stays small:

    python -m flows.kafka.long_poll PORT BROKER_PORT

It listens on 127.0.0.1, prints ``long poll 127.0.0.1:PORT`` when it is ready, and ends when the broker ends.
"""

import asyncio
import struct
import sys
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

from flows.kafka.frames import WHOLE_BYTES, Frames, fetch_wait, topics_of_nothing, written

_HOST = "127.0.0.1"
_PRODUCE, _FETCH, _METADATA, _FIND_COORDINATOR = 0, 1, 3, 10
_CREATE_TOPICS, _DELETE_TOPICS, _DELETE_RECORDS, _END_TXN, _CREATE_PARTITIONS = 19, 20, 21, 26, 37
_CHANGES = {_CREATE_TOPICS, _DELETE_TOPICS, _DELETE_RECORDS, _END_TXN, _CREATE_PARTITIONS}
_BUFFER_BYTES = 1 << 20
_UNCONFIRMED_S = 0.01
_LOOK_AGAIN_S = 0.05


@dataclass
class _Sent:
    """A request that the broker has not answered.

    Attributes:
        number: by which its answer is known.
        kind: of request.
        version: of its kind.
        frame: the whole request, to ask again; only of a fetch that may wait.
        until: when its wait is over.
        writes: how many writes there were when the broker was asked.
        topic: that is written to; empty is any.
    """

    number: bytes
    kind: int
    version: int
    frame: bytes = b""
    until: float = 0.0
    writes: int = 0
    topic: bytes = b""


@dataclass(frozen=True)
class _Waiting:
    """A fetch that waits, and its answer if nothing comes."""

    sent: _Sent
    answer: bytes
    topics: frozenset[bytes]
    timer: asyncio.TimerHandle


class Writes:
    """Counts the writes that the broker has confirmed, and wakes the fetches that wait for them."""

    def __init__(self) -> None:
        self.count = 0
        self.waiting: dict[_Client, frozenset[bytes]] = {}
        self._last: dict[bytes, int] = {}

    def note(self, topic: bytes) -> None:
        """Something was written to a topic; empty is any."""
        self.count += 1
        self._last[topic] = self.count
        for client in [c for c, topics in self.waiting.items() if not topics or not topic or topic in topics]:
            client.ask_again()

    def since(self, count: int, topics: frozenset[bytes]) -> bool:
        """Whether one of the topics (of all, where none is named) was written to after so many writes."""
        if not topics:
            return self.count > count
        return any(self._last.get(topic, 0) > count for topic in (b"", *topics))


class _Broker(asyncio.Protocol):
    """A client's connection to the broker."""

    def __init__(self, client: "_Client") -> None:
        self._client = client
        self._frames = Frames()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).set_write_buffer_limits(_BUFFER_BYTES)

    def data_received(self, data: bytes) -> None:
        for piece, begins in self._frames.feed(data):
            self._client.answer(piece, begins)

    def pause_writing(self) -> None:
        self._client.transport.pause_reading()

    def resume_writing(self) -> None:
        self._client.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        self._client.transport.close()


class _Client(asyncio.Protocol):
    """A client's connection. The answers keep the order of the requests, since only the last of them ever waits."""

    transport: asyncio.Transport

    def __init__(self, port: int, broker_port: int, writes: Writes) -> None:
        self._names = (_HOST.encode() + struct.pack(">i", broker_port), _HOST.encode() + struct.pack(">i", port))
        self._broker_port = broker_port
        self._writes = writes
        self._frames = Frames()
        self._unanswered: deque[_Sent] = deque()
        self._waiting: _Waiting | None = None
        self._loop = asyncio.get_running_loop()
        self._broker: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(_BUFFER_BYTES)
        self.transport.pause_reading()
        self._connecting = self._loop.create_task(self._connect())

    async def _connect(self) -> None:
        try:
            self._broker, _ = await self._loop.create_connection(lambda: _Broker(self), _HOST, self._broker_port)
        except OSError:
            self.transport.abort()
            return
        if self.transport.is_closing():
            self._broker.close()
        else:
            self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        for piece, begins in self._frames.feed(data):
            if begins:
                self._end_wait()
                self._unanswered.append(self._sent(piece))
            self._send(piece)

    def pause_writing(self) -> None:
        if self._broker is not None:
            self._broker.pause_reading()

    def resume_writing(self) -> None:
        if self._broker is not None:
            self._broker.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        self._take_waiting()
        if self._broker is not None:
            self._broker.close()

    def answer(self, piece: memoryview, begins: bool) -> None:
        """Pass on what the broker answers, or let the fetch wait that it answers with nothing."""
        sent = self._answered(bytes(piece[4:8])) if begins else None
        if sent is None:
            self.transport.write(piece)
        elif not self._waits(sent, piece):
            if sent.kind in (_METADATA, _FIND_COORDINATOR):
                self.transport.write(bytes(piece).replace(*self._names))  # names of one length
            else:
                self.transport.write(piece)
            if sent.kind == _PRODUCE or sent.kind in _CHANGES:
                self._writes.note(sent.topic)

    def ask_again(self) -> None:
        """Ask the broker again for the fetch that waits."""
        waiting = self._take_waiting()
        if waiting is not None:
            self._ask(waiting.sent)

    def _sent(self, piece: memoryview) -> _Sent:
        kind, version, number = struct.unpack_from(">hh4s", piece, 4)
        sent = _Sent(number, kind, version)
        with suppress(struct.error):  # what we cannot read, the broker judges
            if kind == _FETCH and len(piece) <= WHOLE_BYTES:
                sent.until = self._loop.time() + fetch_wait(piece, version)
                sent.frame, sent.writes = bytes(piece), self._writes.count
            elif kind == _PRODUCE:
                acks, sent.topic = written(piece, version)
                if acks == 0:
                    self._loop.call_later(_UNCONFIRMED_S, self._writes.note, sent.topic)
        return sent

    def _answered(self, number: bytes) -> _Sent | None:
        """The request with this number; those before it get no answer."""
        while self._unanswered:
            sent = self._unanswered.popleft()
            if sent.number == number:
                return sent
        return None

    def _waits(self, sent: _Sent, answer: memoryview) -> bool:
        if self._unanswered or self._loop.time() >= sent.until or len(answer) > WHOLE_BYTES:
            return False
        topics = topics_of_nothing(answer, sent.version)
        if topics is None:
            return False
        if self._writes.since(sent.writes, topics):
            self._ask(sent)
        else:
            timer = self._loop.call_at(sent.until, self._end_wait)
            self._waiting = _Waiting(sent, bytes(answer), topics, timer)
            self._writes.waiting[self] = topics
        return True

    def _ask(self, sent: _Sent) -> None:
        sent.writes = self._writes.count
        self._unanswered.append(sent)
        self._send(sent.frame)

    def _send(self, data: bytes | memoryview) -> None:
        if self._broker is not None:  # before it is connected, nothing is read
            self._broker.write(data)

    def _end_wait(self) -> None:
        waiting = self._take_waiting()
        if waiting is not None:
            self.transport.write(waiting.answer)

    def _take_waiting(self) -> _Waiting | None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.timer.cancel()
            del self._writes.waiting[self]
        return waiting


async def listen(port: int, broker_port: int) -> asyncio.Server:
    """Stand before the broker.

    Args:
        port: to listen on; 0 takes a free one.
        broker_port: the broker's.

    Raises:
        OSError: when it cannot listen.
    """
    writes, loop = Writes(), asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Client(port, broker_port, writes), _HOST, port, backlog=128)
    port = server.sockets[0].getsockname()[1]
    return server


async def watch(broker_port: int) -> None:
    """Wait until the broker ends.

    Raises:
        OSError: when it has.
    """
    while True:
        reader, writer = await asyncio.open_connection(_HOST, broker_port)
        with suppress(OSError):
            await reader.read()
        writer.close()
        await asyncio.sleep(_LOOK_AGAIN_S)


async def _main(port: int, broker_port: int) -> None:
    async with await listen(port, broker_port) as server:
        print(f"long poll {_HOST}:{server.sockets[0].getsockname()[1]}", flush=True)  # noqa: T201 (we are ready)
        await watch(broker_port)


if __name__ == "__main__":
    try:
        asyncio.run(_main(int(sys.argv[1]), int(sys.argv[2])))
    except OSError as why:
        sys.exit(f"long poll: {why}")
