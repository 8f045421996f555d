"""What a client asks about a topic's partitions."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from flows.config.settings import Settings
from flows.kafka.config import consumer_config
from flows.kafka.probe import BrokerProbe
from flows.kafka.topic_client import TopicClient
from flows.kafka.topics import TopicNames


@pytest.mark.broker
def test_where_all_partitions_begin_is_asked_once(
    topics: Callable[..., Settings], client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = topics(partitions=5)
    name = TopicNames.of(settings).clicks
    for partition in range(5):
        client.send_all(name, [(b"k", b"v")] * 4, partition=partition)
    asked: list[list[int]] = []
    bounds = BrokerProbe.bounds

    def counted(probe: BrokerProbe, topic: str, partitions: Iterable[int]) -> dict[int, tuple[int, int]]:
        asked.append(list(partitions))
        return bounds(probe, topic, partitions)

    monkeypatch.setattr(BrokerProbe, "bounds", counted)
    asker = TopicClient(name, consumer_config(settings))
    for partition in range(5):
        assert asker.bounds(partition) == (0, 4)
    assert asked == [list(range(5))]
    asker.close()
