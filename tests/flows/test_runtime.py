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
from flows.support.errors import RalmError
from flows.support.signals import StopFlag
from monitoring.health import Health

CONDITIONS = ("index", "stores", "polling_clicks", "polling_requests", "dead_letter_brake")


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    bundle = toy_bundle(tmp_path / "bundle", ["u"])
    settings = Settings(
        bootstrap_servers="127.0.0.1:1", state_dir=str(tmp_path / "state"), kafka_options=("socket.timeout.ms=1000",)
    )
    return Runtime(settings, bundle, Health(CONDITIONS), {}, StopFlag())


def met(runtime: Runtime) -> set[str]:
    """The conditions that are met, but for the brake's, which is so until it is set."""
    return {name for name, state in conditions(runtime).items() if state["ok"]} - {"dead_letter_brake"}


def conditions(runtime: Runtime) -> dict[str, Any]:
    found: dict[str, Any] = runtime.health.ready()[1]["conditions"]
    return found


class Loader:
    """Stands for the thread that loads the live index."""

    made: ClassVar["list[Loader]"] = []

    def __init__(self, index: LiveIndex, *_: Any) -> None:
        self.index = index
        self.failure: Exception | None = None
        self.calls: list[str] = []
        self.made.append(self)

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
        assert met(runtime) == {"stores"}
        assert not runtime.seeds_dir().exists()
        side.operator(3, None)
        assert (runtime.seeds_dir() / "00003").is_dir()
    with closing(seed_side(runtime)) as again:
        again.operator(3, None)  # RocksDB would refuse a store that is still open
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
    settings = runtime.settings.model_copy(update={"start_from": "latest"})
    new = Runtime(settings, runtime.bundle, runtime.health, {}, runtime.stopping)
    known = Runtime(settings, runtime.bundle, runtime.health, {"clicks": {0}}, runtime.stopping)
    starts = [
        [each.source(kind, 10)._options.start_from for kind in ("clicks", "requests", "candidates")]
        for each in (new, known)
    ]
    assert starts == [["latest", "latest", "earliest"], ["earliest"] * 3]
    new.seeds_dir().mkdir(parents=True)
    assert new.source("clicks", 10)._options.start_from == "earliest"


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
    braked = Runtime(settings, runtime.bundle, runtime.health, {}, runtime.stopping)
    clicks, requests = (braked.source(kind, 10)._options for kind in ("clicks", "requests"))
    assert conditions(braked)["dead_letter_brake"]["ok"]
    bad = [Message(topic="clicks", partition=0, offset=n, value=b"{") for n in range(10)]
    braked.decoder().clicks(RawBatch("clicks", "clicks", 0, bad, 10, 0, 0))
    assert (clicks.open(), requests.open()) == (False, True)
    assert "clicks is not read on" in conditions(braked)["dead_letter_brake"]["why"]
    braked.brakes["clicks"].release()
    assert clicks.open()
    assert conditions(braked)["dead_letter_brake"]["ok"]
