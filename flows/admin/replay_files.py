"""Files of clicks and requests as messages in event-time order; what cannot be used is found before any is sent."""

import mmap
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flows.config.limits import MIN_EVENT_TIME
from flows.kafka.producer import ProducerRecord
from flows.messages.codec import decode_click, decode_request, encode_message
from flows.messages.rejects import InvalidMessage
from flows.messages.types import Click, Request
from flows.offline.datasets.layout import load
from flows.support.errors import ConfigError, RalmError
from ralm.features import Ints

Progress = Callable[[int, int], None]
"""Told how much is done, and of how much."""
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


def load_clicks(path: Path, topic: str, progress: Progress = lambda *_: None) -> Events:
    """Clicks of a file of JSON lines, or of a data set's folder in the common layout; keyed by item.

    Raises:
        ConfigError: naming the file, the line and what is wrong with it.
    """
    return _read_folder(path, topic) if path.is_dir() else _read_lines(path, topic, _click, progress)


def load_requests(path: Path, topic: str, progress: Progress = lambda *_: None) -> Events:
    """Requests of a file of JSON lines; keyed by user.

    Raises:
        ConfigError: naming the file, the line and what is wrong with it.
    """
    return _read_lines(path, topic, _request, progress)


def click_message(topic: str, click: Click) -> ProducerRecord:
    """A click as a message."""
    return ProducerRecord(topic, click.item_id.encode(), encode_message(click))


def request_message(topic: str, request: Request) -> ProducerRecord:
    """A request as a message."""
    return ProducerRecord(topic, request.user_id.encode(), encode_message(request))


def _click(value: bytes) -> tuple[str, int]:
    click = decode_click(value)
    return click.item_id, click.ts


def _request(value: bytes) -> tuple[str, int]:
    request = decode_request(value)
    return request.user_id, request.ts


def _read_folder(path: Path, topic: str) -> Events:
    try:
        data = load(path)
    except RalmError as error:
        raise ConfigError(str(error)) from error
    times = data.event_times if data.timed else data.event_times + _UNTIMED_START
    early = int((times < MIN_EVENT_TIME).sum())
    if early:
        msg = (
            f"{path}: {early} events lie before March 1973, which a flow takes for times in seconds and refuses: "
            "look at their unit, and bring the data again"
        )
        raise ConfigError(msg)
    order = np.argsort(times, kind="stable")

    def message(number: int) -> ProducerRecord:
        row = order[number]
        click = Click(str(data.event_users[row]), str(data.event_items[row]), int(times[row]))
        return click_message(topic, click)

    return Events(times[order], message)


def _read_lines(path: Path, topic: str, decode: Callable[[bytes], tuple[str, int]], progress: Progress) -> Events:
    """Check every line, and keep of each only its time and its place in the file."""
    try:
        with path.open("rb") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        msg = f"{path} cannot be read: {error}"
        raise ConfigError(msg) from error
    times, starts, ends = array("q"), array("q"), array("q")
    start = number = 0
    while line := content.readline():
        number += 1
        if line.strip():
            try:
                times.append(decode(line)[1])
            except InvalidMessage as invalid:
                msg = f"{path}, line {number}: {invalid}"
                raise ConfigError(msg) from None
            starts.append(start)
            ends.append(start + len(line))
        start += len(line)
        if number % _TELL_EVERY == 0:
            progress(start, len(content))
    progress(start, len(content))
    found = np.array(times, np.int64)
    order = np.argsort(found, kind="stable")

    def message(place: int) -> ProducerRecord:
        row = int(order[place])
        value = content[starts[row] : ends[row]].strip()
        return ProducerRecord(topic, decode(value)[0].encode(), value)

    return Events(found[order], message)
