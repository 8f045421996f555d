"""Drives the replay in lockstep with the flow, so that no request is answered from clicks after its own time.

A window's clicks are sent; once the flow has taken them, has closed the windows before, has clustered what they touched
and serves those centroids, the window's requests are sent and answered. Centroids are made from clicks before their
window's end alone, so whatever answers these requests ended before they were asked.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Protocol

import msgspec

from flows.admin.replay_files import click_message, request_message
from flows.config.settings import Settings
from flows.demo.story import Window
from flows.kafka.config import consumer_config
from flows.kafka.consumer import TopicReader
from flows.kafka.producer import Producer, ProducerRecord
from flows.kafka.topics import TopicNames
from flows.messages.batches import RawMessage
from flows.messages.codec import decode_click
from flows.support.errors import RalmError
from flows.support.metrics_page import MetricsPage, ScrapeError
from flows.support.text import counted

IN_FLIGHT = 16
"""Most requests without an answer: so many users wait at once."""
_PATIENCE_S = 60.0
_LOOK_AGAIN_S = 0.05
_LAST_SCRAPES = 5
_ANSWERS_S = 0.02

Advance = Callable[[int], None]
"""Called with how many more messages are done."""


class Flow(Protocol):
    """The running dataflow, as far as this module looks at it."""

    def page(self) -> MetricsPage:
        """Its metrics now; raises ScrapeError when it does not answer this time."""

    def check(self) -> None:
        """Raise when it has ended."""


class Lockstep:
    """Sends windows, each when the flow is ready for it; use it in ``closing``.

    Args:
        settings: the flow's settings.
        flow: the running flow.
        clock: seconds that only go forward.
        sleep: waits for some seconds.

    Raises:
        RalmError: when the broker does not answer.
    """

    def __init__(
        self,
        settings: Settings,
        flow: Flow,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._names = TopicNames.of(settings)
        self._lateness = settings.allowed_lateness
        self._flow = flow
        self._clock = clock
        self._sleep = sleep
        self._newest: dict[str, int] = {}
        self._producer = Producer.of_tool(settings, self._delivered)
        self._bad_producer = Producer.of_tool(settings)
        self._request_id = msgspec.json.Decoder(_RequestId)
        self._answers = TopicReader(self._names.scores, consumer_config(settings), IN_FLIGHT)
        self._answers.add_all(at_end=True)

    def close(self) -> None:
        """Release the clients."""
        self._answers.close()

    def send(self, windows: Sequence[Window], bad: Sequence[ProducerRecord], advance: Advance) -> None:
        """Send all windows; the bad messages go with the clicks of the second one (or the only one).

        Raises:
            RalmError: when something is not delivered, taken or answered in time, or the flow ends.
        """
        for number, window in enumerate(windows):
            for click in window.clicks:
                self._producer.send(click_message(self._names.clicks, click))
            for message in bad if number == min(1, len(windows) - 1) else ():
                self._bad_producer.send(message)
            self._bad_producer.flush()
            self._producer.flush()
            self._wait_until(lambda page: waits_for(page, self._newest, self._lateness))
            advance(len(window.clicks))
            self._ask(window, advance)
        self._wait_until(lambda page: _waits_for_dead_letters(page, len(bad)))

    def _wait_until(self, left: Callable[[MetricsPage], str]) -> None:
        wait_until_done(self._flow, left, self._clock, self._sleep)

    def _ask(self, window: Window, advance: Advance) -> None:
        waiting: set[str] = set()
        unsent = list(reversed(window.requests))
        deadline = self._clock() + _PATIENCE_S
        while unsent or waiting:
            while unsent and len(waiting) < IN_FLIGHT:
                request = unsent.pop()
                waiting.add(request.request_id)
                self._producer.send(request_message(self._names.requests, request))
            self._producer.poll(0)
            answers = self._answers.take_all(_ANSWERS_S)
            answered = waiting & {self._request_id.decode(each.value() or b"{}").request_id for each in answers}
            if answered:
                waiting -= answered
                advance(len(answered))
                deadline = self._clock() + _PATIENCE_S
            elif self._clock() > deadline:
                self._flow.check()
                late = counted(len(waiting), "request has", "requests have")
                msg = f"{late} no answer after {_PATIENCE_S:g} s, {min(waiting)} among them"
                raise RalmError(msg)
        self._producer.flush()

    def _delivered(self, message: ProducerRecord, sent: RawMessage) -> None:
        """Note the newest click of each partition: from there the flow's watermark can be predicted."""
        if message.topic == self._names.clicks:
            partition, ts = str(sent.partition()), decode_click(message.value).ts
            self._newest[partition] = max(ts, self._newest.get(partition, ts))


def wait_until_done(
    flow: Flow, left: Callable[[MetricsPage], str], clock: Callable[[], float], sleep: Callable[[float], None]
) -> None:
    """Wait until a flow's metrics say that nothing is left to do; a scrape that fails is repeated.

    Args:
        flow: the running flow.
        left: what is left by a page of metrics; empty when nothing.
        clock: seconds that only go forward.
        sleep: waits for some seconds.

    Raises:
        RalmError: when something is left for a minute, or the flow ends.
    """
    deadline = clock() + _PATIENCE_S
    while True:
        try:
            waiting = left(flow.page())
        except ScrapeError as error:
            waiting = str(error)
        if not waiting:
            return
        if clock() > deadline:
            msg = f"the flow does not keep up: after {_PATIENCE_S:g} s, {waiting}"
            raise RalmError(msg)
        sleep(_LOOK_AGAIN_S)


def last_page(flow: Flow, sleep: Callable[[float], None] = time.sleep) -> MetricsPage | None:
    """The flow's metrics at the end; None when it answers none of a few scrapes.

    Raises:
        RalmError: when the flow has ended.
    """
    for _ in range(_LAST_SCRAPES):
        try:
            return flow.page()
        except ScrapeError:
            sleep(1.0)
    return None


def waits_for(page: MetricsPage, newest: dict[str, int], lateness: int) -> str:
    """What the flow still has to do before it serves everything that clicks have closed, for a message; else empty.

    Args:
        page: the flow's metrics.
        newest: event time of the newest click sent to each partition, ms.
        lateness: the flow's ``allowed_lateness``, ms.
    """
    watermarks = page.by("ralm_watermark_timestamp_seconds", "partition")
    for partition, ts in newest.items():
        if partition not in watermarks or round(watermarks[partition] * 1000) < ts - lateness:
            return f"partition {partition} has not taken all its clicks"
    # The flow sets a partition's watermark after its pending items, and counts a clustering before it emits it.
    pending = page.total("ralm_pending_items")
    if pending:
        return f"{pending:,.0f} items still wait for clustering"
    made = page.total("ralm_reclusters_total", outcome="emitted")
    read = page.total("ralm_messages_read_total", topic_kind="centroids")
    return f"{made - read:,.0f} centroids are not served yet" if read < made else ""


def _waits_for_dead_letters(page: MetricsPage, bad: int) -> str:
    written = page.total("ralm_messages_written_total", topic_kind="dead_letters")
    return f"{bad - written:,.0f} dead letters are not written yet" if written < bad else ""


class _RequestId(msgspec.Struct):
    request_id: str


def replay_in_lockstep(
    settings: Settings, flow: Flow, windows: Sequence[Window], bad: Sequence[ProducerRecord], advance: Advance
) -> None:
    """Send all windows to a running flow and wait for all answers.

    Raises:
        RalmError: when something is not delivered, taken or answered in time, or the flow ends.
    """
    with closing(Lockstep(settings, flow)) as lockstep:
        lockstep.send(windows, bad, advance)
