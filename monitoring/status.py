"""What the status page shows: one report, made of metrics, health, the newest windows and a few facts.

The page, ``/-/status`` and the line in the log at each closed window all say what stands here, so that
no two of them disagree.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry

from monitoring.health import Health
from monitoring.metrics import REGISTRY
from monitoring.recent_windows import WINDOWS, ClosedWindow, RecentWindows
from monitoring.samples import Samples
from monitoring.status_history import StatusHistory
from monitoring.status_words import headline, why_none_live

_TICK_S = 1.0
_QUIET_S = 60.0
"""So long after the start without a closed window it is said how it is, unless all is well."""
_STILL_QUIET_S = 600.0
"""And again after so long without one."""
_AGE = "ralm_request_to_score_seconds"

Tell = Callable[..., None]
"""Logs a sentence, with values beside it."""


@dataclass(frozen=True)
class Facts:
    """What does not change while a process runs.

    Attributes:
        flow: the dataflow's name.
        version: of the program.
        topics: the topics' names, by what they are in the contract.
        reads: which of them are read.
        writes: which of them are written.
        model: what is to be shown of the model, ``model_version`` first.
        store: what is to be shown of the store.
        window_ms: length of a window, ms.
        min_seeds: seeds that an item needs.
        started_at: seconds since the epoch.
    """

    flow: str = ""
    version: str = ""
    topics: Mapping[str, str] = field(default_factory=dict)
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    model: Mapping[str, Any] = field(default_factory=dict)
    store: Mapping[str, Any] = field(default_factory=dict)
    window_ms: int = 0
    min_seeds: int = 0
    started_at: float = field(default_factory=time.time)


class StatusReport:
    """Makes the report; every method may be called from any thread.

    Args:
        health: whether it is ready.
        facts: what does not change.
        windows: the newest windows.
        registry: the metrics.
        history: counters of the last minutes.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        health: Health,
        facts: Facts | None = None,
        *,
        windows: RecentWindows = WINDOWS,
        registry: CollectorRegistry = REGISTRY,
        history: StatusHistory | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._health = health
        self._facts = facts or Facts()
        self._windows = windows
        self._registry = registry
        self._history = history or StatusHistory()
        self._clock = clock
        self._quiet_until = clock() + _QUIET_S
        self._lock = threading.Lock()

    def report(self) -> dict[str, Any]:
        """Everything that the page shows, ready for JSON; times are ms since the epoch."""
        now, samples, facts = self._clock(), Samples.now(self._registry), self._facts
        with self._lock:
            over_s, before = self._history.before()
        report: dict[str, Any] = {
            "now": round(now * 1000),
            "recent_s": round(over_s, 1),
            "flow": facts.flow,
            "version": facts.version,
            "started_at": round(facts.started_at * 1000),
            "ready": self._health.ready()[1],
            "inputs": [_input(kind, facts.topics, samples, before, now) for kind in facts.reads],
            "items": self._items(samples),
            "windows": self._window_part(samples),
            "requests": _requests(samples, before) if "requests" in facts.reads else None,
            "dead_letters": _dead_letters(samples, before),
            "writes": _writes(samples, facts),
            "model": dict(facts.model),
            "store": self._store(samples),
        }
        report["verdict"], report["headline"] = headline(report)
        return report

    def tick(self, tell: Tell, *, last: bool = False) -> None:
        """Take a sample when it is time, and log the windows that are done, or what is missing for there to be any.

        Args:
            tell: logs.
            last: whether the process ends: what was not logged yet is logged as it is.
        """
        with self._lock:
            if self._history.due():
                self._history.add(Samples.now(self._registry))
        done = self._windows.finished(at_once=last)
        now = self._clock()
        if done:
            tell("window closed", **self._line(done))
            self._quiet_until = now + _STILL_QUIET_S
        elif now >= self._quiet_until and not last:
            self._quiet_until = now + _STILL_QUIET_S
            report = self.report()
            if report["verdict"] != "good":
                tell("no window has closed", status=report["headline"])

    def start(self, tell: Tell) -> Callable[[], None]:
        """Tick once a second on a thread of its own; what is returned ends it."""
        stopping = threading.Event()

        def run() -> None:
            while not stopping.wait(_TICK_S):
                self.tick(tell)

        thread = threading.Thread(target=run, name="status", daemon=True)
        self.tick(tell)
        thread.start()

        def stop() -> None:
            stopping.set()
            thread.join()
            self.tick(tell, last=True)

        return stop

    def _line(self, done: list[ClosedWindow]) -> dict[str, Any]:
        """The newest of some windows, with the sums of all of them, and how the flow is beside it."""
        report, newest = self.report(), done[-1]
        outcomes: dict[str, int] = {}
        for window in done:
            for outcome, count in window.outcomes.items():
                outcomes[outcome] = outcomes.get(outcome, 0) + count
        line: dict[str, Any] = {"window_end": _iso(newest.end)}
        if len(done) > 1:
            line["windows"] = len(done)
        line |= {"items": sum(window.items for window in done), "clustered": outcomes.pop("emitted", 0)}
        line |= {"skipped": outcomes} if outcomes else {}
        waiting = sum(window.waiting for window in done)
        line |= {"waiting": waiting} if waiting else {}
        items, requests = report["items"], report["requests"]
        line |= {"known": items["known"]} | ({"live": items["live"]} if items["live"] is not None else {})
        if requests:
            line["answers"] = {status: n for status, n in requests["by_status"].items() if n}
        behind = {each["topic_kind"]: each["lag_messages"] for each in report["inputs"] if each["lag_messages"]}
        line |= {"lag": behind} if behind else {}
        line["dead_letters"] = report["dead_letters"]["total"]
        return line | ({} if report["verdict"] == "good" else {"status": report["headline"]})

    def _items(self, samples: Samples) -> dict[str, Any]:
        clicks, index = "clicks" in self._facts.reads, "centroids" in self._facts.reads
        known = _whole(samples.total("ralm_items"))
        live = _whole(samples.total("ralm_index_items")) if index else None
        items: dict[str, Any] = {
            "known": known if clicks else None,
            "live": live,
            "cold": max(0, known - live) if clicks and live is not None else None,
            "touched": _whole(samples.total("ralm_dirty_items")) if clicks else None,
            "waiting": _whole(samples.total("ralm_pending_items")) if clicks else None,
            "seeds": _whole(samples.total("ralm_seeds")) if clicks else None,
            "listed": _whole(samples.total("ralm_listed_items")) if clicks else None,
            "why_none_live": "",
        }
        if not live:
            items["why_none_live"] = why_none_live(self._about_items(samples, items))
        return items

    def _about_items(self, samples: Samples, items: Mapping[str, Any]) -> dict[str, Any]:
        reads = self._facts.reads
        next_end = self._next_end(samples)
        return {
            "clicks_read": samples.total("ralm_messages_read_total", topic_kind="clicks")
            if "clicks" in reads
            else None,
            "centroids_read": (
                samples.total("ralm_messages_read_total", topic_kind="centroids") if "centroids" in reads else None
            ),
            "clicks_lag": samples.total("ralm_kafka_lag_messages", topic_kind="clicks"),
            "items": items["known"],
            "pending": items["waiting"],
            "next_end": _iso(next_end) if next_end else "",
            "outcomes": samples.by("ralm_reclusters_total", "outcome"),
            "ended": samples.by("ralm_items_ended_total", "reason"),
            "min_seeds": self._facts.min_seeds,
        }

    def _next_end(self, samples: Samples) -> int | None:
        """The end of the window that closes next, event time, ms; None before the first click."""
        watermark, length = samples.moment("ralm_watermark_timestamp_seconds"), self._facts.window_ms
        return None if watermark is None or not length else (round(watermark * 1000) // length + 1) * length

    def _window_part(self, samples: Samples) -> dict[str, Any] | None:
        if "clicks" not in self._facts.reads:
            return None
        still = samples.total("ralm_pending_items")
        newest = [
            {
                "end": window.end,
                "closed_at": round(window.closed_at * 1000),
                "changed_at": round(window.changed_at * 1000),
                "partitions": len(window.partitions),
                "items": window.items,
                "clustered": window.outcomes.get("emitted", 0),
                "skipped": {outcome: n for outcome, n in window.outcomes.items() if outcome != "emitted"},
                "waiting": min(window.waiting, _whole(still)),
            }
            for window in self._windows.newest()
        ]
        watermark = samples.moment("ralm_watermark_timestamp_seconds", newest=False)
        return {
            "length_ms": self._facts.window_ms,
            "watermark": _ms(watermark),
            "next_end": self._next_end(samples),
            "closed": _whole(samples.total("ralm_windows_closed_total")),
            "last_centroids_at": _ms(samples.moment("ralm_centroids_last_emit_timestamp_seconds")),
            "index_window_end": _ms(samples.moment("ralm_index_newest_window_end_timestamp_seconds")),
            "late_clicks": _whole(samples.total("ralm_late_clicks_total")),
            "newest": newest,
        }

    def _store(self, samples: Samples) -> dict[str, Any] | None:
        if "clicks" not in self._facts.reads:
            return None
        name = "ralm_snapshot_last_success_timestamp_seconds"
        return {
            **self._facts.store,
            "partitions": sum(1 for _ in samples.values(name)),
            "last_snapshot_at": _ms(samples.moment(name, newest=False)),
        }


def _input(kind: str, topics: Mapping[str, str], samples: Samples, before: Samples, now: float) -> dict[str, Any]:
    name = "ralm_messages_read_total"
    lags = {found["partition"]: lag for found, lag in samples.values("ralm_kafka_lag_messages", topic_kind=kind)}
    times = {
        found["partition"]: stamp
        for found, stamp in samples.values("ralm_kafka_position_timestamp_seconds", topic_kind=kind)
    }
    behind = [now - times[partition] for partition, lag in lags.items() if lag and partition in times]
    read = samples.total(name, topic_kind=kind)
    return {
        "topic_kind": kind,
        "topic": topics.get(kind, kind),
        "read": _whole(read),
        "recent": _whole(read - before.total(name, topic_kind=kind)),
        "partitions": len(lags),
        "lag_messages": _whole(sum(lags.values())) if lags else None,
        "behind_s": round(max([0.0, *behind]), 1) if lags else None,
        "last_message_at": _ms(max(times.values(), default=None)),
        "last_poll_at": _ms(
            max((v for _, v in samples.values("ralm_last_poll_timestamp_seconds", topic_kind=kind)), default=None)
        ),
    }


def _requests(samples: Samples, before: Samples) -> dict[str, Any]:
    name = "ralm_requests_total"
    by_status = {status: _whole(n) for status, n in samples.by(name, "status").items()}
    earlier = before.by(name, "status")
    recent = {status: n - _whole(earlier.get(status, 0.0)) for status, n in by_status.items()}
    total = sum(recent.values())
    return {
        "answered": sum(by_status.values()),
        "by_status": by_status,
        "recent": total,
        "recent_by_status": recent,
        "recent_ok_share": round(recent.get("ok", 0) / total, 4) if total else None,
        "recent_p50_s": _rounded(samples.quantile(0.5, _AGE, before)),
        "recent_p99_s": _rounded(samples.quantile(0.99, _AGE, before)),
        "with_cold_items": _whole(samples.total("ralm_cold_answers_total")),
        "with_stale_items": _whole(samples.total("ralm_stale_answers_total")),
        "cut": _whole(samples.total("ralm_truncated_answers_total")),
    }


def _dead_letters(samples: Samples, before: Samples) -> dict[str, Any]:
    name = "ralm_dead_letters_total"
    reasons = [
        {"topic_kind": found["topic_kind"], "reason": found["reason"], "count": _whole(n)}
        for found, n in samples.values(name)
        if n
    ]
    total = samples.total(name)
    return {
        "total": _whole(total),
        "recent": _whole(total - before.total(name)),
        "reasons": sorted(reasons, key=lambda each: (-each["count"], each["topic_kind"], each["reason"])),
        "not_read": [found["topic_kind"] for found, on in samples.values("ralm_dead_letter_brake") if on],
    }


def _writes(samples: Samples, facts: Facts) -> dict[str, Any]:
    written, errors = (samples.by(f"ralm_{name}_total", "topic_kind") for name in ("messages_written", "write_errors"))
    return {
        "written": {kind: _whole(written.get(kind, 0.0)) for kind in facts.writes},
        "errors": {kind: _whole(errors.get(kind, 0.0)) for kind in facts.writes},
    }


def _whole(value: float) -> int:
    return round(value)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _ms(seconds: float | None) -> int | None:
    return None if not seconds else round(seconds * 1000)


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
