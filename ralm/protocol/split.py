"""The ways to cut a data set into what is learned from and what is asked.

========= =================================================================================================
``time``  learned from: the clicks before one moment; asked for: those from then on
``user``  learned from: the earlier clicks of each user; asked for: each user's later ones. For data that
          has no times: its order is random, and so is then what is held out
``items`` learned from: all clicks on most items; the other items are given by the earlier half of their
          clickers alone, and asked for the later half
========= =================================================================================================

In all of them an item's seeds are its clickers in the earlier part, and positives are later clickers who are not
seeds. Users who have fewer clicks to learn from than a floor, and items with fewer seeds, are left out and counted.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ralm.features import Interactions, Ints
from ralm.protocol.task import Task
from ralm.seed_lists import SeedLists


@dataclass(frozen=True)
class Floors:
    """Below these, users and items are not judged.

    Attributes:
        clicks: least clicks of a user that were learned from.
        seeds: least seeds of an item.
        users: most users that are judged; of more, so many are drawn, since users x items must fit in memory.
    """

    clicks: int = 5
    seeds: int = 10
    users: int = 5000


def time_split(data: Interactions, cut: int, floors: Floors) -> Task:
    """Learn from the clicks before ``cut`` (ms), ask for those from then on.

    Raises:
        ValueError: when nothing is left to learn from or to judge.
    """
    return later_clicks("time", data, data.clicks_time < cut, floors)


def user_split(data: Interactions, share: float, floors: Floors) -> Task:
    """Learn from the first ``share`` of each user's clicks, ask for the others.

    Raises:
        ValueError: when nothing is left to learn from or to judge.
    """
    return later_clicks("user", data, data.first_of_each_user(share), floors)


def later_clicks(name: str, data: Interactions, learned: NDArray[np.bool_], floors: Floors) -> Task:
    """Learn from some clicks, bool[n], ask for the others.

    Raises:
        ValueError: when nothing is left to learn from or to judge.
    """
    train, later = data.only(learned), data.only(~learned)
    everything = np.arange(data.items)
    counts = SeedLists.of_clicks(train, everything).counts
    items = np.flatnonzero(counts >= floors.seeds)
    seeds, asked = SeedLists.of_clicks(train, items), SeedLists.of_clicks(later, items)
    users, few = _judged_users(train, asked.users, floors)
    few["items below the floor of seeds"] = int((np.bincount(later.clicks_item, minlength=data.items) > 0).sum()) - int(
        (asked.counts > 0).sum()
    )
    seen = seeds.matrix(users, data.users)
    wanted = asked.matrix(users, data.users) & ~seen
    task = Task(name, train, users, items, seeds, seen, wanted, warm=True, left_out=few)
    return _checked(task, len(later.clicks_item))


def item_split(data: Interactions, share: float, floors: Floors) -> Task:
    """Hold out a ``share`` of the items that have at least twice as many clickers as an item must have seeds.

    Raises:
        ValueError: when nothing is left to learn from or to judge.
    """
    clickers = SeedLists.of_clicks(data, np.arange(data.items))
    able = np.flatnonzero(clickers.counts >= 2 * floors.seeds)
    held = drawn(able, share)
    if not len(held):
        msg = (
            f"the split by items holds out {share:.0%} of the items with {2 * floors.seeds} clickers or more, of which "
            f"there are {len(able)}: none is left to judge by; choose another cut, or lower the floor of seeds"
        )
        raise ValueError(msg)
    learned = ~np.isin(data.clicks_item, held)
    task = unlearned_items("items", data, learned, held, clickers.counts[held] // 2, floors)
    task.left_out["items below the floor of seeds"] = int((clickers.counts > 0).sum()) - len(able)
    return task


def unlearned_items(
    name: str, data: Interactions, learned: NDArray[np.bool_], items: Ints, seeds: Ints, floors: Floors
) -> Task:
    """Ask for items that nothing was learned of: the first clickers are given as seeds, later ones are asked for.

    Args:
        name: the split's name.
        data: all clicks.
        learned: the clicks that are learned from, none of them on ``items``, bool[n].
        items: the items that are asked for, int64[I].
        seeds: how many of an item's first clickers are its seeds, int64[I].
        floors: who is not judged.

    Raises:
        ValueError: when nothing is left to learn from or to judge.
    """
    clickers = SeedLists.of_clicks(data, items)
    train = data.only(learned)
    users, few = _judged_users(train, clickers.users, floors)
    given = clickers.first(seeds)
    clicked, seen = clickers.matrix(users, data.users), given.matrix(users, data.users)
    asked = int((clickers.counts - given.counts).sum())
    return _checked(Task(name, train, users, items, given, seen, clicked & ~seen, warm=False, left_out=few), asked)


def drawn(values: Ints, share: float, rng_seed: int = 0) -> Ints:
    """A ``share`` of some values, drawn once and for all, so that every model and every run is asked the same."""
    return np.sort(np.random.default_rng(rng_seed).choice(values, round(len(values) * share), replace=False))


def _judged_users(train: Interactions, asked: Ints, floors: Floors) -> tuple[Ints, dict[str, int]]:
    """The users of some asked clicks who have enough clicks to learn from; and how many have not."""
    users = np.unique(asked)
    able = users[np.bincount(train.clicks_user, minlength=train.users)[users] >= floors.clicks]
    few = {"users below the floor of clicks": len(users) - len(able)}
    if len(able) > floors.users:
        few["users not drawn"] = len(able) - floors.users
        able = drawn(able, floors.users / len(able))
    return able, few


def _checked(task: Task, asked: int) -> Task:
    """Leave out users who have nothing left to be asked; count the later clicks that are not judged."""
    some = task.wanted.any(axis=1)
    kept = replace(task, users=task.users[some], seen=task.seen[some], wanted=task.wanted[some])
    kept.left_out["users without a new click on a judged item"] = int((~some).sum())
    kept.left_out["later clicks"] = asked - int(kept.wanted.sum())
    if not len(kept.train.clicks_user) or len(kept.users) < 2 or not len(kept.items):
        why = ", ".join(f"{count} {what}" for what, count in kept.left_out.items() if count)
        why = f"left out: {why}" if asked else "there is no later click"
        msg = (
            f"the split by {task.name} leaves {len(kept.train.clicks_user)} clicks to learn from, {len(kept.users)} "
            f"users and {len(kept.items)} items to judge ({why}); choose another cut, "
            "lower the floors of clicks and seeds, or bring more clicks"
        )
        raise ValueError(msg)
    clicked_by_all = (kept.seen | kept.wanted).all(axis=0)
    if not kept.wanted[:, ~clicked_by_all].any():
        msg = (
            f"by the split by {task.name} each of the {len(kept.users)} judged users clicks every item that is asked "
            "for, so that there are no negatives; choose another cut, lower the floors of clicks and seeds, or bring "
            "more clicks"
        )
        raise ValueError(msg)
    return kept
