"""Clicks, requests and bad messages as strangers would send them: plain JSON through a plain Kafka client."""

import json
import time
from dataclasses import dataclass, field
from random import Random
from typing import Any

from confluent_kafka import KafkaError, Message, Producer

KNOWN = [f"user-{number}" for number in range(300)] + [str(number) for number in range(1000, 1030)]
"""Users of whom the bundle has a vector; those that are numbers are sent as numbers at times."""
STRANGERS = [f"stranger-{number}" for number in range(40)]
ITEMS = ["news/1", "ニュース-2", "i" * 256, "4", *(f"item-{number}" for number in range(5, 61))]
EXPECT = "expect"
"""Header of a bad message: the reason that its dead letter must have."""
DELIVERY_TIMEOUT_MS = 300_000


def bad_messages() -> list[tuple[str, str | None, bytes | None, str]]:
    """Topic, key, value and the reason for which each is refused."""
    click = {"user_id": "user-1", "item_id": "bad", "ts": 1_764_000_000_000}
    return [
        ("clicks", "bad", b'{"user_id": "\xff", "item_id": "bad", "ts": 1764000000000}', "not_utf8"),
        ("clicks", "bad", b"{nonsense", "not_json"),
        ("clicks", "bad", json.dumps(click | {"ts": "1"}).encode(), "wrong_type"),
        ("clicks", "bad", b'{"user_id": "user-1", "item_id": "bad"}', "missing_field"),
        ("clicks", "bad", json.dumps(click | {"ts": 9007199254740000}).encode(), "future_time"),
        ("clicks", "bad", json.dumps(click | {"ts": -5}).encode(), "bad_time"),
        ("clicks", "bad", json.dumps(click | {"user_id": ""}).encode(), "bad_identifier"),
        ("clicks", "bad", json.dumps(click | {"more": "z" * 70_000}).encode(), "oversized"),
        ("clicks", "bad", None, "null_value"),
        ("clicks", None, json.dumps(click).encode(), "null_key"),
        ("clicks", "other", json.dumps(click).encode(), "key_mismatch"),
        ("requests", "user-1", b"[]", "wrong_type"),
        ("requests", "user-1", b'{"request_id": "bad", "user_id": "user-1"}', "missing_field"),
    ]


@dataclass
class Traffic:
    """Sends clicks and requests whose event time is the wall clock's plus ``shift``, and keeps count.

    Attributes:
        servers: the broker's address.
        prefix: of the topics.
        rng: decides everything about the messages.
        shift: ms; negative for a replay of the past.
        delivered: messages that the broker has taken, by topic.
        last: latest event time that ``some`` has used, ms.
    """

    servers: str
    prefix: str
    rng: Random
    shift: int = 0
    delivered: dict[str, int] = field(default_factory=lambda: {"clicks": 0, "requests": 0, "candidates": 0})
    sent: int = 0
    requests: int = 0

    def __post_init__(self) -> None:
        self._producer = self._client()
        self._bad = bad_messages()
        self._failures: list[str] = []
        self._recent: list[tuple[str, Any]] = []

    def begin_anew(self) -> None:
        """Send on through a new client, which knows at once that topics have grown; an older one learns it later."""
        self.flush()
        self._producer = self._client()

    def _client(self) -> Producer:
        config = {
            "bootstrap.servers": self.servers,
            # Not idempotent: after a restart the embedded broker knows no producer's sequence. Duplicates are harmless.
            "acks": "all",
            "max.in.flight": 1,
            "linger.ms": 2,
            "delivery.timeout.ms": DELIVERY_TIMEOUT_MS,
            "log_level": 0,
            "error_cb": lambda _: None,
        }
        return Producer(config)

    def some(self, clicks: int, requests: int, bad: int = 0, *, at: int | None = None) -> None:
        """Send some messages, mixed; never waits for the broker.

        Args:
            clicks: how many clicks.
            requests: how many requests.
            bad: how many messages that must become dead letters.
            at: event time, ms; the present one by default.
        """
        kinds = ["click"] * clicks + ["request"] * requests + ["bad"] * bad
        self.rng.shuffle(kinds)
        now = int(time.time() * 1000) + self.shift if at is None else at
        for kind in kinds:
            if kind == "click":
                self._click(now)
            elif kind == "request":
                self._request(now)
            else:
                topic, key, value, reason = self.rng.choice(self._bad)
                self.send(topic, key, value, [(EXPECT, reason.encode())])

    def send(self, topic: str, key: str | bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]) -> None:
        """Send one message."""

        def done(error: KafkaError | None, _: Message) -> None:
            if error is None:
                self.delivered[topic] += 1
            else:
                self._failures.append(error.str())

        self.sent += 1
        while True:
            try:
                self._producer.produce(self.prefix + topic, value, key, headers=headers, on_delivery=done)
            except BufferError:
                self._producer.poll(0.1)
            else:
                self._producer.poll(0)
                return

    def flush(self) -> None:
        """Wait until the broker has taken everything."""
        left = self._producer.flush(DELIVERY_TIMEOUT_MS / 1000 + 5)
        if left or self._failures:
            msg = f"the harness could not send {left + len(self._failures)} messages: {self._failures[:1]}"
            raise RuntimeError(msg)

    def _click(self, now: int) -> None:
        rng = self.rng
        if self._recent and rng.random() < 0.05:
            item, click = rng.choice(self._recent)  # the same click again
        else:
            user: Any = rng.choice(KNOWN) if rng.random() < 0.9 else rng.choice(STRANGERS)
            item = ITEMS[min(int(rng.paretovariate(0.6)) - 1, rng.randrange(len(ITEMS)))]
            late = rng.randrange(60_000) if rng.random() < 0.03 else 0
            click = {
                "user_id": int(user) if user.isdecimal() and rng.random() < 0.5 else user,
                "item_id": int(item) if item.isdecimal() and rng.random() < 0.5 else item,
                "ts": now - late + rng.randrange(-400, 400),
            }
            self._recent = [*self._recent[-200:], (item, click)]
        self.send("clicks", item, json.dumps(click).encode(), [])

    def _request(self, now: int) -> None:
        rng = self.rng
        user = rng.choice(KNOWN) if rng.random() < 0.9 else rng.choice(STRANGERS)
        request: dict[str, Any] = {"request_id": f"r{self.requests}", "user_id": user, "ts": now}
        if rng.random() < 0.3:
            request["candidates"] = rng.sample(ITEMS, 5)
        if rng.random() < 0.2:
            request["top_k"] = 3
        self.requests += 1
        self.send("requests", user, json.dumps(request).encode(), [])
