"""Commands read around a batch that no client can read, and say so where they are not to."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from hand_clock import HandClock
from mock_cluster import MockCluster, mock_cluster
from toys import toy_bundle
from waiting import wait_until

from flows.config.settings import Settings
from flows.kafka import range_reader, scout
from flows.kafka.config import consumer_config
from flows.kafka.consumer import TopicReader
from flows.kafka.range_reader import read_to_end
from flows.kafka.single_messages import SingleMessages
from flows.kafka.topic_marks import TopicMarks
from flows.kafka.topic_watch import TopicWatch
from flows.messages.batches import UnreadableBatch
from flows.messages.dead_letter import ForeignRecord, read_record
from flows.scoring.index_loader import IndexLoader
from flows.scoring.live_index import LiveIndex
from flows.seed_sets.partition_operators import PartitionOperators
from flows.seed_sets.state_facts import StateFacts
from flows.support import ends
from flows.support.errors import RalmError
from flows.support.last_start import LastStart
from ralm.scoring import CountedForm
from tests.record_batches import CODECS, batch, records, send_batch, varint

QUICK = ["fetch.wait.max.ms=5", "fetch.error.backoff.ms=10"]
ABORTS = batch(records([bytes(2000)]), codec=0, count=1, crc=1)
"""Zeros with a wrong checksum: the client library aborts."""
DAMAGED = batch(records([b"x" * 2000]), codec=0, count=1, crc=1)
FOLDED = batch(b"no gzip at all", codec=CODECS["gzip"], count=1)
"""Not compressed as it says."""
_RECORD = b"\0" + varint(0) + varint(0) + varint(1) + b"k" + varint(-2) + varint(0)
STANDS_STILL = batch(varint(len(_RECORD)) + _RECORD, codec=0, count=1)


@pytest.fixture(scope="module")
def cluster() -> Iterator[MockCluster]:
    with mock_cluster() as made:
        yield made


@pytest.fixture
def dead_letters(cluster: MockCluster, request: pytest.FixtureRequest) -> Callable[[bytes], Settings]:
    """Makes a topic of dead letters with a batch between two messages."""

    def make(raw: bytes) -> Settings:
        prefix = f"t{abs(hash(request.node.nodeid))}."
        name = f"{prefix}dead-letters"
        cluster.topic(name)
        producer = Producer({"bootstrap.servers": cluster.servers, "linger.ms": 0})
        for part in (b"before", raw, b"behind"):
            if part is raw:
                assert send_batch(cluster.servers, name, raw) == 0
            else:
                producer.produce(name, part, b"k")
                assert producer.flush(30) == 0
        return Settings(bootstrap_servers=cluster.servers, topic_prefix=prefix, kafka_options=tuple(QUICK))

    return make


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(range_reader, "_UNREADABLE_S", 0.1)
    monkeypatch.setattr(range_reader, "_SILENCE_S", 0.5)
    monkeypatch.setitem(scout._ALL, "seconds", 3)


def read(settings: Settings, step_over: str = "oversized") -> list[Any]:
    given = settings.model_copy(update={"step_over": step_over})
    return list(read_to_end(given, f"{settings.topic_prefix}dead-letters"))


@pytest.mark.parametrize(
    ("raw", "step_over", "why"),
    [
        (FOLDED, "oversized", "cannot decompress it"),
        (DAMAGED, "all", "it is damaged"),
        (STANDS_STILL, "oversized", "takes nothing from it"),
    ],
    ids=["folded", "damaged", "stands still"],
)
def test_what_lies_around_a_batch_is_read(
    dead_letters: Callable[[bytes], Settings], raw: bytes, step_over: str, why: str
) -> None:
    before, gap, behind = read(dead_letters(raw), step_over)
    assert (before.value(), behind.value()) == (b"before", b"behind")
    assert isinstance(gap, UnreadableBatch)
    assert (gap.first, gap.last) == (1, 1)
    assert why in gap.why
    record = read_record(gap)
    assert isinstance(record, ForeignRecord)
    assert why in record.why


def test_where_it_is_not_to_be_stepped_over_the_way_on_is_said_and_is_one(
    dead_letters: Callable[[bytes], Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ends, "once", True)
    settings = dead_letters(ABORTS)
    with pytest.raises(RalmError, match="offsets 1 to 1 cannot be read") as raised:
        read(settings, "oversized")
    assert "Make a replica that has it intact the leader and run this again" in str(raised.value)
    wanted = str(raised.value).partition("--step-over ")[2].partition(":")[0]
    assert [message.value() for message in read(settings, wanted)] == [b"before", None, b"behind"]


def test_a_letter_whose_original_cannot_be_read_is_not_proven_and_no_other_waits(
    dead_letters: Callable[[bytes], Settings],
) -> None:
    settings = dead_letters(FOLDED)
    began = time.monotonic()
    with SingleMessages(settings) as originals:
        assert originals.at(f"{settings.topic_prefix}dead-letters", 0, 1) is None
        found = originals.at(f"{settings.topic_prefix}dead-letters", 0, 2)
    assert found is not None
    assert found.value() == b"behind"
    assert time.monotonic() - began < 30.0, "an answer, and no silence"


def ralm(settings: Settings, *arguments: str) -> "subprocess.CompletedProcess[str]":
    own = {"RALM_BOOTSTRAP_SERVERS": settings.bootstrap_servers, "RALM_TOPIC_PREFIX": settings.topic_prefix}
    return subprocess.run(
        [sys.executable, "-m", "flows.cli.start", "dead-letters", *arguments],
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_a_command_that_the_client_aborts_says_what_did_it_and_reads_around_it_if_it_is_told_to(
    dead_letters: Callable[[bytes], Settings],
) -> None:
    settings = dead_letters(ABORTS)
    done = ralm(settings, "list")
    assert done.returncode == 1
    assert "it is read again, each batch in a process of its own" in done.stderr
    assert "dead-letters[0]: the batch at offsets 1 to 1 cannot be read" in done.stderr
    assert "--step-over all: what comes before and after it is read" in done.stderr


def test_a_damaged_batch_in_which_the_client_goes_astray_counts_as_damaged_for_a_flow_too(
    dead_letters: Callable[[bytes], Settings],
) -> None:
    """After the wrong checksum it takes what is within for a batch of a version that it does not know."""
    settings, clock = dead_letters(DAMAGED), HandClock()
    name = f"{settings.topic_prefix}dead-letters"
    reader = TopicReader(name, consumer_config(settings), 10, clock, step_over="oversized")
    reader.add(0, 0)

    def fails() -> bool:
        clock.now += 10.0
        try:
            reader.take(0)
        except RalmError as error:
            return "make a good one the leader" in str(error) and "--step-over all" in str(error)
        return False

    wait_until(fails)
    reader.close()


def test_what_ends_a_scorer_that_reads_the_centroids_is_said_at_the_next_starts(
    dead_letters: Callable[[bytes], Settings], tmp_path: Path
) -> None:
    settings = dead_letters(ABORTS)
    name = f"{settings.topic_prefix}dead-letters"
    LastStart(tmp_path).stands_at("centroids", {0: 0})
    last_start = LastStart(tmp_path)
    loader = IndexLoader(LiveIndex(CountedForm(4)), name, consumer_config(settings), "v1", 4)
    loader.note_in(last_start)
    loader.start()
    loader.join(60)
    loader.stop()
    last_start.ended()
    assert isinstance(loader.failure, RalmError)
    assert f"{name}[0]: the batch at offsets 1 to 1 crashed the last start" in str(loader.failure)
    assert "all centroids are sent again, and no seed is lost" in str(loader.failure)
    assert LastStart(tmp_path).stood_at("centroids", 0) == 0, "the next start knows too"


def test_one_in_the_centroids_is_said_alike_where_a_store_is_made_of_them(
    dead_letters: Callable[[bytes], Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scorer steps over none, so that no other way on is named than the one that its loader names."""
    settings = dead_letters(ABORTS).model_copy(update={"topic_centroids": "dead-letters"})
    bundle = toy_bundle(tmp_path / "bundle", ["u"])
    operators = PartitionOperators(settings, bundle, StateFacts(1, {}, 1), TopicWatch.blind(), TopicMarks())
    monkeypatch.setattr(ends, "once", True)
    with pytest.raises(RalmError, match="all centroids are sent again, and no seed is lost") as caught:
        operators.emitted_up_to(0)
    operators.close()
    assert f"delete the topic {settings.topic_prefix}dead-letters, make it again with `ralm topics`" in str(
        caught.value
    )
    assert "--step-over" not in str(caught.value)
