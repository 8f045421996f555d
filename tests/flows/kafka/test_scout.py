"""Batches at which the Kafka client ends a process: a scout finds them, and what lies around them is read."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from hand_clock import HandClock
from mock_cluster import MockCluster, mock_cluster
from waiting import wait_until

from flows.config.settings import Settings
from flows.kafka import scout
from flows.kafka.config import consumer_config
from flows.kafka.consumer import TopicReader
from flows.kafka.scout import Scout, ScoutedMessage
from flows.messages.batches import UnreadableBatch, UnreadableHeaders, headers_of
from flows.support.errors import RalmError
from tests.record_batches import CODECS, batch, folded, records, send_batch, varint

QUICK = {"fetch.wait.max.ms": 5, "fetch.error.backoff.ms": 10}
DAMAGED = batch(records([bytes(2000)]), codec=0, count=1, crc=1)
"""Zeros with a wrong checksum: the client library aborts at an assertion of its own."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[MockCluster]:
    with mock_cluster() as made:
        yield made


@pytest.fixture
def topic(cluster: MockCluster, request: pytest.FixtureRequest) -> Callable[..., str]:
    """Makes a topic of messages, and batches as they stand."""

    def make(*parts: bytes, raw: bytes) -> str:
        name = f"t{abs(hash(request.node.nodeid))}"
        cluster.topic(name)
        producer = Producer({"bootstrap.servers": cluster.servers, "linger.ms": 0})
        for part in parts:
            if part == b"RAW":
                assert send_batch(cluster.servers, name, raw) == 0
            else:
                producer.produce(name, part, b"k", headers={"h": part})
                assert producer.flush(30) == 0
        return name

    return make


def config_of(cluster: MockCluster) -> dict[str, Any]:
    return {**consumer_config(Settings(bootstrap_servers=cluster.servers)), **QUICK}


def taken_by(reader: TopicReader, first: int = 0) -> list[Any]:
    """All messages, with a scout before them."""
    beats: list[int] = []
    assert reader.add_behind_scout(0, first, lambda: beats.append(1)) is None
    assert beats
    taken: list[Any] = []
    wait_until(lambda: taken.extend(reader.take(0)) or reader.at_end(0))
    return taken


def test_a_batch_at_which_the_client_aborts_is_stepped_over_and_what_is_around_it_is_read(
    cluster: MockCluster, topic: Callable[..., str]
) -> None:
    name = topic(b"before", b"also", b"RAW", b"behind", raw=DAMAGED)
    reader = TopicReader(name, config_of(cluster), 10, HandClock(), step_over="all")
    taken = taken_by(reader)
    reader.close()
    assert [message.value() for message in taken] == [b"before", b"also", None, b"behind"]
    assert [message.offset() for message in taken] == [0, 1, 2, 3]
    assert [headers_of(message) for message in taken[:2]] == [[("h", b"before")], [("h", b"also")]]
    assert taken[0].key() == b"k"
    assert taken[0].timestamp()[1] > 0
    gap = taken[2]
    assert isinstance(gap, UnreadableBatch)
    assert (gap.first, gap.last) == (2, 2)
    assert "SIGABRT" in gap.why
    assert "Assertion" in gap.why


@pytest.mark.parametrize("step_over", ["oversized", "none"])
def test_a_damaged_batch_ends_the_flow_in_words_unless_all_are_stepped_over(
    step_over: str, cluster: MockCluster, topic: Callable[..., str]
) -> None:
    """Another replica may have it whole. What lies before it is read all the same."""
    name = topic(b"before", b"RAW", b"behind", raw=DAMAGED)
    reader = TopicReader(name, config_of(cluster), 10, HandClock(), step_over=step_over)
    assert reader.add_behind_scout(0, 0, lambda: None) == 1
    assert [message.value() for message in reader.take(0)] == [b"before"]
    with pytest.raises(RalmError, match=r"offsets 1 to 1 crashed the last start.* replica .* --step-over all"):
        reader.take(0)
    reader.close()


