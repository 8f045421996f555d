"""What a month is made of."""

from dataclasses import dataclass

HOUR = 3_600_000
DAY = 24 * HOUR
WINDOW = HOUR
LATENESS = HOUR // 6
ITEM_TTL = DAY
RETENTION = 3 * DAY
MAX_SEEDS = 20
MIN_SEEDS = 3
REQUEST_TIMEOUT_MS = 300_000


@dataclass(frozen=True)
class Plan:
    """What happens.

    Attributes:
        days: of event time; three equal parts are compared.
        clicks: of a day.
        items: born on a day.
        rng_seed: fixes messages and their order.
        period: days after which the same is done again (a drain with a new bundle, a SIGKILL): a third is made of whole
            periods, so that processes of the same age are compared. 0: one process from the first day to the last.
        times: how many times as many clicks, requests and bad messages the days of the last third have.
        spans: a day's messages are sent in so many parts, each taken in before the next: windows of each are clustered.
        processes: of the flow.
    """

    days: int = 30
    clicks: int = 3000
    items: int = 60
    rng_seed: int = 0
    period: int = 5
    times: int = 1
    spans: int = 4
    processes: int = 1

    def __post_init__(self) -> None:
        if self.period < 0 or self.period in {1, 2} or self.days % 3 or (self.period and self.third % self.period):
            msg = f"{self.days} days are not three parts of whole periods of {self.period} days (0, or 3 or more)"
            raise ValueError(msg)

    @property
    def third(self) -> int:
        """Days of a third."""
        return self.days // 3

    @property
    def max_listings(self) -> int:
        """Items of a partition of which the candidates topic is remembered: there are more before the second third."""
        return max(2, self.items * min(self.third, 5) // 20)

    def load(self, day: int) -> int:
        """How many times as many messages a day has (from 1 on)."""
        return self.times if day > 2 * self.third else 1

    def drains(self, day: int) -> bool:
        """Whether a day begins with a drain and a new bundle."""
        return bool(self.period) and day > 1 and day % self.period == 1

    def kills(self, day: int) -> bool:
        """Whether there is a SIGKILL in the middle of a day."""
        return bool(self.period) and day % self.period == self.period // 2 + 1

    def grows(self, day: int) -> bool:
        """Whether partitions are added on a day: once, before the thirds that are compared."""
        return day == self.period + 1 if self.period else False
