"""Finds the batch at which the Kafka client ends a process, by having it read in one that nobody needs.

A batch that was damaged on a broker's disk can make the client library abort, and one of a megabyte that unfolds to a
gigabyte can have the system kill the process for its memory: with no message, and at each start again. So where a start
begins at the very offset at which the last one began and then crashed, a scout goes first, with little memory and one
batch at a time. What it reads before it ends is not read again, since the client reads ahead: whoever
asked for those messages would have the batch behind them too.
"""

import json
import os
import select
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, cast

import msgspec

from flows.kafka.config import BY_OFFSET
from flows.kafka.standstill import WHY
from flows.kafka.step_over import StepOver, read_on
from flows.messages.batches import Headers, RawMessage
from flows.support.ends import CRASHES
from flows.support.errors import RalmError
from flows.support.logs import get_logger
from flows.support.machine import memory_limit

log = get_logger(__name__)

_PROCESS = Path(__file__).with_name("scout_process.py")
_MIB = 512
"""So much memory a scout may need; it has a message twice for a moment."""
_LEAST_MIB = 64
_REST: dict[str, Any] = {"fetch.queue.backoff.ms": 500}
"""So long the client of a patient process rests where it has something to hand over; see ``scout_process.py``."""
_SECONDS = 30
"""So long it reads: what lies further on, the flow itself comes to only after a snapshot."""
_ALL: dict[str, Any] = {"damaged": True, "seconds": 10}
"""Of one who reads all: damaged batches are said too, and a client that hands over nothing stands still."""
_LINE = 200
_USED = Path("/proc/self/status")


class ScoutedMessage(msgspec.Struct, frozen=True, array_like=True):
    """A message that a scout has read, as the client would hand it over; without headers where they are unreadable."""

    at: int
    its_key: bytes | None
    its_value: bytes | None
    its_headers: list[tuple[str, bytes | None]] | None
    its_time: tuple[int, int]
    of: int = 0

    def __len__(self) -> int:
        return len(self.its_value or b"")

    def key(self) -> bytes | None:
        """Its key."""
        return self.its_key

    def value(self) -> bytes | None:
        """Its value."""
        return self.its_value

    def headers(self) -> Headers:
        """Its headers; raises as the client does where they cannot be read."""
        if self.its_headers is None:
            raise SystemError
        return list(self.its_headers)

    def timestamp(self) -> tuple[int, int]:
        """Kind and ms since the epoch."""
        return self.its_time

    def partition(self) -> int:
        """Its partition."""
        return self.of

    def offset(self) -> int:
        """Its offset."""
        return self.at


@dataclass(frozen=True)
class Discovery:
    """A batch that ends a process.

    Attributes:
        messages: what lies before it, from where the scout began.
        first: its first offset.
        end: the offset behind it.
        why: what it does.
        damaged: whether its checksum is wrong, so that another replica may have it whole.
    """

    messages: list[RawMessage]
    first: int
    end: int
    why: str
    damaged: bool

    def said_by_command(self, where: str) -> str:
        """The message of a command that must not skip it."""
        run = "Make a replica that has it intact the leader and run this again. If there is none, run"
        return (
            f"{where}: the batch at offsets {self.first} to {self.end - 1} cannot be read: {self.why}. "
            f"{run if self.damaged else 'Run'} this with --step-over {'all' if self.damaged else 'oversized'}: what "
            "comes before and after it is read."
        )

    def said_of_centroids(self, where: str) -> str:
        """The message for the centroids, all of which a start reads, so that none may be skipped."""
        topic = where.partition("[")[0]
        return (
            f"{where}: the batch at offsets {self.first} to {self.end - 1} crashed the last start, and then a process "
            f"that read it on trial: {self.why}. Make a replica that has it intact the leader and start again. If "
            f"there is none, stop the flows, delete the topic {topic}, make it again with `ralm topics`, and start "
            "them: all centroids are sent again, and no seed is lost."
        )

    def words(self, where: str) -> str:
        """The message for a partition in which it must not be skipped."""
        if self.damaged:
            way = f"Make a replica that has it intact the leader and start again. If there is none, {read_on('all')}"
        else:
            way = f"To read on, {read_on('oversized')}"
        return (
            f"{where}: the batch at offsets {self.first} to {self.end - 1} crashed the last start, and then a process "
            f"that read it on trial: {self.why}. {way}"
        )


