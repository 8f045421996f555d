"""Traffic at the present time, without an end: the demo's clicks and requests, as if people clicked now.

The replay of the demo is of another year, and over in a minute. This is for looking at a flow at work: its status page,
its dashboards, its alerts.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

import numpy as np

from flows.admin.replay_files import click_message, request_message
from flows.demo.story import bad_messages
from flows.kafka.producer import Producer, ProducerRecord
from flows.kafka.topics import TopicNames
from flows.messages.types import Click, Request
from flows.offline.datasets.layout import Dataset

LIVE = {
    "window": "30s",
    "allowed_lateness": "2s",
    "idle_after": "5s",
    "min_seeds": 5,
    "item_ttl": "1h",
    "stale_after": "10m",
    "top_k": 10,
}
"""Settings of a flow that is to be looked at: something happens every half minute."""
_STRANGERS = 0.03
"""Share of the requests of users whom no model knows."""
_BAD = 0.002
"""Share of the messages that nobody can use."""
_TOO_LONG = 70_000
_REST_S = 0.05
_LOOK_EVERY_S = 1.0


@dataclass(frozen=True)
class LiveRates:
    """How much is sent.

    Attributes:
        clicks: a second.
        requests: a second.
    """

    clicks: float = 50.0
    requests: float = 10.0


def live_messages(data: Dataset, names: TopicNames, rng_seed: int) -> Iterator[tuple[str, ProducerRecord]]:
    """Messages without an end, of the present time.

    Clicks are the data set's pairs of user and item, drawn at random; requests come from who clicks.

    Yields:
        ``clicks``, ``requests`` or ``bad``, and the message; the caller chooses which of them to send.
    """
    rng = np.random.default_rng(rng_seed)
    bad = bad_messages(names, _TOO_LONG)
    for number in count(1):
        row = int(rng.integers(len(data.event_users)))
        user, item, now = str(data.event_users[row]), str(data.event_items[row]), int(time.time() * 1000)
        yield "clicks", click_message(names.clicks, Click(user, item, now))
        asks = f"nobody-{number}" if rng.random() < _STRANGERS else user
        yield "requests", request_message(names.requests, Request(f"live-{number}", asks, now))
        if rng.random() < _BAD:
            yield "bad", bad[int(rng.integers(len(bad)))]


class LiveTraffic:
    """Sends clicks and requests at their rates.

    Args:
        data: whose clicks.
        names: the topics.
        rates: how many.
        rng_seed: fixes who clicks what.
        clock: seconds that only go forward.
    """

    def __init__(
        self,
        data: Dataset,
        names: TopicNames,
        rates: LiveRates | None = None,
        rng_seed: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        rates = rates or LiveRates()
        self._messages = live_messages(data, names, rng_seed)
        self._rates = {"clicks": rates.clicks, "requests": rates.requests}
        self._due = dict.fromkeys(self._rates, 0.0)
        self._clock = clock
        self._last = self._looked = clock()
        self._names = names
        self._asking = False

    def due(self) -> list[ProducerRecord]:
        """The messages that have become due since the last call; after a pause those of a second at most."""
        now, last = self._clock(), self._last
        self._last = now
        for kind, rate in self._rates.items():
            self._due[kind] = min(self._due[kind] + (now - last) * rate, max(1.0, rate))
        out: list[ProducerRecord] = []
        while any(due >= 1 for due in self._due.values()):
            kind, record = next(self._messages)
            if self._due.get(kind, 1.0) >= 1:
                out.append(record)
                if kind in self._due:
                    self._due[kind] -= 1
        return out

    def run(self, producer: Producer, live: Callable[[], bool]) -> None:
        """Send until it is interrupted; requests only once there is something to recommend.

        Args:
            producer: what sends.
            live: asked now and then whether an item is live; raises to end it.

        Raises:
            RalmError: when something is not delivered.
        """
        try:
            while True:
                for record in self.due():
                    if self._asking or record.topic != self._names.requests:
                        producer.send(record)
                producer.poll(_REST_S)
                if self._clock() - self._looked >= _LOOK_EVERY_S:
                    self._looked, is_live = self._clock(), live()
                    self._asking = self._asking or is_live
        finally:
            producer.flush()
