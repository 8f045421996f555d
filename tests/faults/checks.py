"""Compares what the flow has made with what must be true; each check says in words what is wrong."""

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from state.store.seed_store import SeedStore, StoreError
from state.user_keys import user_key

from .journal import Emission, Journal, Place
from .oracle import Oracle, Seeds

MEAN_TOLERANCE = 1e-4
SCORE_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Stored:
    """What the stores hold: the position of each partition, and every item's seeds."""

    positions: dict[int, int]
    seeds: dict[str, Seeds]

    def add(self, other: "Stored") -> None:
        """Add what other stores hold; an item may lie in two of them while the topic has grown."""
        self.positions.update(other.positions)
        for item, seeds in other.seeds.items():
            known = self.seeds.setdefault(item, {})
            for user, time in seeds.items():
                known[user] = max(time, known.get(user, time))


def read_stores(state_dir: Path, mine: Callable[[int], bool] = lambda _: True, *, max_gap: int = 0) -> Stored:
    """Read every store of these partitions, beside a running flow or without one; sets end at gaps of more than that.

    Raises:
        StoreError: when a store is damaged.
    """
    folder, all_of_them = state_dir / "seeds", Stored({}, {})
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if mine(int(path.name)):
            all_of_them.add(read_store(path, max_gap))
    return all_of_them


def read_store(path: Path, max_gap: int = 0) -> Stored:
    """Read one store; nothing when it has nothing written yet.

    Raises:
        StoreError: when it is damaged.
    """
    if not (path / "CURRENT").exists():
        return Stored({}, {})
    try:
        store = SeedStore.inspect(path, max_gap=max_gap)
    except StoreError as error:
        if "nothing written" in str(error):
            return Stored({}, {})
        raise
    found: dict[str, Seeds] = {}
    try:
        for item, _ in store.items():
            seeds = store.seeds(item)
            found[item] = dict(zip(seeds.users.tolist(), seeds.times.tolist(), strict=True))
        return Stored({store.meta.partition: store.position}, found)
    finally:
        store.close()


def wrong_seed_sets(stored: Stored, oracle: Oracle) -> list[str]:
    """Items whose stored seeds are not those of exactly the clicks before their partition's position."""
    expected = oracle.seed_sets(stored.positions)
    wrong = []
    for item in sorted(expected.keys() | stored.seeds.keys()):
        right, found = expected.get(item, {}), newest(stored.seeds.get(item, {}), oracle.capacity)
        if right != found:
            missing, extra = right.items() - found.items(), found.items() - right.items()
            wrong.append(f"item {item[:20]!r}: {len(right)} seeds expected, {len(missing)} missing, {len(extra)} extra")
    return wrong


def newest(seeds: Seeds, capacity: int) -> Seeds:
    """A store may hold more than the newest until they are merged; the rule is applied when it is read."""
    return dict(sorted(seeds.items(), key=lambda seed: (seed[1], seed[0]), reverse=True)[:capacity])


def behind(stored: Stored, oracle: Oracle) -> list[str]:
    """Partitions whose store has not taken in all clicks yet."""
    return [
        f"partition {partition} is at {stored.positions.get(partition, 0)} of {end}"
        for partition, end in oracle.reach().items()
        if stored.positions.get(partition, 0) < end
    ]


def wrong_centroids(
    journal: Journal, oracle: Oracle, vectors: Mapping[int, NDArray[np.float32]], min_seeds: int
) -> list[str]:
    """Items whose last centroids are not of their final seed set."""
    wrong = []
    for item, seeds in oracle.seed_sets().items():
        members = [vectors[user] for user in seeds if user in vectors]
        if len(members) < min_seeds:
            continue
        problem = wrong_emission(journal.last.get(item), seeds, np.array(members, np.float64))
        if problem:
            wrong.append(f"item {item[:20]!r}: {problem}")
    unknown = journal.last.keys() - oracle.seed_sets().keys()
    return wrong + [f"item {item[:20]!r} has centroids and no clicks" for item in sorted(unknown)]


def wrong_emission(last: Emission | None, seeds: Seeds, members: NDArray[np.float64]) -> str:
    """What is wrong with an item's last centroids, which must be of its final seeds; empty if nothing is."""
    if last is None:
        return f"{len(seeds)} seeds and no centroids"
    before = sum(time < last.window_end for time in seeds.values())
    if before < len(seeds):
        return f"the window that ends at {last.window_end} ends before the newest of its {len(seeds)} seeds"
    if last.seeds != len(seeds):
        return f"made of {last.seeds} seeds, the final set has {len(seeds)}"
    if int(last.counts.sum()) != len(members):
        return f"counts sum to {last.counts.sum()}, {len(members)} seeds have a vector"
    off = float(np.abs(last.counts @ last.means / len(members) - members.mean(axis=0)).max())
    return f"the mean of its centroids is off by {off:g}" if off > MEAN_TOLERANCE else ""


