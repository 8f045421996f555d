"""What the centroids topic holds already, for a store that is filled anew in place of a lost one."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from flows.messages.batches import Headers, RawMessage, UnreadableHeaders, headers_of, judging_clock
from flows.messages.codec import decode_centroids, split_centroids_key
from flows.messages.emission_order import (
    EmissionOrder,
    first_count_of,
    is_ahead,
    order_of_centroids,
    order_of_tombstone,
    partition_of,
)
from flows.messages.rejects import InvalidMessage


def at_home(_: str) -> bool:
    """No item is away, where clicks have not grown or nobody knows where an item's clicks come now."""
    return False


class Emitted(NamedTuple):
    """What was said of an item, by whatever models.

    Attributes:
        window_end: the greatest window end that was said of it, ms.
        live: whether centroids of it are in the topic that nothing has taken back.
    """

    window_end: int
    live: bool = True


@dataclass(frozen=True)
class EmittedBefore:
    """What was emitted before a partition's store was made.

    Attributes:
        items: what the topic says of each item, of this partition or another.
        mine: the items that are this partition's: where their clicks come now, if that is known, else those of which
            the newest message comes from this partition's clicks.
        models: those whose centroids of these items are in the topic, the newest first.
        clicks_end: where the partition's clicks ended when the process started: a store that holds those before it has
            caught up, whatever the clocks say.
        is_away: whether an item's clicks come to another partition now.
    """

    items: Mapping[str, Emitted] = field(default_factory=dict)
    mine: frozenset[str] = frozenset()
    models: tuple[str, ...] = ()
    clicks_end: int = 0
    is_away: Callable[[str], bool] = at_home

    def live(self) -> list[str]:
        """The items that are served from this partition's clicks by any model, as far as the topic knows."""
        return [item for item in self.mine if self.items[item].live]


class _Newest(NamedTuple):
    """The newest message on an item and a model; ``time`` (ms) is that of the newest of their centroids."""

    order: EmissionOrder
    partition: int | None
    time: int


class EmissionNotes:
    """Notes of the messages of the centroids topic, of each item and model the newest.

    Attributes:
        home: where clicks have grown, the partition to which an item's clicks come now, if that is known; to be set
            before ``before`` is called.
        first_count: the fewest partitions that the clicks topic had at first, as messages say; 0 where none says that
            it has grown.
    """

    def __init__(self, home: Callable[[str], int] | None = None) -> None:
        self.home = home
        self.first_count = 0
        self._newest: dict[tuple[str, str], _Newest] = {}

    def note(self, messages: Iterable[RawMessage], now_ms: int) -> None:
        """Note messages; what no scorer takes, since it cannot be read or is of the future, is passed over.

        Args:
            messages: the messages.
            now_ms: wall clock, ms since the epoch.
        """
        for message in messages:
            try:
                model, item_id = split_centroids_key(message.key())
                value = message.value()
                headers = headers_of(message)
                order = _order(value, headers)
                partition, first_count = partition_of(headers), first_count_of(headers)
            except (InvalidMessage, UnreadableHeaders):
                continue
            known = self._newest.get((model, item_id))
            if order is None:  # it retires what was there when it came
                order = (EmissionOrder(0, 0) if known is None else known.order)._replace(retired=True, tie=0)
            if is_ahead(order, judging_clock(message, now_ms)):
                continue
            self.first_count = min(filter(None, (self.first_count, first_count)), default=0)
            if known is None or order > known.order:
                time = 0 if known is None else known.time
                newest = time if order.retired else max(time, message.timestamp()[1])
                self._newest[model, item_id] = _Newest(order, partition, newest)

    def clicks_offset(self, partition: int) -> int:
        """The greatest offset of a partition's clicks that an item's newest message comes of; 0 where none does."""
        offsets = (each.order.clicks_offset for each in self._newest.values() if each.partition == partition)
        return max(offsets, default=0)

    def before(self, partition: int, clicks_end: int) -> EmittedBefore | None:
        """What was emitted before a partition's store was made; None where nothing was, and every item is at home."""
        home = self.home
        if not self._newest and home is None:
            return None
        is_away = at_home if home is None else lambda item: home(item) != partition
        mine = frozenset(item for item, where in self._homes.items() if where == partition)
        return EmittedBefore(self._items, mine, self._models.get(partition, ()), clicks_end, is_away)

    def __len__(self) -> int:
        return len(self._items)

    @cached_property
    def _items(self) -> dict[str, Emitted]:
        found: dict[str, Emitted] = {}
        for (_, item), (order, _, _) in self._newest.items():
            known = found.get(item, Emitted(0, live=False))
            found[item] = Emitted(max(known.window_end, order.window_end), known.live or not order.retired)
        return found

    @cached_property
    def _homes(self) -> dict[str, int | None]:
        """Of each item where its clicks come now, or from where its newest message comes; None where nobody says it."""
        home = self.home
        if home is not None:  # it may have moved since its newest message
            return {item: home(item) for _, item in self._newest}
        newest: dict[str, _Newest] = {}
        for (_, item), each in self._newest.items():
            if item not in newest or each.order > newest[item].order:
                newest[item] = each
        return {item: each.partition for item, each in newest.items()}

    @cached_property
    def _models(self) -> dict[int | None, tuple[str, ...]]:
        """Of each partition the models with centroids of its items that nothing has taken back, the newest first."""
        times: dict[int | None, dict[str, int]] = {}
        for (model, item), (order, _, time) in self._newest.items():
            if not order.retired:
                found = times.setdefault(self._homes[item], {})
                found[model] = max(time, found.get(model, 0))
        return {partition: tuple(sorted(found, key=lambda m: (-found[m], m))) for partition, found in times.items()}


def _order(value: bytes | None, headers: Headers) -> EmissionOrder | None:
    if value is None:
        return order_of_tombstone(headers)
    return order_of_centroids(decode_centroids(value), value)
