"""The process of a scout: reads one partition with the Kafka client, and says at once what has come.

It is run as a file by its path and imports nothing of ours, so that it starts quickly and takes little. What it is
asked comes as JSON on its standard input, secrets among it; each message goes to its standard output as MessagePack
behind four bytes of length.

The client fetches the next batch as soon as the last message is taken from it, and may end the process before that
message is said. Whoever has to know asks for a patient process: its client rests where it has something to hand over,
and it looks now and then instead of waiting, since one who waits takes a message before the client decides to rest.
"""

import json
import os
import resource
import signal
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

_MIB = 1 << 20
_LOOK = 0.1
# The names with an underscore are the public ones of the library.
_TOO_MUCH = (KafkaError._BAD_COMPRESSION, KafkaError._CRIT_SYS_RESOURCE)  # noqa: SLF001
_DAMAGED = KafkaError._BAD_MSG  # noqa: SLF001
_ASTRAY = KafkaError._AUTO_OFFSET_RESET  # noqa: SLF001
"""Behind a wrong checksum the client may take what follows for a batch, and ask for an offset out of it."""
_END = KafkaError._PARTITION_EOF  # noqa: SLF001
_AGAIN = 3
"""So often a damaged batch is fetched before that is said: what damaged it may lie on the way."""


def _limit_memory(mib: int) -> None:
    """Let this process have so much more memory than it has now; it is the first to go where the machine has none."""
    used = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmData:"))
    most = (int(used.split()[1]) << 10) + mib * _MIB
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    Path("/proc/self/oom_score_adj").write_text("1000")


def _said(out: BinaryIO, what: object) -> None:
    data = msgspec.msgpack.encode(what)
    out.write(struct.pack(">I", len(data)) + data)
    out.flush()


def _parts(message: Message) -> tuple[Any, ...]:
    try:
        headers = message.headers() or []
        headers = list(headers.items()) if isinstance(headers, dict) else headers
    except (SystemError, UnicodeDecodeError):
        headers = None
    return message.offset(), message.key(), message.value(), headers, message.timestamp()


def _last_word(error: KafkaError, damaged: Iterator[int] | None) -> object:
    """What to end with at an error; None where one reads on."""
    if error.code() in _TOO_MUCH:
        return error.str()
    if damaged is None or error.code() not in (_DAMAGED, _ASTRAY):
        return None
    return {"damaged": error.str()} if error.code() == _ASTRAY or next(damaged) == _AGAIN else None


def main() -> None:
    """Read from ``first`` up to ``end``, or for ``seconds``, or ``bytes``."""
    asked, out = json.load(sys.stdin), sys.stdout.buffer
    config, patient = asked["config"], asked["patient"]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.alarm(int(asked["seconds"]) + 30)  # whoever asked may be gone
    consumer = Consumer({**config, "error_cb": lambda _: None})
    consumer.list_topics(asked["topic"], timeout=asked["seconds"])  # its threads are there, and take no more memory
    with suppress(OSError, ValueError, StopIteration):  # only Linux has all of it
        _limit_memory(asked["mib"])
    consumer.assign([TopicPartition(asked["topic"], asked["partition"], asked["first"])])
    at, size, until = asked["first"], 0, time.monotonic() + asked["seconds"]
    damaged = count(1)
    try:
        while at < asked["end"] and size < asked["bytes"] and time.monotonic() < until:
            if patient:
                time.sleep(_LOOK)
            for message in consumer.consume(1, timeout=0 if patient else _LOOK):
                error, offset = message.error(), message.offset() or 0
                if error is None:
                    at, size = offset + 1, size + len(message)
                    _said(out, _parts(message))
                elif error.code() == _END:
                    at = max(at, offset)
                elif (word := _last_word(error, damaged if asked["damaged"] else None)) is not None:
                    _said(out, word)
                    return
    except MemoryError:
        _said(out, "not enough memory")
        return
    _said(out, at)


if __name__ == "__main__":
    main()
    os._exit(0)  # nobody waits for the client's threads; all was flushed