def test_what_was_read_and_not_yet_said_when_the_client_ended_is_not_taken_for_damaged(
    cluster: MockCluster, topic: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A process that is slow to say what it has: its client fetches and ends on the damaged batch first."""
    slow = tmp_path / "slow.py"
    code = scout._PROCESS.read_text()
    say = "_said(out, _parts(message))"
    assert code.count(say) == 1
    slow.write_text(code.replace(say, f"time.sleep(0.2); {say}"))
    monkeypatch.setattr(scout, "_PROCESS", slow)
    name = topic(b"before", b"RAW", b"between", b"RAW", b"behind", raw=DAMAGED)
    for start, value in ((0, b"before"), (2, b"between")):
        found = Scout(name, 0, config_of(cluster), lambda: None).find(start, 5)
        assert found is not None
        assert [message.value() for message in found.messages] == [value]
        assert (found.first, found.end) == (start + 1, start + 2)


def test_a_batch_that_needs_too_much_memory_is_stepped_over(
    cluster: MockCluster, topic: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scout, "_mib", lambda: 40)
    body = folded("gzip", records([bytes(60_000_000)]))
    name = topic(b"before", b"RAW", b"behind", raw=batch(body, codec=CODECS["gzip"], count=1))
    reader = TopicReader(name, config_of(cluster), 10, HandClock(), step_over="oversized")
    taken = taken_by(reader)
    reader.close()
    assert [message.value() for message in taken] == [b"before", None, b"behind"]
    assert "40 MiB of memory" in taken[1].why


def test_a_batch_of_many_records_is_stepped_over_to_its_end(cluster: MockCluster, topic: Callable[..., str]) -> None:
    name = topic(b"before", b"RAW", b"behind", raw=batch(records([bytes(500)] * 5), codec=0, count=5, crc=1))
    found = Scout(name, 0, config_of(cluster), lambda: None).find(0, 7)
    assert found is not None
    assert (found.first, found.end, found.damaged) == (1, 6, True)


def test_where_nothing_ends_a_process_the_flow_reads_by_itself(
    cluster: MockCluster, topic: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    name = topic(b"before", b"RAW", b"behind", raw=batch(records([b"v"] * 3), codec=0, count=3))
    reader = TopicReader(name, config_of(cluster), 10, HandClock())
    taken = taken_by(reader)
    reader.close()
    assert [message.value() for message in taken] == [b"before", b"v", b"v", b"v", b"behind"]
    said = "".join(capsys.readouterr())
    assert "a scout reads ahead" in said
    assert "the scout read past it" in said


def test_where_there_is_nothing_to_read_no_scout_is_sent(
    cluster: MockCluster, topic: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    name = topic(b"before", raw=b"")
    assert Scout(name, 0, config_of(cluster), lambda: None).find(1, 1) is None
    assert "scout" not in "".join(capsys.readouterr())


@pytest.mark.parametrize("program", ["/nowhere/python", "/bin/false"])
def test_where_no_scout_can_be_sent_the_flow_reads_by_itself(
    program: str,
    cluster: MockCluster,
    topic: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = topic(b"before", raw=b"")
    monkeypatch.setattr(scout.sys, "executable", program)
    assert Scout(name, 0, config_of(cluster), lambda: None).find(0, 1) is None
    assert "no scout could be started" in "".join(capsys.readouterr())


def test_a_scout_reads_no_more_than_its_room(cluster: MockCluster, topic: Callable[..., str]) -> None:
    """What lies further on, the flow comes to only after a snapshot."""
    name = topic(*[b"x" * 1500] * 3, b"RAW", raw=DAMAGED)
    config = {**config_of(cluster), "queued.max.messages.kbytes": 1}
    assert Scout(name, 0, config, lambda: None).find(0, 4) is None


def test_headers_that_cannot_be_read_are_refused_as_the_clients_are() -> None:
    with pytest.raises(UnreadableHeaders):
        headers_of(ScoutedMessage(7, b"k", b"v", None, (1, 5)))


def test_a_name_of_a_header_that_is_not_utf8_does_not_stop_a_scout(
    cluster: MockCluster, topic: Callable[..., str]
) -> None:
    headers = varint(1) + varint(1) + b"\xff" + varint(1) + b"v"
    inner = b"\0" + varint(0) + varint(0) + varint(1) + b"k" + varint(1) + b"v" + headers
    first = batch(varint(len(inner)) + inner, codec=0, count=1)
    name = topic(b"RAW", b"behind", raw=first)
    assert send_batch(cluster.servers, name, DAMAGED) == 0
    found = Scout(name, 0, config_of(cluster), lambda: None).find(0, 3)
    assert found is not None
    assert [message.value() for message in found.messages] == [b"v", b"behind"]
    with pytest.raises(UnreadableHeaders):
        headers_of(found.messages[0])


def test_the_client_writes_no_log_of_its_own(cluster: MockCluster) -> None:
    """Settings that are no JSON, as the logger, stay here."""
    config = {**config_of(cluster), "logger": logging.getLogger("x")}
    assert "logger" not in Scout("t", 0, config, lambda: None)._config
