"""Files of clicks and requests as messages in event-time order; what cannot be used is found before any is sent."""

import codecs
import mmap
import os
import stat
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flows.config.groups import MessageSettings
from flows.config.limits import MIN_EVENT_TIME
from flows.kafka.producer import ProducerRecord
from flows.messages.codec import decode_click, decode_request, encode_message
from flows.messages.decode import check_candidates, check_size, most_bytes
from flows.messages.rejects import InvalidMessage
from flows.messages.types import Click, Request
from flows.offline.datasets.layout import load
from flows.support.errors import ConfigError, RalmError
from ralm.features import Ints

Progress = Callable[[int, int], None]
"""Called with how much is done, and of how much."""
_TELL_EVERY = 20_000
_UNTIMED_START = 946_684_800_000
"""Where the clicks of a data set without times begin, ms: the year 2000; in the layout they count from 0."""


@dataclass(frozen=True)
class Events:
    """Messages for one topic.

    Attributes:
        times: event times in ascending order, int64[n], ms.
        message: makes the n-th message.
    """

    times: Ints
    message: Callable[[int], ProducerRecord]

    def __len__(self) -> int:
        return len(self.times)


@dataclass(frozen=True)
class Door:
    """What a line must be to be sent: what the flow itself takes.

    Attributes:
        limits: the settings of a flow.
        now: wall clock, ms since the epoch.
        speed: times as fast as the events happened; None is as fast as it goes.
    """

    limits: MessageSettings
    now: int
    speed: float | None = None

    def first_ahead(self, times: Ints) -> int | None:
        """The first event, of times in ascending order, that would come too far ahead of the clock; None if none."""
        if not len(times):
            return None
        sent = self.now + (0 if self.speed is None else (times - times[0]) / self.speed)
        ahead = np.flatnonzero(times - sent > self.limits.max_future)
        return int(ahead[0]) if len(ahead) else None


def load_clicks(path: Path, topic: str, door: Door, progress: Progress = lambda *_: None) -> Events:
    """Clicks of a file of JSON lines, or of a data set's folder in the common layout; keyed by item.

    Raises:
        ConfigError: naming the file, the line and what is wrong with it.
    """
    return _read_folder(path, topic, door) if path.is_dir() else _read_lines(path, topic, "clicks", door, progress)


def load_requests(path: Path, topic: str, door: Door, progress: Progress = lambda *_: None) -> Events:
    """Requests of a file of JSON lines; keyed by user.

    Raises:
        ConfigError: naming the file, the line and what is wrong with it.
    """
    return _read_lines(path, topic, "requests", door, progress)


def click_message(topic: str, click: Click) -> ProducerRecord:
    """A click as a message."""
    return ProducerRecord(topic, click.item_id.encode(), encode_message(click))


def request_message(topic: str, request: Request) -> ProducerRecord:
    """A request as a message."""
    return ProducerRecord(topic, request.user_id.encode(), encode_message(request))


def _read_folder(path: Path, topic: str, door: Door) -> Events:
    try:
        data = load(path)
    except RalmError as error:
        raise ConfigError(str(error)) from error
    times = data.event_times if data.timed else data.event_times + _UNTIMED_START
    early = int((times < MIN_EVENT_TIME).sum())
    if early:
        msg = (
            f"{path}: {early} events are from before March 1973, which a flow takes for times in seconds and refuses: "
            "look at their unit, and bring the data again"
        )
        raise ConfigError(msg)
    order = np.argsort(times, kind="stable")
    _refuse_ahead(door, times[order], lambda number: f"{path}, event {order[number]}")

    def message(number: int) -> ProducerRecord:
        row = order[number]
        click = Click(str(data.event_users[row]), str(data.event_items[row]), int(times[row]))
        return click_message(topic, click)

    return Events(times[order], message)


def _read_lines(path: Path, topic: str, kind: str, door: Door, progress: Progress) -> Events:
    """Check every line as a flow does, and keep of each only its time and its place in the file."""
    content = _content(path)
    times, starts, ends, numbers = array("q"), array("q"), array("q"), array("q")
    decode, most = _DECODERS[kind], most_bytes(kind, door.limits)
    for number, (start, end) in enumerate(_lines(content), 1):
        value = content[start:end].strip()
        if value:
            try:
                check_size(len(value), most)
                times.append(decode(value, door.limits)[1])
            except InvalidMessage as invalid:
                msg = f"{path}, line {number}: {invalid}"
                raise ConfigError(msg) from None
            starts.append(start)
            ends.append(end)
            numbers.append(number)
        if number % _TELL_EVERY == 0:
            progress(end, len(content))
    progress(len(content), len(content))
    found = np.array(times, np.int64)
    order = np.argsort(found, kind="stable")
    _refuse_ahead(door, found[order], lambda place: f"{path}, line {numbers[int(order[place])]}")

    def message(place: int) -> ProducerRecord:
        row = int(order[place])
        value = content[starts[row] : ends[row]].strip()
        return ProducerRecord(topic, decode(value, door.limits)[0].encode(), value)

    return Events(found[order], message)


def _click(value: bytes, _: MessageSettings) -> tuple[str, int]:
    click = decode_click(value)
    return click.item_id, click.ts


def _request(value: bytes, limits: MessageSettings) -> tuple[str, int]:
    request = decode_request(value)
    check_candidates(request, limits)
    return request.user_id, request.ts


_DECODERS = {"clicks": _click, "requests": _request}
"""Key and time of a message, ms."""


def _refuse_ahead(door: Door, times: Ints, where: Callable[[int], str]) -> None:
    place = door.first_ahead(times)
    if place is not None:
        msg = (
            f"{where(place)}: future_time: {times[place]} is more than max_future ahead of the clock when it would be "
            "sent, which a flow refuses: look at the unit and the clock of what wrote it, or wait"
        )
        raise ConfigError(msg)


def _content(path: Path) -> "mmap.mmap | bytes":
    """A file's bytes, mapped where that can be: of a pipe and of an empty file it cannot."""
    try:
        with path.open("rb") as file:
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode) and os.fstat(file.fileno()).st_size:
                return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            return file.read()
    except (OSError, ValueError) as error:
        msg = f"{path} cannot be read: {error}"
        raise ConfigError(msg) from error


def _lines(content: "mmap.mmap | bytes") -> Iterator[tuple[int, int]]:
    """Where each line begins and ends; lines end with LF or CR LF, or with CR in a file that has no LF."""
    start = len(codecs.BOM_UTF8) if content[: len(codecs.BOM_UTF8)] == codecs.BOM_UTF8 else 0
    mark = b"\n" if content.find(b"\n") >= 0 else b"\r"
    while start < len(content):
        end = content.find(mark, start) + 1 or len(content)
        yield start, end
        start = end