def unanswered(journal: Journal) -> list[str]:
    """Good requests without an answer."""
    return [f"request {name}" for name in journal.requests if name not in journal.answers]


def wrong_answers(
    journal: Journal,
    names: Iterable[str],
    vectors: Mapping[int, NDArray[np.float32]],
    request_timeout: int,
    version: str,
) -> list[str]:
    """Answers to some requests that do not fit their request, each other, or any centroids that were emitted."""
    wrong: list[str] = []
    for name in names:
        answers = journal.answers[name]
        if name not in journal.requests:
            wrong.append(f"answer to {name}, which nobody asked")
            continue
        sent, request = journal.requests[name]
        for answer in answers:
            problems = _problems(answer, sent, request, journal, vectors, request_timeout, version)
            wrong += [f"answer to {name}: {problem}" for problem in problems]
        wrong += [f"answers to {name}: {problem}" for problem in _differences(answers, journal)]
    return wrong


def _problems(
    answer: dict[str, Any],
    sent: int,
    request: dict[str, Any],
    journal: Journal,
    vectors: Mapping[int, NDArray[np.float32]],
    request_timeout: int,
    version: str,
) -> Iterator[str]:
    if (answer["user_id"], answer["model_version"]) != (request["user_id"], version):
        yield f"of user {answer['user_id']} and model {answer['model_version']}"
    vector = vectors.get(user_key(request["user_id"]))
    if answer["status"] == "expired":
        if answer["scored_at"] - sent < request_timeout:
            yield f"expired after {answer['scored_at'] - sent} ms, before its time"
    elif (answer["status"] == "unknown_user") != (vector is None):
        yield f"status {answer['status']}, though the bundle {'has' if vector is not None else 'lacks'} the user"
    for scored in answer["scores"] if vector is not None else []:
        emitted = journal.emissions.get((scored["item_id"], scored["window_end"]), [])
        if not any(abs(_cosine(vector, made.embedding) - scored["global_part"]) < SCORE_TOLERANCE for made in emitted):
            yield f"item {scored['item_id'][:20]!r} was scored with centroids that nobody emitted"


def _cosine(one: NDArray[np.float32], other: NDArray[np.float64]) -> float:
    return float(one @ other / (math.sqrt(float(one @ one) * float(other @ other)) or 1.0))


def _differences(answers: list[dict[str, Any]], journal: Journal) -> Iterator[str]:
    """How answers to one request differ, other than by time of scoring, expiry and newer centroids.

    A window's centroids may have been made anew, of more seeds: a seed set that is rebuilt from the topic has the
    late clicks from the start.
    """
    scored = [answer for answer in answers if answer["status"] != "expired"]
    first = {item["item_id"]: item for item in scored[0]["scores"]} if scored else {}
    for answer in scored[1:]:
        if (answer["user_id"], answer["model_version"]) != (scored[0]["user_id"], scored[0]["model_version"]):
            yield "they are of different users or models"
        for item in answer["scores"]:
            before = first.get(item["item_id"])
            if before is not None and before["window_end"] == item["window_end"]:
                off = abs(before["score"] - item["score"])
                if off > SCORE_TOLERANCE and _made_once(journal, item):
                    yield f"item {item['item_id'][:20]!r} has scores {off:.4f} apart from centroids of one window"


def _made_once(journal: Journal, item: dict[str, Any]) -> bool:
    """Whether all centroids of the item that say this window's end are the same in what a score follows from."""
    made = journal.emissions.get((item["item_id"], item["window_end"]), [])
    return len({(each.means.tobytes(), each.counts.tobytes(), each.seeds) for each in made}) <= 1


def wrong_dead_letters(journal: Journal, allowed: Collection[Place]) -> list[str]:
    """Bad messages without their dead letter, and dead letters of good messages that are not allowed."""
    wrong = []
    for place, reason in journal.bad.items():
        found = journal.dead.get(place)
        if found != reason:
            wrong.append(f"{place}: {reason} expected, {found or 'no dead letter'} found")
    for place in journal.dead.keys() - journal.bad.keys() - set(allowed):
        wrong.append(f"{place}: a good message has the dead letter {journal.dead[place]}")
    return wrong
