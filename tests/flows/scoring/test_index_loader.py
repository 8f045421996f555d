"""The live index follows the centroids topic: all of it before the first answer, whatever else stands there."""

from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transactions import transaction
from waiting import wait_until

from flows.config.settings import Settings
from flows.kafka.config import consumer_config
from flows.kafka.consumer import TopicReader
from flows.kafka.topics import TopicNames
from flows.messages.codec import encode_centroids
from flows.messages.emission_order import order_headers
from flows.messages.types import Centroids
from flows.scoring.index_loader import IndexLoader
from flows.scoring.live_index import LiveIndex
from flows.support.errors import RalmError
from flows.support.last_start import LastStart
from ralm.scoring import CountedForm

pytestmark = pytest.mark.broker
FORM = CountedForm(4)


def centroids(item: str, dim: int = 4, **changes: Any) -> tuple[str, bytes]:
    counts, vectors = np.ones(2, np.int64), np.ones((2, dim), np.float32)
    message = Centroids.of(
        item_id=item,
        model_version="v1",
        counts=counts,
        centroids=vectors,
        global_=vectors[0],
        **{"window_end": 1000, "seeds": 2, **changes},
    )
    return f"v1/{item}", encode_centroids(message)


@contextmanager
def loading(settings: Settings) -> Any:
    index = LiveIndex(FORM)
    loader = IndexLoader(index, TopicNames.of(settings).centroids, consumer_config(settings), "v1", FORM.dim)
    loader.start()
    try:
        yield index, loader
    finally:
        loader.stop()


def test_it_says_when_centroids_of_another_model_come_in(
    topics: Callable[..., Settings], client: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """As where two processes have different bundles: each scores a part of the items, and all looks well."""
    settings = topics(partitions=1)
    name = TopicNames.of(settings).centroids
    client.send_all(name, [("v0/i", b"of the model before"), centroids("i")])
    with loading(settings) as (index, _):
        wait_until(index.loaded.is_set)
        client.send_all(name, [("v0/j", None), centroids("j")])
        wait_until(lambda: index.view.size == 2)
        assert "another model" not in "".join(capsys.readouterr())
        client.send_all(name, [("v2/k", b"x"), ("v2/l", b"x"), centroids("l")])
        wait_until(lambda: index.view.size == 3)
    said = "".join(capsys.readouterr())
    assert said.count("centroids of another model come in") == 1
    assert "v2" in said


def test_it_loads_what_is_there_and_follows_what_comes(
    topics: Callable[..., Settings], client: Any, broker: str
) -> None:
    settings = topics(partitions=3)
    name = TopicNames.of(settings).centroids
    odd = [("v1/odd", b"no centroids"), ("no key", b""), centroids("short", dim=3), ("v2/other", b"x")]
    odd += [centroids("i5", seeds=2**63), centroids("i6", window_end=2**53 - 1)]
    client.send_all(name, [*(centroids(f"i{number}") for number in range(20)), *odd])
    client.send_all(name, [("v1/i7", None)])
    transaction(broker, name, [b"aborted"] * 5, commit=False)  # so that the end lies behind the last message
    with loading(settings) as (index, loader):
        assert index.loaded.wait(120), loader.failure
        assert index.view.size == 19
        client.send_all(name, [centroids("late"), ("v1/i3", None)])
        wait_until(lambda: index.view.slot("late") is not None and index.view.slot("i3") is None)
        assert loader.failure is None


def test_a_topic_that_has_grown_brings_nothing_old_back(topics: Callable[..., Settings], client: Any) -> None:
    """Of an item whose messages lie in several partitions the newest holds, though no order of reading is given."""
    settings = topics(partitions=2)
    name = TopicNames.of(settings).centroids
    for item in range(20):
        old, new = item % 2, 1 - item % 2
        client.send_all(name, [centroids(f"gone{item}", window_end=1000)], partition=old)
        client.send_all(name, [(f"v1/gone{item}", None)], partition=new, headers=order_headers(1000, 7))
        client.send_all(name, [centroids(f"kept{item}", window_end=2000)], partition=new)
        client.send_all(name, [centroids(f"kept{item}", window_end=1000)], partition=old)
    with loading(settings) as (index, loader):
        assert index.loaded.wait(120), loader.failure
        view = index.view
        assert {view.window_end(slot) for slot in range(view.size)} == {2000}
        assert all(view.slot(f"kept{item}") is not None for item in range(20))
        assert view.size == 20


def test_where_it_begins_is_noted_before_it_reads_what_may_end_the_process(
    topics: Callable[..., Settings], client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = topics(partitions=2)
    name = TopicNames.of(settings).centroids
    client.send_all(name, [centroids("first")], partition=1)
    index, last_start = LiveIndex(FORM), LastStart(tmp_path)
    loader = IndexLoader(index, name, consumer_config(settings), "v1", FORM.dim)
    loader.note_in(last_start)

    def as_one_that_aborts(*_: object) -> None:
        after = LastStart(tmp_path)
        msg = f"crashed {after.crashed}, stood at {[after.stood_at('centroids', part) for part in range(3)]}"
        raise RalmError(msg)

    monkeypatch.setattr(TopicReader, "add", as_one_that_aborts)
    loader.run()
    assert str(loader.failure) == "crashed True, stood at [0, 0, None]"


def test_an_empty_topic_is_loaded_at_once_and_a_missing_one_is_a_failure(
    topics: Callable[..., Settings], broker: str
) -> None:
    with loading(topics()) as (index, loader):
        assert index.loaded.wait(120), loader.failure
    with loading(Settings(bootstrap_servers=broker, topic_prefix="nowhere.")) as (index, loader):
        wait_until(lambda: loader.failure is not None)
        assert isinstance(loader.failure, RalmError)
        assert "ralm topics" in str(loader.failure)
        assert not index.loaded.is_set()
