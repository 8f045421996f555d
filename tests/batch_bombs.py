"""How much memory a batch of the greatest size costs whoever reads it: ``python -m tests.batch_bombs``.

Apache Kafka, topics with the default ``max.message.bytes``; in each codec one message that unfolds to as much as fits,
and as many empty messages as fit. Each is read by a process of its own, with the settings of a flow.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from flows.config.settings import Settings
from flows.kafka.config import consumer_config
from flows.kafka.consumer import TopicReader
from flows.messages.batches import UnreadableBatch
from tests.brokers.apache_kafka import ApacheKafka
from tests.record_batches import CODECS, batch, folded, records, send_batch
from tests.waiting import wait_until

ONE = {"gzip": 980_000_000, "lz4": 250_000_000, "snappy": 21_000_000, "zstd": 99_000_000}
"""Bytes of one message of one letter."""
MANY = {"gzip": 700_000, "zstd": 1_100_000, "lz4": 240_000, "snappy": 240_000}
"""Messages without key and value."""


def send(servers: str, topic: str, codec: str, *, one: int = 0, many: int = 0) -> None:
    """Make a topic, and send it one batch."""
    admin = AdminClient({"bootstrap.servers": servers})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(30)
    wait_until(lambda: topic in admin.list_topics(timeout=10).topics)
    if codec == "zstd" and one:  # the client's own frames do not say how long they are, and are refused for less
        body = folded(codec, records([b"a" * one]))
        assert send_batch(servers, topic, batch(body, codec=CODECS[codec], count=1)) == 0
        return
    room = {"message.max.bytes": 1_000_000_000, "batch.size": 2**31 - 1, "batch.num.messages": 1_000_000}
    room |= {
        "queue.buffering.max.kbytes": 2**31 - 1,
        "queue.buffering.max.messages": 0,
        "linger.ms": 5000,
        "message.timeout.ms": 400_000,
    }
    producer = Producer({"bootstrap.servers": servers, "compression.codec": codec, **room})
    failed: list[object] = []
    if one:
        producer.produce(topic, b"a" * one, on_delivery=lambda error, _: error and failed.append(error))
    for _ in range(many):
        producer.produce(topic, on_delivery=lambda error, _: error and failed.append(error))
    assert producer.flush(400) == 0
    assert not failed, failed[0]


def memory(key: str) -> int:
    """This process's memory, MiB."""
    (line,) = [each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith(key)]
    return int(line.split()[1]) >> 10


def read(servers: str, topic: str) -> str:
    """Read a topic to its end; how much memory that took."""
    reader = TopicReader(topic, consumer_config(Settings(bootstrap_servers=servers)), 10_000, step_over="oversized")
    before, count, gaps = memory("VmRSS:"), 0, 0
    reader.add(0, 0)

    def at_end() -> bool:
        nonlocal count, gaps
        while found := reader.take(0):
            count += len(found)
            gaps += sum(isinstance(message, UnreadableBatch) for message in found)
        return reader.at_end(0)

    wait_until(at_end)
    return f"{count:9,} messages  {memory('VmHWM:') - before:6,} MiB{'  stepped over' if gaps else ''}"


def main(arguments: list[str]) -> None:
    """Measure them all, or as one of the processes, one."""
    if arguments:
        print(read(*arguments))  # noqa: T201 (a command)
        return
    with tempfile.TemporaryDirectory() as folder, ApacheKafka(Path(folder) / "kafka") as kafka:
        servers = kafka.bootstrap_servers
        for kind, sizes in (("one", ONE), ("many", MANY)):
            for codec, size in sizes.items():
                send(servers, topic := f"{kind}.{codec}", codec, **{kind: size})
                command = [sys.executable, "-m", "tests.batch_bombs", servers, topic]
                done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
                said = (done.stdout or done.stderr).strip().splitlines()[-1]
                print(f"{kind:5} {codec:7}", said, flush=True)  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
