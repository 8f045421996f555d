"""Sends the messages of a span of event time: clicks, requests, what is said of candidates, and bad messages."""

import json
from collections.abc import Sequence
from random import Random
from typing import Any

from tests.faults.generator import EXPECT, Traffic, bad_messages

from .cast import Cast, Item
from .plan import HOUR, LATENESS

_STRANGERS = [f"stranger-{number}" for number in range(30)]
_LATE = 2 * HOUR


class SpanTraffic:
    """Messages of one span after the other.

    Args:
        servers: the broker's address.
        prefix: of the topics.
        cast: whom they are about.
        rng: decides everything about them.
    """

    def __init__(self, servers: str, prefix: str, cast: Cast, rng: Random) -> None:
        self._where = (servers, prefix)
        self._cast, self._rng = cast, rng
        self._bad = bad_messages()
        self._asked = 0
        self._letters = 0
        self.look_for_partitions()

    def look_for_partitions(self) -> None:
        """Begin with a new client, which knows of partitions that were added."""
        self._traffic = Traffic(*self._where, self._rng)

    def span(self, since: int, until: int, users: Sequence[str], clicks: int, requests: int, bad: int) -> None:
        """Send the messages of a span, and wait until the broker has them.

        Args:
            since: its beginning, event time, ms.
            until: its end.
            users: those whom the bundle knows.
            clicks: how many.
            requests: how many.
            bad: how many messages that must become dead letters.
        """
        rng, alive = self._rng, self._cast.alive(since, until)
        chosen = rng.choices(alive, [item.appeal for item in alive], k=clicks)
        sent = [(self._time(item, since, until), item.name, self._user(users)) for item in chosen]
        # In the order of their times, nearly.
        for ts, item, user in sorted(sent, key=lambda each: each[0] + rng.randrange(LATENESS // 2)):
            late = rng.random() < 0.02 and ts - _LATE > since
            self.click(item, user, ts - rng.randrange(_LATE) if late else ts)
        for notice in self._cast.said(since, until):
            self._send("candidates", notice.item, notice.body)
        for _ in range(requests):
            self._request(rng.randrange(since, until), alive, users)
        for number in range(self._letters, self._letters + bad):
            topic, key, value, reason = self._bad[number % len(self._bad)]
            self._traffic.send(topic, key, value, [(EXPECT, reason.encode())])
        self._letters += bad
        self._traffic.flush()

    def click(self, item: str, user: str, ts: int) -> None:
        """Send one click."""
        self._send("clicks", item, {"user_id": user, "item_id": item, "ts": ts})

    def flush(self) -> None:
        """Wait until the broker has everything."""
        self._traffic.flush()

    def _time(self, item: Item, since: int, until: int) -> int:
        return self._rng.randrange(max(since, item.born), min(until, item.ends))

    def _user(self, users: Sequence[str]) -> str:
        return self._rng.choice(users if self._rng.random() < 0.9 else _STRANGERS)

    def _request(self, ts: int, alive: Sequence[Item], users: Sequence[str]) -> None:
        rng, user = self._rng, self._user(users)
        request: dict[str, Any] = {"request_id": f"r{self._asked}", "user_id": user, "ts": ts}
        if rng.random() < 0.3:
            request["candidates"] = [item.name for item in rng.sample(alive, min(len(alive), 5))]
        self._asked += 1
        self._send("requests", user, request)

    def _send(self, topic: str, key: str, body: dict[str, Any] | None) -> None:
        self._traffic.send(topic, key, None if body is None else json.dumps(body).encode(), [])
