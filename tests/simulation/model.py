"""What the README and the decisions 18 and 19 promise, and nothing of how it is done: what must have come in the end.

It reads a partition's two logs once, in the order of their offsets, and keeps every click.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

_HERE = 10**9
Seeds = dict[int, int]
"""Of each user's key the time of its newest click."""


@dataclass(frozen=True)
class Rules:
    """The settings, ms."""

    window: int
    lateness: int
    idle_after: int
    max_seeds: int
    item_ttl: int
    retention: int
    max_items: int
    max_listings: int
    only_listed: bool
    min_seeds: int
    max_future: int


@dataclass(frozen=True)
class Click:
    """A good message of the clicks topic: when it came by the broker's clock, and what it says."""

    came: int
    item: str
    user: int
    ts: int


@dataclass(frozen=True)
class Listing:
    """A good message of the candidates topic."""

    item: str
    retired: bool
    expires_at: int | None
    offset: int


@dataclass
class Model:
    """A partition: candidates and clicks as they are taken, in the order of their offsets.

    Attributes:
        rules: the settings.
        heard: when the newest message of the clicks topic came, good or not.
        listings: of each item the last, oldest first.
        elsewhere: those that were said in other partitions, before the topic grew: they are older.
    """

    rules: Rules
    heard: int = 0
    listings: dict[str, Listing] = field(default_factory=dict)
    elsewhere: dict[str, Listing] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.newest, self.closed = 0, 0
        # With how often the topic had grown when it was folded in before its item moved, else ``_HERE``; the window
        # that folds it in; and its own.
        self.kept: dict[str, list[tuple[int, int, int, Click]]] = {}

    def take_over(self, item: str, other: "Model", age: int) -> None:
        """An item comes from another partition; one that nothing has come to yet goes on with the other's clock.

        What was folded in there stays before all that is folded in here.
        """
        if not self.newest:
            self.newest, self.closed = other.newest, other.closed
        moved = [
            (age if when == _HERE and folded <= other.closed else when, folded, own, click)
            for when, folded, own, click in other.kept.pop(item)
        ]
        self.kept[item] = [*moved, *self.kept.get(item, [])]

    def say(self, listing: Listing) -> None:
        """Take the next message of the candidates topic."""
        self._unsay(listing.item)
        self.listings[listing.item] = listing
        self.forget()

    def follow(self, rules: Rules) -> None:
        """Go on with other settings."""
        self.rules = rules
        self.forget()

    def cut(self, rules: Rules) -> None:
        """Go on with other windows: an open one that is longer ends with that of its newest click."""
        longer, self.rules = rules.window < self.rules.window, rules
        for item, kept in self.kept.items() if longer else ():
            newest: dict[tuple[int, int, int], int] = {}
            for *place, click in kept:
                newest[tuple(place)] = max(click.ts, newest.get(tuple(place), 0))
            self.kept[item] = [(*self._cut(place, newest[tuple(place)]), click) for *place, click in kept]

    def _cut(self, place: list[int], newest: int) -> tuple[int, int, int]:
        when, folded, own = place
        shorter = self._floor(newest) + self.rules.window
        if when != _HERE or folded <= self.closed or own <= shorter:
            return when, folded, own
        return when, self._folded(shorter), shorter

    def _folded(self, own: int) -> int:
        """The window that folds in what comes now; what is late goes with the next one."""
        return own if own > self.closed else self._floor(self.closed) + self.rules.window

    def forget(self) -> None:
        """Forget what is said of more than ``max_listings`` items, the oldest first, else by name."""
        known = [*sorted(self.elsewhere, key=lambda item: (self.elsewhere[item].offset, item)), *self.listings]
        for item in known[: max(0, len(known) - self.rules.max_listings)]:
            self._unsay(item)

    def _unsay(self, item: str) -> Listing | None:
        return self.listings.pop(item, None) or self.elsewhere.pop(item, None)

    def hear_from(self, item: str, other: "Model", end: int) -> None:
        """What another partition, in which messages ended at an offset, knows of an item comes with it."""
        said = other._unsay(item)
        if said is not None and item not in self.listings and item not in self.elsewhere:
            self.elsewhere[item] = replace(said, offset=said.offset - end)

    def _floor(self, time: int) -> int:
        return time // self.rules.window * self.rules.window

    def _last(self, item: str) -> int:
        return max(click.ts for *_, click in self.kept[item])

    def take(self, click: Click) -> None:
        """Take the next good click."""
        rules = self.rules
        self.newest = max(self.newest, min(click.ts, click.came))  # no click moves the watermark beyond the clock
        passed = self._floor(self.newest - rules.lateness)
        if passed > self.closed:
            self.closed = passed
            if rules.retention:
                gone = [item for item in self.kept if self._last(item) < self.closed - rules.retention]
                for item in gone:
                    del self.kept[item]
        if click.item not in self.kept and len(self.kept) >= rules.max_items:
            longest_idle = sorted(self.kept, key=lambda item: (self._last(item), item))
            surplus = len(self.kept) - rules.max_items  # of items that came from other partitions
            for item in longest_idle[: surplus + max(1, rules.max_items // 64)]:
                del self.kept[item]
        own = self._floor(click.ts) + rules.window
        self.kept.setdefault(click.item, []).append((_HERE, self._folded(own), own, click))

    def seeds(self, item: str, until: int | None = None, most: int = 0) -> Seeds:
        """An item's set as of a window's end, or of all its clicks; of ``most`` users, 0: as it is set."""
        windows: dict[tuple[int, int, int], list[Click]] = {}
        for when, folded, own, click in self.kept.get(item, ()):
            if until is None or folded <= until or when != _HERE:
                windows.setdefault((when, folded, own), []).append(click)
        found: Seeds = {}
        since = 0
        for end in sorted(windows):
            first = min(click.ts for click in windows[end])
            if self.rules.item_ttl and found and first - max(found.values()) > self.rules.item_ttl:
                found, since = {}, first - self.rules.item_ttl
            for click in windows[end]:
                if click.ts >= since:  # what is late by more is of the set that has ended
                    found[click.user] = max(click.ts, found.get(click.user, 0))
        newest = sorted(found.items(), key=lambda seed: (seed[1], seed[0]))[-(most or self.rules.max_seeds) :]
        return dict(newest)

    def reached(self, now: int) -> int:
        """The end of the last window that the partition has reached once it was idle until ``now``."""
        idle = now - self.heard
        if not self.newest or idle < self.rules.idle_after:
            return self.closed
        return max(self.closed, self._floor(self.newest - self.rules.lateness + idle))

    def is_served(self, item: str, now: int) -> bool:
        """Whether an item is served as of an event time."""
        rules, said = self.rules, self.listings.get(item) or self.elsewhere.get(item)
        if said is not None:
            return not said.retired and (said.expires_at is None or said.expires_at > now)
        return not rules.only_listed and (not rules.item_ttl or self._last(item) >= now - rules.item_ttl)

    def index(self, now: int) -> dict[str, Seeds]:
        """What can be scored once all is quiet: of each item the set that its centroids were made of."""
        end = self.reached(now)
        sets = {item: self.seeds(item, end) for item in self.kept if self.is_served(item, end)}
        return {item: seeds for item, seeds in sets.items() if len(seeds) >= self.rules.min_seeds}

    def items(self) -> Iterable[str]:
        """The items of which anything is kept."""
        return self.kept
