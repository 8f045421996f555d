"""What comes to the topics from without: clicks, listings and takedowns, requests, and bad ones of each."""

from dataclasses import dataclass
from random import Random
from typing import Any, Self

from .checks import USERS
from .growth import home
from .world import World

ITEMS = [f"i{number}" for number in range(10)]
MAX_FUTURE = 300_000


@dataclass(frozen=True)
class Habits:
    """How producers are in a schedule, so that each is of a kind of its own.

    Attributes:
        most: clicks at once, at most.
        few_items: the share of clicks that are on the first three items.
        users: how many there are.
        spread: how old clicks are, ms, but for the late ones.
        late: the share of clicks that are up to 15 s late.
        fast: the share of clicks of a clock that is up to 5 s fast.
        even: the share of times that lie on a window's end, so that many are equal.
        retires: the share of listings that take an item down.
    """

    most: int
    few_items: float
    users: int
    spread: int
    late: float
    fast: float
    even: float
    retires: float

    @classmethod
    def drawn(cls, rng: Random) -> Self:
        """Of a busy service, or of one where an item is clicked now and then."""
        late, fast = rng.choice([0.02, 0.3]), rng.choice([0.0, 0.02])
        even, retires = rng.choice([0.0, 0.0, 0.4]), rng.choice([0.4, 0.4, 0.8])
        if rng.random() < 0.15:
            return cls(2, 0.0, 24, rng.choice([4000, 8000]), late, fast, even, retires)
        return cls(11, 0.6, rng.choice([4, 24, 24]), 200, late, fast, even, retires)

    @property
    def seldom(self) -> bool:
        """Whether clicks come now and then, in no order, and the partition idles between them."""
        return self.few_items == 0


class Producers:
    """All that send to the topics.

    Args:
        world: the topics and the clock.
        habits: how they are.
        window: length of the windows, ms.

    Attributes:
        bad: the bad messages: topic, partition and offset.
    """

    def __init__(self, world: World, habits: Habits, window: int) -> None:
        self._world, self._rng, self._habits, self._window = world, world.rng, habits, window
        self._users = USERS[: habits.users]
        self._asked = 0
        self._retired = False
        self.bad: set[tuple[str, int, int]] = set()

    @property
    def _partitions(self) -> int:
        return len(self._world.topics["clicks"].logs)

    def click(self, ago: int = 0, only: int | None = None, most: int = 0) -> None:
        """Some clicks come.

        Args:
            ago: for how long clients could not send them, ms.
            only: on items of this partition; None: of all.
            most: so many at most; 0: as usual.
        """
        rng, habits = self._rng, self._habits
        items = [item for item in ITEMS if only is None or home(item, self._partitions) == only]
        for _ in range(rng.randrange(1, (most or habits.most) + 1)):
            few = rng.random() < habits.few_items
            item, now, value = (
                items[rng.randrange(min(3, len(items)) if few else len(items))],
                self._world.clock.now - ago,
                rng.random(),
            )
            ts = now - (rng.randrange(habits.spread) if value > habits.late else rng.randrange(15_000))
            if value > 1 - habits.fast:
                ts = now + rng.randrange(5000)
            click: dict[str, Any] = {"user_id": rng.choice(self._users), "item_id": item, "ts": self._even(ts)}
            partition = home(item, self._partitions)
            if rng.random() < 0.02:
                click["ts"] = rng.choice([ts // 1000, now + 2 * MAX_FUTURE, "x"])
                self._is_bad("clicks", partition)
            self._world.click(partition, item, click)

    def last_clicks(self) -> None:
        """A click comes to each partition, at once."""
        for partition in range(self._partitions):
            item = next(item for item in ITEMS if home(item, self._partitions) == partition)
            click = {"user_id": USERS[0], "item_id": item, "ts": self._world.clock.now}
            self._world.click(partition, item, click)

    def ask(self) -> None:
        """A request comes."""
        rng, user = self._rng, self._rng.choice(USERS)
        request: dict[str, Any] = {"request_id": f"r{self._asked}", "user_id": user, "ts": self._world.clock.now}
        self._asked += 1
        bad = rng.random() < 0.05
        if bad:
            request["ts"] = rng.choice([request["ts"] // 1000, None, request["ts"] + 2 * MAX_FUTURE])
        record = self._world.request(user, request)
        if bad:
            self.bad.add(("requests", record._partition, record._offset))

    def list(self) -> None:
        """An item is listed or taken down."""
        rng, item = self._rng, self._rng.choice(ITEMS)
        if rng.random() < 0.03:
            self._is_bad("candidates", home(item, self._partitions))
            self._say(item, {"item_id": 1.5})
        elif rng.random() < self._habits.retires:
            self._say(item, rng.choice([{"item_id": item, "retired": True}, None]))
        else:
            until = self._even(self._world.clock.now + rng.randrange(-2000, 8000))
            self._say(item, rng.choice([{"item_id": item}, {"item_id": item}, {"item_id": item, "expires_at": until}]))

    def list_or_retire(self) -> None:
        """An item that is clicked much is listed if it was taken down last, else it is taken down."""
        self._retired = not self._retired
        self._say(ITEMS[0], {"item_id": ITEMS[0], "retired": self._retired})

    def sweep(self, said: dict[str, Any] | None = None) -> None:
        """All items are taken down, or all are listed."""
        more = self._rng.choice([{"retired": True}, {}]) if said is None else said
        for item in ITEMS:
            self._say(item, {"item_id": item, **more})

    def _say(self, item: str, value: object | None) -> None:
        self._world.candidate(home(item, self._partitions), item, value)

    def _even(self, time: int) -> int:
        return time // self._window * self._window if self._rng.random() < self._habits.even else time

    def _is_bad(self, kind: str, partition: int) -> None:
        self.bad.add((kind, partition, len(self._world.topics[kind].logs[partition])))
