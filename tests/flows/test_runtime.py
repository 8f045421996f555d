"""The sides of a process: what building them starts, and what closing them ends. No broker answers."""

from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import pytest
from confluent_kafka import Message
from toys import toy_bundle

from flows.config.settings import Settings
from flows.messages.batches import RawBatch
from flows.runtime import Runtime, score_side, seed_side
from flows.scoring.live_index import LiveIndex
from flows.seed_sets.state_facts import StateFacts
from flows.support.errors import RalmError
from flows.support.last_start import LastStart
from flows.support.signals import StopFlag
from monitoring.health import Health
from state.directory import STORES, store_path
from state.store.meta import StoreMeta

KINDS = ("clicks", "candidates", "requests")
CONDITIONS = ("index", "polling_clicks", "polling_requests", "dead_letter_brake")


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    bundle = toy_bundle(tmp_path / "bundle", ["u"])
    settings = Settings(
        bootstrap_servers="127.0.0.1:1", state_dir=str(tmp_path / "state"), kafka_options=("socket.timeout.ms=1000",)
    )
    return Runtime(settings, bundle, Health(CONDITIONS), StateFacts(), StopFlag())


def met(runtime: Runtime) -> set[str]:
    """The conditions that are met, but for the brake's, which is so until it is set."""
    return {name for name, state in conditions(runtime).items() if state["ok"]} - {"dead_letter_brake"}


def conditions(runtime: Runtime) -> dict[str, Any]:
    found: dict[str, Any] = runtime.health.ready()[1]["conditions"]
    return found


def with_state(runtime: Runtime, state: StateFacts, **settings: Any) -> Runtime:
    changed = runtime.settings.model_copy(update=settings)
    return Runtime(changed, runtime.bundle, runtime.health, state, runtime.stopping)


class Told:
    """What a broker says of a partition that nobody has read."""

    topic = "clicks"

    def bounds(self, _: int) -> tuple[int, int]:
        return 3, 9

    def committed(self, _: int) -> int | None:
        return None

    def committed_mark(self, _: int) -> str:
        return ""

    def message_time(self, *_: int) -> None:
        return None

    def commit(self, *_: Any) -> None:
        pass


class Loader:
    """Stands for the thread that loads the live index."""

    made: ClassVar["list[Loader]"] = []

    def __init__(self, index: LiveIndex, *_: Any, **__: Any) -> None:
        self.index = index
        self.failure: Exception | None = None
        self.calls: list[str] = []
        self.made.append(self)

    def note_in(self, last_start: LastStart) -> None:
        self.last_start = last_start

    def start(self) -> None:
        self.calls.append("start")

    def stop(self) -> None:
        self.calls.append("stop")


@pytest.fixture
def loaders(monkeypatch: pytest.MonkeyPatch) -> list[Loader]:
    monkeypatch.setattr("flows.runtime.IndexLoader", Loader)
    monkeypatch.setattr(Loader, "made", [])
    return Loader.made


def test_the_seed_side_opens_a_store_for_each_operator_and_closes_it(runtime: Runtime, loaders: list[Loader]) -> None:
    with closing(seed_side(runtime)) as side:
        assert not met(runtime)
        assert not (Path(runtime.settings.state_dir) / STORES).exists()
        side.operator(3)
        assert store_path(Path(runtime.settings.state_dir), 3).is_dir()
    with closing(seed_side(runtime)) as again:
        again.operator(3)  # RocksDB would refuse a store that is still open
    assert not loaders
    assert not runtime.begun.is_set()


def test_the_score_side_takes_requests_once_its_index_is_loaded(runtime: Runtime, loaders: list[Loader]) -> None:
    with closing(score_side(runtime)) as side:
        (loader,) = loaders
        assert not side.requests._options.open()
        assert not met(runtime)
        loader.index.loaded.set()
        assert side.requests._options.open()
        assert met(runtime) == {"index"}
        assert loader.calls == ["start"]
        loader.failure = OSError("the disk is full")
        with pytest.raises(RalmError, match="the live index cannot be kept: the disk is full"):
            side.requests._options.open()
    assert loader.calls == ["start", "stop"]


def test_latest_is_for_a_very_first_start_only(runtime: Runtime) -> None:
    starts = [
        [with_state(runtime, state, start_from="latest", rebuild="partial")._begin(kind)(Told(), 0) for kind in KINDS]
        for state in (
            StateFacts(),
            StateFacts(2, {1: StoreMeta("clicks", 1)}),  # it was killed when it had fixed one partition only
            StateFacts(4, {}, 4, {"clicks": frozenset({0}), "requests": frozenset({0})}),
            StateFacts(4, {0: StoreMeta("clicks", 0)}, 4, {"clicks": frozenset({0}), "requests": frozenset({1})}),
        )
    ]
    assert starts == [[9, 3, 9], [9, 3, 9], [3, 3, 3], [3, 3, 3]]
    grown = with_state(runtime, StateFacts(4, {}, 4), start_from="latest")
    assert grown._begin("clicks")(Told(), 4) == 3


def test_a_store_says_where_to_read_on(runtime: Runtime) -> None:
    meta = StoreMeta("clicks", 0, position=7, candidates=5, resume=6, resume_candidates=4)
    known = with_state(runtime, StateFacts(4, {0: meta}))
    assert [known._begin(kind)(Told(), 0) for kind in KINDS] == [6, 4, 3]


def test_a_process_reads_the_partitions_whose_operators_the_engine_gives_it(runtime: Runtime) -> None:
    mine = []
    for process in range(3):
        one = with_state(runtime, StateFacts(), addresses="a:1,b:1,c:1", process_id=process, workers=2)
        mine.append([p for p in range(12) if one.source("clicks", 10)._options.mine(p)])
        assert all(one.source("requests", 10)._options.mine(p) for p in range(12))
    assert mine == [[0, 1, 6, 7], [2, 3, 8, 9], [4, 5, 10, 11]]
    alone = with_state(runtime, StateFacts(), workers=2).source("clicks", 10)
    assert all(alone._options.mine(p) for p in range(12))


def test_the_first_poll_of_a_source_meets_its_condition_once(runtime: Runtime) -> None:
    source = runtime.source("clicks", 10)
    source._options.beat()
    assert runtime.begun.is_set()
    assert met(runtime) == {"polling_clicks"}
    runtime.health.set("polling_clicks", False, "draining")
    source._options.beat()
    assert not met(runtime)


def test_every_sink_beats_for_the_flows_health(runtime: Runtime) -> None:
    for kind in ("centroids", "scores", "dead_letters"):
        assert runtime.sink(kind)._beat == runtime.health.beat


def test_a_brake_stops_its_own_source_until_it_is_released(runtime: Runtime) -> None:
    settings = runtime.settings.model_copy(update={"dead_letter_max_run": 10})
    braked = Runtime(settings, runtime.bundle, runtime.health, StateFacts(), runtime.stopping)
    clicks, requests = (braked.source(kind, 10)._options for kind in ("clicks", "requests"))
    assert conditions(braked)["dead_letter_brake"]["ok"]
    bad = [Message(topic="clicks", partition=0, offset=n, value=b"{") for n in range(10)]
    braked.decoder().clicks(RawBatch("clicks", "clicks", 0, bad, 10, 0, 0))
    assert (clicks.open(), requests.open()) == (False, True)
    assert "clicks is not read on" in conditions(braked)["dead_letter_brake"]["why"]
    braked.brakes["clicks"].release()
    assert clicks.open()
    assert conditions(braked)["dead_letter_brake"]["ok"]
