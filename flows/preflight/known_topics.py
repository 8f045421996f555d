"""Whether a flow's topics are those that the stores of the state directory were filled from."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing
from functools import partial
from typing import Protocol, TypeAlias

from flows.config.settings import Settings
from flows.engine.source import has_fewer
from flows.kafka.config import consumer_config
from flows.kafka.facts import TopicFacts
from flows.kafka.first_offset import HeldOffsets, PartitionFacts, gone_beyond_store, way_on, why_another
from flows.kafka.sent_centroids import sent_elsewhere
from flows.kafka.topic_client import TopicClient
from flows.kafka.topic_marks import is_within
from flows.kafka.topics import STORED
from flows.preflight.findings import Verdict
from flows.runtime import is_mine
from flows.seed_sets.first_positions import FirstPositions
from flows.seed_sets.state_facts import StateFacts
from flows.support.errors import RalmError
from state.store.meta import StoreMeta

Seen: TypeAlias = tuple[Verdict, str]


class Messages(PartitionFacts, Protocol):
    """What is asked of a topic's partitions."""

    def expect(self, offsets: Mapping[int, int]) -> None:
        """Say the times of which messages will be asked for, by partition, so that they are asked for at once."""
        ...


OpenTopic: TypeAlias = Callable[[str], AbstractContextManager[Messages]]
"""Opens a topic by its name, to ask of its partitions."""


def opened_with(settings: Settings) -> OpenTopic:
    """Opens topics at the brokers that the settings name; nothing is read but single messages."""
    return lambda name: closing(TopicClient(name, consumer_config(settings)))


def compare(
    kind: str, name: str, now: TopicFacts, state: StateFacts, settings: Settings, opened: OpenTopic
) -> Iterator[Seen]:
    """Yield what is thought of a topic beside what this process's stores know of it; nothing where they know nothing.

    Of clicks also whether a store that is not here was lost, as the group and the state directory know.

    Args:
        kind: what the topic is in the contract.
        name: its name.
        now: what the broker says of it.
        state: what the state directory holds.
        settings: the settings.
        opened: opens a topic.
    """
    mine = [partition for partition in state.stores if is_mine(settings, partition)]
    if not now.partitions:
        if kind == "candidates" and state.has_candidates and now.missing:
            text = "it is gone, and the stores have read it: run `ralm topics` to make it; what it said is kept"
            yield Verdict.PROBLEM, text
    elif kind == "centroids" and mine:
        yield _centroids(now, {partition: state.stores[partition] for partition in mine}, partial(opened, name))
    elif kind == "clicks" and (another := next(filter(None, (state.of_another(name, each) for each in mine)), "")):
        yield Verdict.PROBLEM, another
    elif kind == "clicks" and mine and now.partitions < state.partitions:
        yield _another(settings, has_fewer(name, now.partitions, state.partitions))
    elif kind in STORED and mine:
        held = {partition: found for partition in mine if (found := state.held(kind, partition)) is not None}
        yield _beside_stores(kind, now, held, settings, partial(opened, name))
    if kind == "clicks" and now.partitions and now.partitions >= state.partitions:
        yield from _without_stores(name, now, state, settings, opened)


def _without_stores(
    name: str, now: TopicFacts, state: StateFacts, settings: Settings, opened: OpenTopic
) -> Iterator[Seen]:
    """Yield what is thought of clicks whose stores are not here."""
    positions = FirstPositions(settings, state, name, count=now.partitions)
    mine = [partition for partition in range(now.partitions) if is_mine(settings, partition)]
    try:
        with opened(name) as topic:
            lost = positions.lost(topic, mine, now.topic_id)
    except RalmError as error:
        yield Verdict.UNCHECKED, f"whether it was read before: {error}"
        return
    if lost:
        more = f" (and {len(lost) - 1} more of its partitions likewise)" if len(lost) > 1 else ""
        yield Verdict.WARNING if settings.rebuild == "partial" else Verdict.PROBLEM, f"{lost[0]}{more}"


def _beside_stores(
    kind: str,
    now: TopicFacts,
    held: Mapping[int, HeldOffsets],
    settings: Settings,
    opened: Callable[[], AbstractContextManager[Messages]],
) -> Seen:
    """What is thought of a topic that the stores were filled from."""
    try:
        with opened() as topic:
            there = {partition: found for partition, found in sorted(held.items()) if partition < now.partitions}
            why = _why_another(topic, now, there)
            gone = [text for each, found in there.items() if (text := gone_beyond_store(topic, each, found))]
    except RalmError as error:
        return Verdict.UNCHECKED, f"whether it is the one that the stores know: {error}"
    if not why and gone:
        more = f" (and {len(gone) - 1} more of its partitions likewise)" if len(gone) > 1 else ""
        return Verdict.WARNING if settings.rebuild == "partial" else Verdict.PROBLEM, f"{gone[0]}{more}"
    if not why:
        return Verdict.OK, _same({found.mark.topic_id for found in held.values()} - {""}, now.topic_id, len(held))
    if kind == "clicks":
        return _another(settings, f"it is not what the stores were filled from ({why})")
    text = f"it is not the one that the stores know ({why}): what that said is kept, and this one is read from its"
    return Verdict.WARNING, f"{text} beginning"


def _why_another(topic: Messages, now: TopicFacts, held: Mapping[int, HeldOffsets]) -> str:
    """Why the topic is another one than that of the stores, of the first partition that says so."""
    marks = {partition: found.mark for partition, found in held.items()}
    topic.expect({p: mark.offset for p, mark in marks.items() if is_within(mark, topic.bounds(p))})
    for partition, found in held.items():
        if why := why_another(topic, partition, found.position, found.mark, now.topic_id):
            return f"partition {partition}: {why}"
    return ""


def _another(settings: Settings, why: str) -> Seen:
    """Of a clicks topic that is another one: ``rebuild`` says whether that is known."""
    if settings.rebuild == "partial":
        return Verdict.WARNING, f"{why}; rebuild is partial: all seed sets are kept, and it is read from its beginning"
    return Verdict.PROBLEM, f"{why}. {way_on('what the old one had and was not read')}"


def _same(known: set[str], topic_id: str, stores: int) -> str:
    they_know = "1 store knows" if stores == 1 else f"{stores} stores know"
    if topic_id and topic_id in known:
        return f"its id {topic_id} is what {they_know}"
    if topic_id:
        return f"{they_know} no id of it yet, and its messages fit"
    return f"its messages fit what {they_know}; the broker gives no ids"


def _centroids(
    now: TopicFacts, stores: Mapping[int, StoreMeta], opened: Callable[[], AbstractContextManager[Messages]]
) -> Seen:
    try:
        with opened() as topic:
            found = sent_elsewhere(stores, topic, now.partitions, now.topic_id)
    except RalmError as error:
        return Verdict.UNCHECKED, f"whether it is the one that the stores know: {error}"
    for partition, why in found.items():
        return Verdict.WARNING, f"store {partition}: {why}; every item's centroids are sent again"
    return Verdict.OK, _same({meta.centroids_id for meta in stores.values()} - {""}, now.topic_id, len(stores))
