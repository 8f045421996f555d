"""What comes over the network: frames of the Kafka protocol, compressed batches to the real client, and HTTP."""

import logging
import os
import socket
import struct
import time
from contextlib import suppress
from functools import cache
from random import Random
from typing import Any, cast

from confluent_kafka import Producer
from prometheus_client import CollectorRegistry, Counter

from flows.config.settings import Settings
from flows.kafka.config import consumer_config
from flows.kafka.consumer import TopicReader
from flows.kafka.frames import Frames, fetch_wait, topics_of_nothing, written
from flows.messages.batches import UnreadableBatch
from flows.support.logs import set_up_logs
from monitoring.health import Health
from monitoring.health_server import _Handler, _Server
from monitoring.status import StatusReport
from tests.hand_clock import HandClock
from tests.kafka_bytes import fetch, found, produce
from tests.mock_cluster import mock_cluster
from tests.record_batches import CODECS, batch, folded, holds_records, records, send_batch, unfolded, varint

from .mutation import NUMBERS, mutated, text
from .target import Check, Target, said

_VERSIONS = range(4, 17)


def frames(rng: Random) -> dict[str, Any]:
    """Messages of the protocol, some damaged, and where the stream that they make is cut."""
    made = []
    for _ in range(rng.randint(1, 4)):
        version = rng.choice(_VERSIONS)
        kind = rng.randrange(3)
        if kind == 0:
            data = fetch(rng.randrange(99), rng.choice((0, 500, 2**31 - 1)), version)
        elif kind == 1:
            data = produce(rng.randrange(99), *[b"clicks"] * rng.randrange(3), version=min(version, 9))
        else:
            data = found(rng.randrange(99), version=version, records=rng.choice((b"", b"records")))
        made.append((version, mutated(rng, data) if rng.random() < 0.5 else data))
    return {"made": made, "cuts": [rng.randrange(200) for _ in range(rng.randrange(4))]}


def _frames_check() -> Check:
    def check(given: dict[str, Any]) -> str:
        for version, data in given["made"]:
            for read in (fetch_wait, written):
                with suppress(struct.error):  # what cannot be read, the broker judges
                    read(data, version)
            topics_of_nothing(data, version)
        stream, cutter, passed = b"".join(data for _, data in given["made"]), Frames(), 0
        ends = [*sorted(min(cut, len(stream)) for cut in given["cuts"]), len(stream)]
        try:
            for start, end in zip([0, *ends], ends, strict=False):
                passed += sum(len(piece) for piece, _ in cutter.feed(stream[start:end]))
        except ValueError as refusal:
            said(refusal)
            return "refused"
        assert passed <= len(stream)
        return "accepted"

    return check


def record_batch(rng: Random) -> dict[str, Any]:
    """A batch in one of the codecs, sound or not; what is folded may be cut, mutated or far more than it seems."""
    codec = rng.choice(tuple(CODECS))
    values = [rng.choice((b"", b"{}", b"x" * rng.randrange(2000), b"a" * 90_000)) for _ in range(rng.randrange(1, 5))]
    inner = records(values)
    kind = rng.random()
    if kind < 0.1:
        inner = b"a" * rng.choice((1_000, 1_000 if codec == "none" else 6_000_000))
    elif kind < 0.35:
        inner = mutated(rng, inner)
    elif kind < 0.4:
        inner = varint(rng.choice(NUMBERS[:9])) + inner
    body = folded(codec, inner)
    if kind > 0.7:
        body = mutated(rng, body)
    given = {"body": body, "codec": CODECS[codec], "count": len(values)}
    if rng.random() < 0.15:
        given["codec"] = rng.choice((0, 1, 2, 3, 4, 5, 7))
    return given


_END_S = 10.0
"""So long the message behind a batch may take to come, on a busy machine too."""
_TOPICS = 200
"""So many topics a toy has before it gives way to another: it keeps what it has got."""


class _Toy:
    """The client library's own toy of a cluster, which keeps what it is given as it stands; a topic for each batch."""

    def __init__(self) -> None:
        self._topics = 0
        self._open()

    def check(self, given: dict[str, Any]) -> str:
        """Read a batch, and a message behind it.

        Apache Kafka takes no batch that does not hold what it says. The client library may abort at one, or stand still
        silently; what it refuses as it should is tried all the same.
        """
        content = unfolded(given["codec"], given["body"])
        broken = content is None and given["codec"] in (CODECS["snappy"], CODECS["zstd"])
        if not broken and not holds_records(content or b"", given["count"]):
            return "no broker takes it"
        if self._topics == _TOPICS:
            self._opened.__exit__(None, None, None)
            self._open()
        self._topics += 1
        topic = f"t{self._topics:03d}"
        self._cluster.topic(topic)
        assert send_batch(self._cluster.servers, topic, batch(**given)) == 0
        self._sender.produce(topic, b"end")
        assert self._sender.flush(_END_S) == 0
        reader = TopicReader(topic, self._config, 1000, HandClock(), step_over="all")
        try:
            reader.add(0, 0)
            return self._outcome(reader)
        finally:
            reader.close()

    def _outcome(self, reader: TopicReader) -> str:
        until, outcome, clock = time.monotonic() + _END_S, "accepted", cast(HandClock, reader._clock)
        while time.monotonic() < until:
            clock.now += 10.0
            for message in reader.take(0):
                if isinstance(message, UnreadableBatch):
                    outcome = "stepped over"
                elif message.value() == b"end":
                    return outcome
        msg = "what stands behind it does not come"
        raise AssertionError(msg)

    def _open(self) -> None:
        self._topics = 0
        self._opened = mock_cluster()
        cluster = self._cluster = self._opened.__enter__()
        quick = {"fetch.wait.max.ms": 1, "fetch.error.backoff.ms": 1, "retry.backoff.ms": 1, "log_level": 0}
        small = {"fetch.max.bytes": 4_000_000, "message.max.bytes": 4_000_000, "receive.message.max.bytes": 5_000_000}
        self._config = {**consumer_config(Settings(bootstrap_servers=cluster.servers)), **quick, **small}
        self._sender = Producer({"bootstrap.servers": cluster.servers, "linger.ms": 0, "log_level": 0})


