"""Who is there: users of whom each bundle knows some, and items that are born, listed, taken down and forgotten."""

from dataclasses import dataclass
from random import Random

from .plan import DAY, HOUR, Plan

_USERS = 300
_MOVED_ON = 20
"""So many users leave with each bundle, and as many come."""
_LASTING = 5
_LIFE = 20 * HOUR
_KINDS = ("clicked",) * 3 + ("returning", "listed", "listed", "retired", "retired", "tombstoned", "relisted")


@dataclass(frozen=True)
class Item:
    """An item's life: it is clicked from ``born`` until ``ends``, event time, ms.

    A life is shorter than ``item_ttl``, so that none of its clicks begins its seeds anew.
    """

    name: str
    kind: str
    born: int
    ends: int
    appeal: float


@dataclass(frozen=True)
class Notice:
    """A message of the candidates topic, with its time; ``body`` None is a tombstone."""

    at: int
    item: str
    body: dict[str, object] | None


class Cast:
    """All items of a month and what is said of them.

    Args:
        plan: how many days and items.
        start: the month's first moment, event time, ms.
    """

    def __init__(self, plan: Plan, start: int) -> None:
        rng = Random(f"{plan.rng_seed}/cast")
        end = start + plan.days * DAY
        self.items = [Item(f"lasting-{n}", "clicked", start, end, 3.0) for n in range(_LASTING)]
        self.notices: list[Notice] = []
        cycle = max(4, plan.third)
        for day in range(plan.days):
            for number in range(plan.items):
                kind = rng.choice(_KINDS)
                name = f"back-{day % cycle}-{number}" if kind == "returning" else f"day-{day}-{number}"
                born = start + day * DAY + rng.randrange(DAY - _LIFE if kind == "returning" else DAY)
                item = Item(name, kind, born, min(born + _LIFE, end), min(rng.paretovariate(1.2), 8.0))
                self.items.append(item)
                self.notices += _notices(item)
        self.notices.sort(key=lambda notice: notice.at)

    def alive(self, since: int, until: int) -> list[Item]:
        """Those that can be clicked in a span."""
        return [item for item in self.items if item.born < until and item.ends > since]

    def said(self, since: int, until: int) -> list[Notice]:
        """The messages about candidates of a span."""
        return [notice for notice in self.notices if since <= notice.at < until]


def _notices(item: Item) -> list[Notice]:
    name: dict[str, object] = {"item_id": item.name}
    if item.kind == "listed":
        return [Notice(item.born, item.name, name | {"expires_at": item.ends + DAY + 6 * HOUR})]
    if item.kind not in {"retired", "tombstoned", "relisted"}:
        return []
    found = [Notice(item.ends, item.name, name | {"retired": True})]
    if item.kind == "tombstoned":
        found.append(Notice(item.ends + 4 * DAY, item.name, None))
    if item.kind == "relisted":
        found.append(Notice(item.ends + 10 * HOUR, item.name, name))
    return found


def known_users(bundle: int) -> list[str]:
    """The users of whom a bundle has a vector, by its number."""
    first = bundle * _MOVED_ON
    return [f"user-{number}" for number in range(first, first + _USERS)]