@dataclass
class _Run:
    """What became of one process: where it came to, and why it ended there; empty if it came through."""

    next: int
    messages: list[ScoutedMessage] = field(default_factory=list)
    why: str = ""
    died: bool = False
    damaged: bool = False


class _NoScoutError(Exception):
    """No process could be sent, or it ended for reasons of its own."""


class Scout:
    """Reads ahead in a partition; use it once.

    Args:
        topic: the topic.
        partition: of it.
        config: librdkafka's settings of a consumer.
        beat: called now and then, as a sign of life.
    """

    def __init__(self, topic: str, partition: int, config: dict[str, Any], beat: Callable[[], None]) -> None:
        self._topic, self._partition, self._beat = topic, partition, beat
        self._most = 2048 * int(config.get("queued.max.messages.kbytes", 16_384))
        one_batch = {"fetch.message.max.bytes": 1, "queued.min.messages": 1, "fetch.queue.backoff.ms": 1}
        plain: dict[str, Any] = {name: value for name, value in config.items() if isinstance(value, str | int | float)}
        self._config = {**plain, **BY_OFFSET, **one_batch, "log_level": 0}
        self._mib = _mib()

    def find(self, first: int, end: int) -> Discovery | None:
        """Read from an offset on until a batch ends the process; None where none does.

        Args:
            first: where to begin.
            end: the partition's end.
        """
        if first >= end:
            return None
        place = {"topic": self._topic, "partition": self._partition}
        log.warning("the last start began here too and crashed: a scout reads ahead", **place, offset=first)
        try:
            found = self._find(first, end)
        except (_NoScoutError, OSError) as error:
            log.warning("no scout could be started; the flow reads without one", **place, error=str(error))
            return None
        if found is None:
            log.info("the scout read past it: something else crashed the last start", **place)
        return found

    def read(self, first: int, end: int) -> Iterator[tuple[list[RawMessage], int] | Discovery]:
        """Read all of a span, in processes that may end: messages with the offset behind them, and what ends those.

        What the client cannot read is found too: damaged batches, and those at which it stands still.

        Args:
            first: where to begin.
            end: the offset that is not read any more.

        Raises:
            RalmError: when no process can be sent.
        """
        at = first
        try:
            while at < end:
                run = self._run(at, end, self._most, _ALL)
                if run.next == at:
                    run = self._read_one(at, self._most, _ALL)
                if run.next > at:
                    at = min(end, run.next)
                    yield [message for message in run.messages if message.at < end], at
                    continue
                found = self._around(at, end, run, self._most, _ALL)
                yield found
                at = found.end
        except (_NoScoutError, OSError) as error:
            msg = f"{self._topic}[{self._partition}] cannot be read batch by batch: {error}"
            raise RalmError(msg) from error

    def _find(self, first: int, end: int) -> Discovery | None:
        kept: list[RawMessage] = []
        room, at, patient = self._most, first, False
        while True:
            run = self._read_one(at, room) if patient else self._run(at, end, room)
            kept += run.messages
            room -= sum(len(message) + len(message.its_key or b"") for message in run.messages)
            came_further, at = run.next > at, run.next
            if room <= 0 or not (run.why or (patient and came_further)):
                return None
            if run.why and not (run.died and (came_further or not patient)):
                break
            # What a client had fetched and not handed over when it ended is not known: a patient one goes on there.
            patient = not came_further
        return replace(self._around(at, end, run, room), messages=kept)

    def _around(self, at: int, end: int, run: _Run, room: int, more: dict[str, Any] | None = None) -> Discovery:
        """A batch at which a process has ended, and where it ends."""
        damaged = run.damaged or (run.died and not self._read_one(at, room, {"check.crcs": False}).died)
        search = StepOver(at, run.why or WHY)
        while search.found is None:
            if search.probe >= end or self._can_be_read(search.probe, room, more):
                search.readable(end)
            else:
                search.unreadable(end)
        return Discovery([], at, search.found, search.why, damaged)

    def _can_be_read(self, at: int, room: int, more: dict[str, Any] | None) -> bool:
        run = self._read_one(at, room, more)
        return not run.why and (more is None or run.next > at)

    def _read_one(self, at: int, room: int, more: dict[str, Any] | None = None) -> _Run:
        """Have one offset read by a process that fetches nothing behind it before it has said what it read."""
        return self._run(at, at + 1, room, {**(more or {}), **_REST}, patient=True)

    def _run(
        self, first: int, end: int, room: int, more: dict[str, Any] | None = None, *, patient: bool = False
    ) -> _Run:
        """Send one process; with its own client it may come further than it says, and never less far."""
        given = dict(more or {})
        asked = {
            "damaged": given.pop("damaged", False),
            "seconds": given.pop("seconds", _SECONDS),
            "config": {**self._config, **given},
            "patient": patient,
            "topic": self._topic,
            "partition": self._partition,
            "first": first,
            "end": end,
            "mib": self._mib,
            "bytes": room,
        }
        with subprocess.Popen(  # noqa: S603 (our own file)
            [sys.executable, "-P", str(_PROCESS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "MALLOC_ARENA_MAX": "1"},
            start_new_session=True,
        ) as process:
            try:
                return self._hear(process, json.dumps(asked).encode(), first)
            finally:
                process.kill()

    def _hear(self, process: "subprocess.Popen[bytes]", asked: bytes, first: int) -> _Run:
        out, run, last, said = bytearray(), _Run(first), b"", False
        for data, is_error in self._streams(process, asked):
            if is_error:
                last = (last + data)[-4 * _LINE :]
                continue
            out += data
            for frame in _frames(out):
                said = self._note(run, frame) or said
        code = process.wait()
        if said:
            return run
        if -code not in CRASHES:
            raise _NoScoutError(f"it ended with {code}: {_line(last)}")
        run.died = True
        how = f"{signal.Signals(-code).name}{_words(last)}"
        run.why = f"the Kafka client ends a process with {self._mib} MiB of memory at it ({how})"
        return run

    def _streams(self, process: "subprocess.Popen[bytes]", asked: bytes) -> Iterator[tuple[bytes, bool]]:
        """What a process says, as it comes, and whether that is an error's words."""
        into, out, errors = cast(tuple[IO[bytes], ...], (process.stdin, process.stdout, process.stderr))
        with suppress(BrokenPipeError):
            into.write(asked)
            into.close()
        streams = {out.fileno(), errors.fileno()}
        while streams:
            self._beat()
            for stream in select.select(streams, (), (), 1.0)[0]:
                if data := os.read(stream, 1 << 20):
                    yield data, stream == errors.fileno()
                else:
                    streams.discard(stream)

    def _note(self, run: _Run, frame: bytes) -> bool:
        """Take what a scout says; whether it was its last word."""
        kind = frame[0]
        if kind >> 4 == 0x9 or kind in (0xDC, 0xDD):  # an array: a message
            message = _message.decode(frame)
            run.messages.append(msgspec.structs.replace(message, of=self._partition))
            run.next = message.at + 1
            return False
        word = msgspec.msgpack.decode(frame)
        if isinstance(word, dict):
            run.why, run.damaged = f"it is damaged ({word['damaged'][:_LINE]})", True
        elif isinstance(word, str):
            run.why = f"the Kafka client cannot decompress it in {self._mib} MiB of memory ({word[:_LINE]})"
        else:
            run.next = max(run.next, int(word))
        return True


_message = msgspec.msgpack.Decoder(ScoutedMessage)


def _frames(out: bytearray) -> Iterator[bytes]:
    """Take whole frames from what has come."""
    at = 0
    while len(out) - at >= 4:
        size = struct.unpack_from(">I", out, at)[0]
        if len(out) - at - 4 < size:
            break
        yield bytes(out[at + 4 : at + 4 + size])
        at += 4 + size
    del out[:at]


def _line(said: bytes) -> str:
    """The last line of what a process said."""
    lines = said.decode(errors="replace").strip().splitlines()
    return lines[-1][-_LINE:] if lines else "it said nothing"


def _words(said: bytes) -> str:
    return f": {_line(said)}" if said.strip() else ""


def _mib() -> int:
    """The memory of a scout: where this process's is limited, no more than half of what it has left."""
    limit = memory_limit()
    if limit is None:
        return _MIB
    try:
        used = next(int(line.split()[1]) for line in _USED.read_text().splitlines() if line.startswith("VmRSS:")) << 10
    except (OSError, ValueError, StopIteration):  # another system
        return _MIB
    return max(_LEAST_MIB, min(_MIB, (limit - used) >> 21))
