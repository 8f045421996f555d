"""Plays a month: a flow, topics of its own, and a sample at the end of each day."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from confluent_kafka.admin import AdminClient, NewPartitions
from numpy.typing import NDArray

from flows.config.settings import Settings
from flows.kafka.admin import make_topics
from flows.support.metrics_page import MetricsPage
from state.user_keys import user_key
from tests.faults.checks import behind, read_stores, unanswered, wrong_answers, wrong_dead_letters, wrong_seed_sets
from tests.faults.cluster import Cluster
from tests.faults.journal import Journal
from tests.toys import toy_bundle

from .cast import Cast, known_users
from .oracle import MonthOracle, wrong_served
from .plan import DAY, HOUR, ITEM_TTL, LATENESS, MAX_SEEDS, MIN_SEEDS, REQUEST_TIMEOUT_MS, Plan
from .sample import Sample, files_in, on_the_broker, sums, taken
from .traffic import SpanTraffic

_PARTITIONS, _MORE_PARTITIONS = 4, 6
_REQUESTS = 0.05
_BAD = 0.01
"""Requests and bad messages to each click."""
_CATCH_UP_S = 120.0
_AT_WORK_S = 1.0
"""So long at most a flow has worked on what came when it is killed."""
_LOOK_AGAIN_S = 0.05
_DIM = 16


_ALLOCATOR = {
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": "65536",
    "MALLOC_TRIM_THRESHOLD_": "65536",
}
"""How the C library gives memory back in what is measured here. Each request to the status page has a thread, each
thread may get a pool of memory, eight pools a core, and the system gets a buffer of megabytes back when it likes: what
comes into use so, bit by bit, would look like growth."""


class MonthError(Exception):
    """The flow has ended by itself, or does not catch up: the month cannot go on."""


@dataclass(frozen=True)
class MadeBundle:
    """A bundle: its version, and the vector of each user whom it knows, float32[h], by user key."""

    version: str
    vectors: dict[int, NDArray[np.float32]]


class Month:
    """A month; play it, then ask what is wrong.

    Args:
        plan: what happens.
        folder: where the flow lives.
        servers: the broker's address.
        prefix: of the month's topics, and its group.
    """

    def __init__(self, plan: Plan, folder: Path, servers: str, prefix: str = "") -> None:
        self.plan, self.folder, self.servers = plan, folder, servers
        self.home = folder / "flow"
        self.temporary = self.home / "tmp"
        self.temporary.mkdir(parents=True)
        # It ends four hours ago: the last clicks close its windows, and none is ahead of the clock.
        self.start = (int(time.time() * 1000) - 4 * HOUR) // DAY * DAY - plan.days * DAY
        self.bundles: list[MadeBundle] = []
        given: dict[str, Any] = {
            "bootstrap_servers": servers,
            "topic_prefix": prefix,
            "group_id": f"{prefix}month",
            "state_dir": str(self.home / "state"),
            "partitions": _PARTITIONS,
            "window": "1h",
            "allowed_lateness": "10m",
            "item_ttl": "1d",
            "seeds_retention": "3d",
            "max_seeds": MAX_SEEDS,
            "min_seeds": MIN_SEEDS,
            "max_listings": plan.max_listings,
            "clusters": 5,
            "top_k": 20,
            "snapshot_interval": "500ms",
            "stale_after": "7d",
            "queue_kbytes": 256,
            "bundle": str(self._make_bundle()),
        }
        settings = Settings.model_validate(given)
        make_topics(settings)
        cast = Cast(plan, self.start)
        self.cast = cast
        self.traffic = SpanTraffic(servers, prefix, cast, Random(f"{plan.rng_seed}/traffic"))
        self.journal = Journal(servers, prefix)
        self.oracle = MonthOracle(partitions=_PARTITIONS, max_listings=plan.max_listings)
        self.cluster = Cluster(settings, self.home)
        self.cluster.environment = {"TMPDIR": str(self.temporary), **_ALLOCATOR}
        self.wrong: list[str] = []
        self._clicks = self._logged = 0
        self._moments = Random(f"{plan.rng_seed}/kills")

    def play(self) -> Iterator[Sample]:
        """Play it day by day.

        Raises:
            MonthError: when it cannot go on; the logs are in ``home``.
        """
        self._start()
        for day in range(1, self.plan.days + 1):
            if self.plan.drains(day):
                self._change(grow=self.plan.grows(day))
            for span in range(self.plan.spans):
                self._span(day, span, kill=self.plan.kills(day) and span == self.plan.spans // 2)
            yield self._sample(day)
        self._finish()

    def close(self) -> None:
        """End what runs."""
        self.cluster.kill()
        self.journal.close()

    # What happens on a day

    def _span(self, day: int, span: int, *, kill: bool) -> None:
        plan, load = self.plan, self.plan.load(day)
        since = self.start + (day - 1) * DAY + span * DAY // plan.spans
        until = since + DAY // plan.spans
        clicks = plan.clicks * load // plan.spans
        bad = round(_BAD * clicks)
        self.traffic.span(since, until, self._users(), clicks, round(_REQUESTS * clicks), bad)
        for notice in self.cast.said(since, until):
            self.oracle.note(notice)
        self._clicks += clicks
        if kill:
            time.sleep(self._moments.uniform(0, _AT_WORK_S))
            self.cluster.kill()
            self._start()
        self._catch_up()

    def _change(self, *, grow: bool) -> None:
        """Drain, look at the stores, and go on with another bundle; with more partitions, once."""
        self._drain()
        if grow:
            self._grow("clicks", "candidates", "requests")
            self.oracle.partitions = _MORE_PARTITIONS
        self.cluster.settings = self.cluster.settings.model_copy(update={"bundle": str(self._make_bundle())})
        self._start()
        if grow:
            self._grow("centroids")  # those are followed by themselves
        self.traffic.look_for_partitions()
        self.journal.look_for_partitions()

    def _drain(self) -> None:
        ended = self.cluster.terminate()
        if any(code != 0 for code in ended.codes):
            self.wrong.append(f"SIGTERM did not drain it: {ended}")
        self._read_on()
        stored = read_stores(self.home / "state", max_gap=ITEM_TTL)
        self.wrong += behind(stored, self.oracle) + wrong_seed_sets(stored, self.oracle)

    def _start(self) -> None:
        ended = self.cluster.start(self.plan.processes)
        if ended is not None:
            raise MonthError(str(ended))

    def _grow(self, *topics: str) -> None:
        admin = AdminClient({"bootstrap.servers": self.servers, "log_level": 0})
        prefix = self.cluster.settings.topic_prefix
        asked = [NewPartitions(prefix + topic, _MORE_PARTITIONS) for topic in topics]
        for done in admin.create_partitions(asked).values():
            done.result(timeout=20)

    def _make_bundle(self) -> Path:
        number = len(self.bundles)
        users = known_users(number)
        made = toy_bundle(self.folder / f"bundle-{number}", users, dim=_DIM, rng_seed=number)
        keys = [user_key(user) for user in users]
        vectors = made.vectors.gather(made.vectors.rows(np.array(keys, np.uint64)))
        self.bundles.append(MadeBundle(made.version, dict(zip(keys, vectors, strict=True))))
        return made.path

    def _users(self) -> list[str]:
        return known_users(len(self.bundles) - 1)

    # Waiting

    def _catch_up(self) -> None:
        """Wait until all that was sent is taken in, its closed windows are clustered and its requests answered."""
        self._read_on()
        newest = {p: max(click.ts for click in clicks) for p, clicks in self.oracle.clicks.items()}
        self._wait(lambda: self._waiting_for(newest))

    def _waiting_for(self, newest: dict[int, int]) -> str:
        """What is not taken in yet; ``newest`` is the time of the newest click of each partition."""
        reached: dict[str, float] = {}
        for page in self._pages():
            lag = {kind: left for kind, left in page.by("ralm_kafka_lag_messages", "topic_kind").items() if left}
            if lag:
                return f"lag {lag}"
            if pending := page.total("ralm_pending_items"):
                return f"{pending:g} items wait for clustering"
            reached |= page.by("ralm_watermark_timestamp_seconds", "partition")
        late = [p for p, ts in newest.items() if reached.get(str(p), 0) * 1000 < ts - LATENESS]
        if late:
            return f"the watermark of the partitions {late} is behind"
        self._read_on()
        return ", ".join(unanswered(self.journal)[:3])

    def _wait(self, waiting_for: Callable[[], str]) -> None:
        """Wait until nothing is waited for."""
        until = time.monotonic() + _CATCH_UP_S
        said = ""
        while True:
            if self.cluster.has_ended():
                raise MonthError(str(self.cluster.collect()))
            with suppress(OSError):
                if not (said := waiting_for()):
                    return
            if time.monotonic() > until:
                msg = f"it does not catch up within {_CATCH_UP_S:g} s: {said}"
                raise MonthError(msg)
            time.sleep(_LOOK_AGAIN_S)

    def _read_on(self) -> None:
        self.traffic.flush()
        self.journal.read_on()
        for place, click in self.journal.clicks:
            self.oracle.add(place.partition, place.offset, click["item_id"], click["user_id"], click["ts"])
        self.journal.clicks.clear()

    def _pages(self) -> list[MetricsPage]:
        return [process.server.page() for process in self.cluster.processes]

    # Looking

    def _sample(self, day: int) -> Sample:
        self._wait(self._index_lacks)
        state_files, state_mib = files_in(self.home / "state")
        _, logs_mib = files_in(self.home / "state", "*.log")
        temporary, _ = files_in(self.temporary)
        logged = sum(path.stat().st_size for path in self.home.glob("*.log"))
        told = sum(len(json.dumps(process.server.status())) for process in self.cluster.processes)
        groups, topics = on_the_broker(self.servers)
        now = taken(process.pid for process in self.cluster.processes)
        sample = Sample(
            day=day,
            clicks=self._clicks,
            held=len(self.journal.held),
            rss_mib=now.rss_mib - logs_mib,
            threads=now.threads,
            descriptors=now.descriptors,
            children=now.children,
            state_mib=state_mib - logs_mib,
            logs_mib=logs_mib,
            state_files=state_files,
            temporary=temporary,
            log_kib=(logged - self._logged) / 1024,
            status_kib=told / 1024,
            groups=groups,
            topics=topics,
            **sums(self._pages()),
        )
        self._logged = logged
        return sample

    def _index_lacks(self) -> str:
        held = sum(key.startswith(f"{self.bundles[-1].version}/".encode()) for key in self.journal.held)
        found = [page.total("ralm_index_items") for page in self._pages()]
        return "" if set(found) <= {0, held} else f"the index has {found} of {held} items"

    def _finish(self) -> None:
        """Close the last windows, drain, and compare everything."""
        end = self.start + self.plan.days * DAY
        # What the first round of them shows to be served again is clustered with the second.
        for close in (end + 2 * HOUR, end + 4 * HOUR):
            for partition in range(self.oracle.partitions):
                # Clicks of strangers alone: their item stays cold.
                item = next(name for n in range(1000) if self.oracle.home(name := f"last-{n}") == partition)
                self.traffic.click(item, "stranger-0", close)
            self._catch_up()
        with suppress(MonthError):
            self._wait(lambda: "\n".join(self._wrong_served()[:3]))
        self.wrong += self._wrong_served() + self._wrong_answers() + unanswered(self.journal)
        self.wrong += wrong_dead_letters(self.journal, ())
        self._drain()

    def _wrong_served(self) -> list[str]:
        self._read_on()
        bundle = self.bundles[-1]
        users = known_users(len(self.bundles) - 1)
        vectors = np.array([bundle.vectors[user_key(user)] for user in users])
        versions = [made.version for made in self.bundles]
        return wrong_served(self.journal, self.oracle, users, vectors, versions, MIN_SEEDS)

    def _wrong_answers(self) -> list[str]:
        versions: dict[str, list[str]] = {}
        for name, answers in self.journal.answers.items():
            versions.setdefault(answers[0]["model_version"], []).append(name)
        wrong = [f"answers of the model {name}, which nobody trained" for name in versions.keys() - self._versions()]
        for bundle in self.bundles:
            names = versions.get(bundle.version, [])
            wrong += wrong_answers(self.journal, names, bundle.vectors, REQUEST_TIMEOUT_MS, bundle.version)
        return wrong

    def _versions(self) -> set[str]:
        return {bundle.version for bundle in self.bundles}
