"""The checks find what is wrong, and nothing where all is right."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from state.user_keys import user_key

from .checks import (
    Stored,
    behind,
    unanswered,
    wrong_answers,
    wrong_centroids,
    wrong_dead_letters,
    wrong_seed_sets,
)
from .journal import Emission, Journal, Place
from .oracle import Oracle

USERS = ["a", "b", "c"]
VECTORS = {user_key(user): np.array([number, 1.0 - number], "f4") for number, user in enumerate(USERS)}


@pytest.fixture
def oracle() -> Oracle:
    made = Oracle(10)
    for offset, user in enumerate(USERS):
        made.add(0, offset, "item", user, 100 + offset)
    return made


@pytest.fixture
def journal() -> Journal:
    """What a good flow has made of the oracle's clicks and one request."""
    made = Journal.__new__(Journal)  # without a broker
    mean = np.mean([*VECTORS.values()], axis=0, keepdims=True).astype(np.float64)
    emission = Emission("v", "item", 1000, 3, np.array([3]), mean, mean[0])
    made.last = {"item": emission}
    made.emissions = {("item", 1000): [emission]}
    made.requests = {"r0": (5000, {"request_id": "r0", "user_id": "a"})}
    cosine = float(VECTORS[user_key("a")] @ mean[0] / np.linalg.norm(mean[0]))
    score = {"item_id": "item", "score": 0.5, "global_part": cosine, "local_part": 0.1, "window_end": 1000}
    made.answers = {"r0": [answer(scores=[score])]}
    made.bad, made.dead = {}, {}
    return made


def answer(**more: Any) -> dict[str, Any]:
    usual = {"user_id": "a", "status": "ok", "model_version": "v", "scored_at": 6000, "scores": []}
    return usual | more


def answers(journal: Journal) -> list[str]:
    return wrong_answers(journal, ["r0"], VECTORS, 10_000, "v")


def test_all_is_right(oracle: Oracle, journal: Journal) -> None:
    stored = Stored({0: 3}, oracle.seed_sets())
    assert not wrong_seed_sets(stored, oracle)
    assert not behind(stored, oracle)
    assert not wrong_centroids(journal, oracle, VECTORS, 2)
    assert not unanswered(journal)
    assert not answers(journal)
    assert not wrong_dead_letters(journal, [])


@pytest.mark.parametrize("change", ["lost", "older", "stranger", "item", "ahead"])
def test_a_wrong_seed_set_is_found(oracle: Oracle, change: str) -> None:
    seeds, position = oracle.seed_sets(), 3
    key = user_key("b")
    if change == "lost":
        del seeds["item"][key]
    elif change == "older":
        seeds["item"][key] -= 1
    elif change == "stranger":
        seeds["item"][7] = 100
    elif change == "item":
        seeds["other"] = {key: 1}
    else:
        position = 2  # the third click is in the store, but not before its position
    assert len(wrong_seed_sets(Stored({0: position}, seeds), oracle)) == 1


def test_a_store_that_is_behind_is_found(oracle: Oracle) -> None:
    assert len(behind(Stored({0: 2}, {}), oracle)) == 1
    assert len(behind(Stored({}, {}), oracle)) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"window_end": 102},
        {"seeds": 2},
        {"counts": np.array([2])},
        {"means": np.array([[0.5, 0.1]])},
    ],
)
def test_wrong_centroids_are_found(oracle: Oracle, journal: Journal, change: dict[str, Any]) -> None:
    good = journal.last["item"]
    usual = {
        name: getattr(good, name) for name in ("version", "item", "window_end", "seeds", "counts", "means", "embedding")
    }
    journal.last["item"] = Emission(**(usual | change))
    assert len(wrong_centroids(journal, oracle, VECTORS, 2)) == 1


def test_missing_and_surplus_centroids_are_found(oracle: Oracle, journal: Journal) -> None:
    journal.last = {"nowhere": journal.last["item"]}
    assert len(wrong_centroids(journal, oracle, VECTORS, 2)) == 2


def test_an_unanswered_request_is_found(journal: Journal) -> None:
    journal.answers = {}
    assert len(unanswered(journal)) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"user_id": "b"},
        {"model_version": "w"},
        {"status": "unknown_user"},
        {"status": "expired"},
        {"scores": [{"item_id": "item", "score": 0.5, "global_part": -0.9, "local_part": 0.1, "window_end": 1000}]},
        {"scores": [{"item_id": "item", "score": 0.5, "global_part": 0.1, "local_part": 0.1, "window_end": 2000}]},
    ],
)
def test_a_wrong_answer_is_found(journal: Journal, change: dict[str, Any]) -> None:
    journal.answers["r0"][0] |= change
    assert answers(journal)


def test_a_late_answer_may_be_expired(journal: Journal) -> None:
    journal.answers["r0"].append(answer(status="expired", scored_at=16_000))
    assert not answers(journal)


def test_answers_that_differ_are_found(journal: Journal) -> None:
    first = journal.answers["r0"][0]
    journal.answers["r0"].append(first | {"scores": [first["scores"][0] | {"score": 0.7}]})
    assert len(answers(journal)) == 1


@pytest.mark.parametrize("change", [{"seeds": 4}, {"counts": np.array([4])}, {"means": np.array([[0.5, 0.1]])}])
def test_answers_may_differ_where_the_window_was_clustered_again_with_more_clicks(
    journal: Journal, change: dict[str, Any]
) -> None:
    first = journal.answers["r0"][0]
    journal.answers["r0"].append(first | {"scores": [first["scores"][0] | {"score": 0.7}]})
    made = journal.emissions["item", 1000]
    made.append(replace(made[0], **change))
    assert not answers(journal)


def test_wrong_dead_letters_are_found(journal: Journal) -> None:
    bad, good = Place("clicks", 0, 1), Place("clicks", 0, 2)
    journal.bad = {bad: "not_json"}
    assert len(wrong_dead_letters(journal, [])) == 1
    journal.dead = {bad: "not_utf8"}
    assert len(wrong_dead_letters(journal, [])) == 1
    journal.dead = {bad: "not_json", good: "future_time"}
    assert len(wrong_dead_letters(journal, [])) == 1
    assert not wrong_dead_letters(journal, [good])
