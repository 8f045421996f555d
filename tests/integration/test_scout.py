"""A batch on the disk of Apache Kafka at which the client aborts: what a flow does about it, start after start."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from brokers.apache_kafka import ApacheKafka
from brokers.needed import need_kafka
from brokers.topics import wait_for_topics
from clients import PlainClient
from integration.conftest import TOPICS, Flow
from scenario import USERS
from waiting import wait_until

from flows.messages.codec import decode_centroids

ZEROS = bytes(3000)


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[ApacheKafka]:
    """One of the test's own, whose disk may be damaged."""
    need_kafka()
    with ApacheKafka(tmp_path / "kafka", heap_mb=192) as started:
        yield started


def damage(kafka: ApacheKafka) -> None:
    """Change a byte among the zeros of the clicks' log, as a disk may."""
    kafka.stop()
    (log,) = [path for path in kafka.data_dir.rglob("*.log") if path.parent.name == "t.clicks-0"]
    content = bytearray(log.read_bytes())
    place = content.index(ZEROS)
    content[place + 1000] = 1
    log.write_bytes(content)
    kafka.start()


def ended(flow: Flow, *arguments: str) -> int:
    """Start a flow; what it ends with."""
    return flow.start("seeds", *arguments).wait(120)


@pytest.mark.broker
def test_a_damaged_batch_that_aborts_the_client_is_said_at_the_second_start_and_stepped_over_if_that_is_wanted(
    kafka: ApacheKafka, bundle: Path, tmp_path: Path
) -> None:
    client = PlainClient(kafka.bootstrap_servers, "t.")
    flow = Flow(client, bundle, tmp_path / "flow", partitions="1")
    assert flow.command("topics").returncode == 0
    wait_for_topics(client.servers, [client.prefix + name for name in TOPICS])

    def click(users: range) -> None:
        now = time.time_ns() // 1_000_000
        client.send_all("clicks", [("item-1", {"user_id": USERS[n], "item_id": "item-1", "ts": now}) for n in users])

    click(range(3))
    client.send_all("clicks", [("item-1", ZEROS)])
    click(range(3, 7))
    damage(kafka)
    try:
        assert ended(flow) == -signal.SIGABRT
        assert "Assertion" in flow.log_text()
        for again in (1, 2):
            assert ended(flow) == 1
            why = "t.clicks[0]: the batch at offsets 3 to 3 crashed the last start"
            assert flow.log_text().count(why) >= again
            assert "--step-over all" in flow.log_text()
        process = flow.start("seeds", "--step-over", "all")

        def seeds() -> int:
            assert process.poll() is None, flow.log_text()[-3000:]
            return max((decode_centroids(message.value()).seeds for message in client.read("centroids")), default=0)

        wait_until(lambda: seeds() == 7, 60)
        (letter,) = client.read("dead-letters")
        headers = dict(letter.headers())
        assert headers["reason"] == b"unreadable_batch"
        assert b"offset 3 of t.clicks[0] cannot be read" in headers["detail"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert not list(Path(flow.environment["RALM_STATE_DIR"]).glob("*.reading*"))
    finally:
        flow.stop(signal.SIGKILL)