def _batch_check() -> Check:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    set_up_logs("error")
    os.dup2(nowhere, 2)  # each batch that is stepped over is logged, and the toy says that it has no broker
    return _Toy().check


_PATHS = ("/", "/metrics", "/-/status", "/-/healthy", "/-/ready", "/status.js", "/../../etc/passwd", "/%00", "*", "//")
_HEADERS = ("Accept", "Host", "Connection", "Content-Length", "Transfer-Encoding", "Expect", "User-Agent")
_HEADER_VALUES = (
    *(
        "text/plain;version=0.0.4",
        "application/openmetrics-text; version=1.0.0,*/*;q=0.1",
        "*/*;q=nan",
        ";;,q=",
        "close",
    ),
    *("keep-alive", "-1", "9" * 4300, "9" * 9000, "chunked", "100-continue", "", "a" * 20_000),
)


def question(rng: Random) -> bytes:
    """What a client sends: requests, or nearly."""
    made = b""
    for _ in range(rng.randint(1, 2)):
        method = rng.choice(("GET", "GET", "GET", "HEAD", "POST", "TRACE", "get", "PRI", "", text(rng)))
        path = rng.choice((*_PATHS, *_PATHS, text(rng), f"/metrics?{text(rng)}"))
        version = rng.choice(("HTTP/1.1", "HTTP/1.0", "HTTP/1.1", "HTTP/0.9", "HTTP/9.9", "HTTP/1.1.1", "HTTP/x", ""))
        lines = [f"{method} {path} {version}".rstrip()]
        lines += [
            f"{rng.choice(_HEADERS)}: {rng.choice((*_HEADER_VALUES, text(rng)))}" for _ in range(rng.randrange(4))
        ]
        if rng.random() < 0.02:
            lines += [f"h{n}: v" for n in range(150)]
        made += rng.choice(("\r\n", "\r\n", "\n")).join([*lines, "", ""]).encode("utf-8", "surrogatepass")
    return mutated(rng, made) if rng.random() < 0.4 else made


_STATUSES = {200, 400, 404, 405, 414, 431, 501, 503, 505}


class _Failures(logging.Handler):
    """Keeps what the server logs as its own failure."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(self.format(record))


@cache
def _server() -> Any:
    health = Health(["bundle"])
    registry = CollectorRegistry()
    Counter("ralm_made", "Made.", ["where"], registry=registry).labels('\u202e\n"').inc()
    return _Server(("127.0.0.1", 0), health, StatusReport(health), registry, 10.0)


def _question_check() -> Check:
    server, failures = _server(), _Failures()
    logging.getLogger("monitoring.health_server").addHandler(failures)

    def check(given: bytes) -> str:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.settimeout(10)
            theirs.settimeout(10)
            for end in (ours, theirs):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
            ours.sendall(given)
            ours.shutdown(socket.SHUT_WR)
            try:
                _Handler(theirs, ("127.0.0.1", 1), server)
            except (ConnectionError, TimeoutError):
                return "hung up"
            theirs.shutdown(socket.SHUT_RDWR)
            answer = b"".join(iter(lambda: ours.recv(1 << 20), b""))
        assert not failures.seen, failures.seen.pop()
        if not answer:
            return "no answer"
        if b"HTTP/0.9" in given and not answer.startswith(b"HTTP/"):
            return "200"  # such an answer has no head
        assert answer.startswith(b"HTTP/1.0 "), answer[:100]
        status = int(answer[9:12])
        assert status in _STATUSES, answer[:100]
        head, _, body = answer.partition(b"\r\n\r\n")
        assert b"\r\nContent-Length: " in head
        assert not body or b"\r\nContent-Length: %d\r\n" % len(body) in head + b"\r\n", "an answer of another length"
        return str(status)

    return check


TARGETS = [
    Target("frames", 0.02, frames, _frames_check),
    Target("record-batches", 0.0005, record_batch, _batch_check),
    Target("http", 0.04, question, _question_check),
]
