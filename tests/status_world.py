"""A status over metrics of its own, for the tests of the status page."""

import json
from typing import Any

from hand_clock import HandClock
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from monitoring.health import Health
from monitoring.recent_windows import RecentWindows
from monitoring.status import Facts, StatusReport
from monitoring.status_history import StatusHistory

TOPICS = {"clicks": "news.clicks", "requests": "news.requests", "centroids": "news.centroids"}


class World:
    """A status over metrics of its own, with clocks that a test sets."""

    def __init__(self, *reads: str) -> None:
        self.registry = CollectorRegistry()
        self.clock = HandClock(1_000_000.0)
        self.windows = RecentWindows(self.clock)
        self.health = Health(["index"], clock=self.clock)
        self.health.set("index", True)
        self.health.beat()
        facts = Facts("look-alike", "1.0", TOPICS, reads, ("scores",), {"model_version": "m1"}, {}, 300_000, 30, 0.0)
        self.status = StatusReport(
            self.health,
            facts,
            windows=self.windows,
            registry=self.registry,
            history=StatusHistory(self.clock),
            clock=self.clock,
        )
        self.read = Counter("ralm_messages_read", "x", ["topic_kind"], registry=self.registry)
        self.requests = Counter("ralm_requests", "x", ["status"], registry=self.registry)
        self.waits = Histogram("ralm_request_to_score_seconds", "x", registry=self.registry, buckets=(0.1, 1.0, 10.0))
        self.outcomes = Counter("ralm_reclusters", "x", ["outcome"], registry=self.registry)
        self.ended = Counter("ralm_items_ended", "x", ["reason"], registry=self.registry)
        self.letters = Counter("ralm_dead_letters", "x", ["topic_kind", "reason"], registry=self.registry)
        self.errors = Counter("ralm_write_errors", "x", ["topic_kind"], registry=self.registry)
        self.items = self._gauge("items", "partition")
        self.index_items = self._gauge("index_items")
        self.pending_items = self._gauge("pending_items", "partition")
        self.kafka_lag_messages = self._gauge("kafka_lag_messages", "topic_kind", "partition")
        self.kafka_position = self._gauge("kafka_position_timestamp_seconds", "topic_kind", "partition")
        self.watermark = self._gauge("watermark_timestamp_seconds", "partition")

    def _gauge(self, name: str, *labels: str) -> Gauge:
        return Gauge(f"ralm_{name}", "x", labels, registry=self.registry)

    def report(self) -> dict[str, Any]:
        """As it goes over the wire."""
        report: dict[str, Any] = json.loads(json.dumps(self.status.report()))
        return report
