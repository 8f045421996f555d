"""Clicks and requests for whole flows, and what must come of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from waiting import wait_until

from flows.messages.codec import decode_centroids
from ralm.seed_set import SeedSet
from state.store.seed_store import SeedStore
from state.user_keys import user_keys

USERS = [f"user-{number}" for number in range(400)]


def clicks(rng: np.random.Generator, count: int, start: int) -> list[dict[str, object]]:
    """Skewed items, repeated users, times out of order."""
    return [
        {
            "user_id": USERS[rng.integers(len(USERS))],
            "item_id": f"item-{min(int(rng.zipf(1.4)), 30)}",
            "ts": start + int(rng.integers(3000)),
        }
        for _ in range(count)
    ]


def send_clicks(client: Any, made: list[dict[str, object]]) -> None:
    for click in made:
        client.send("clicks", str(click["item_id"]), click)
    client.flush()


def send_request(client: Any, number: int, user: str, ts: int, **more: object) -> None:
    client.send("requests", user, {"request_id": f"r{number}", "user_id": user, "ts": ts, **more})


def last_centroids(client: Any) -> dict[str, Any]:
    found = {}
    for message in client.read("centroids"):
        value = message.value()
        if value is not None:
            found[decode_centroids(value).item_id] = decode_centroids(value)
    return found


def wait_until_the_index_has_all(client: Any, now: int) -> None:
    """Ask until an answer ranks every item that has centroids."""
    asked = 0

    def has_all() -> bool:
        nonlocal asked
        asked += 1
        send_request(client, -asked, USERS[0], now)
        client.flush()
        name = f"r-{asked}"
        found = client.wait_for("scores", lambda got: any(json.loads(m.value())["request_id"] == name for m in got))
        answer = next(a for a in map(json.loads, (m.value() for m in found)) if a["request_id"] == name)
        return len(answer["scores"]) == len(last_centroids(client))

    wait_until(has_all)


def oracle(made: list[dict[str, object]], capacity: int) -> dict[str, dict[int, int]]:
    """The rule in a few lines, without numpy."""
    newest: dict[str, dict[int, int]] = {}
    keys = dict(zip(USERS, user_keys(USERS).tolist(), strict=True))
    for click in made:
        item, user, ts = str(click["item_id"]), keys[str(click["user_id"])], int(str(click["ts"]))
        seeds = newest.setdefault(item, {})
        seeds[user] = max(ts, seeds.get(user, ts))
    return {
        item: dict(sorted(seeds.items(), key=lambda s: (s[1], s[0]), reverse=True)[:capacity])
        for item, seeds in newest.items()
    }


def is_final(client: Any, expected: dict[str, dict[int, int]], least: int) -> bool:
    """Whether every item's last centroids are of a window after its last click, and of all its seeds."""
    found = last_centroids(client)
    return all(
        item in found and found[item].window_end > max(seeds.values()) and found[item].seeds == len(seeds)
        for item, seeds in expected.items()
        if len(seeds) >= least
    )


def stored(
    home: Path, capacity: int = 3_000_000, mine: Callable[[int], bool] = lambda _: True, max_gap: int = 0
) -> dict[str, dict[int, int]]:
    """What the stores of a flow's partitions hold."""
    found: dict[str, dict[int, int]] = {}
    for path in (path for path in sorted((home / "state" / "seeds").iterdir()) if mine(int(path.name))):
        store = SeedStore.inspect(path, capacity, max_gap)
        for item, _ in store.items():
            seeds: SeedSet = store.seeds(item)
            found[item] = dict(zip(seeds.users.tolist(), seeds.times.tolist(), strict=True))
        store.close()
    return found
