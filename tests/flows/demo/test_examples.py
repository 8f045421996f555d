"""What the demo shows by name, from hand-made topics."""

from typing import Any

import numpy as np

from flows.demo.examples import Examples, Recommendation
from flows.demo.read_back import ReadBack, Sent
from flows.messages.types import Centroids, Click, Request, ScoredItem, Scores
from flows.offline.datasets.layout import Dataset

CUT = 1000
OLD = [f"old{n}" for n in range(30)]
IDS = sorted([*OLD, "new", "unseen"])


def data(titles: bool = True) -> Dataset:
    """Ann liked 25 films before the cut, Bob 22, Cem one; the film ``new`` has no click by then."""
    events = [(user, OLD[n], n) for user, count in (("ann", 25), ("bob", 22), ("cem", 1)) for n in range(count)]
    users, items, times = (np.array(column) for column in zip(*events, strict=True))
    fields: dict[str, Any] = {
        "age": ("continuous", np.array([30, 41.5, 50], "f4")),
        "town": ("categorical", np.array(["Oslo", "", "Kyiv"])),
    }
    names = np.array([f"Film {each}" if each != "unseen" else "" for each in IDS]) if titles else None
    return Dataset(
        "d", users, items, times, np.array(["ann", "bob", "cem"]), fields, np.array(IDS), np.full(32, ""), True, names
    )


def answer(request_id: str, user: str, items: list[str]) -> Sent[Scores]:
    scored = [ScoredItem(item, 1.0 - n / 100, 0.0, 0.0, 1500) for n, item in enumerate(items)]
    return Sent(Scores(request_id, user, "ok", "v", 0, scored, [], []), 9)


def centroids(item: str, end: int, seeds: int) -> Sent[Centroids]:
    return Sent(Centroids(item, "v", end, seeds, [seeds], 1, 1, b"\0" * 4, b"\0" * 4), 9)


def topics() -> ReadBack:
    best = ["new", *OLD[:4], *OLD[24:]]
    requests = [
        Request("r1", "ann", 1600),
        Request("r2", "bob", 1700),
        Request("r3", "cem", 1800),
        Request("r4", "ann", 1900, ["unseen"]),  # names its candidates: no ranking of all
    ]
    clicks = [("cem", "new", 1100), ("bob", "new", 1650), ("ann", OLD[26], 1600), ("ann", "new", 1950)]
    return ReadBack(
        [Sent(Click(user, item, ts), 5) for user, item, ts in clicks],
        [Sent(request, 6) for request in requests],
        [centroids("new", 1500, 7), centroids("new", 2000, 9), centroids("old1", 1500, 8)],
        [answer(r.request_id, r.user_id, ["unseen"] if r.candidates else best) for r in requests],
        {},
    )


def test_users_are_shown_with_what_they_liked_and_the_best_that_they_did_not_know() -> None:
    ann, bob = Examples(topics(), data(), CUT).users()
    assert (ann.user_id, ann.profile) == ("ann", "age 30, town Oslo")
    assert ann.liked == ["Film old24", "Film old23", "Film old22"]
    assert ann.best == [
        ("Film new", True),
        ("Film old25", False),
        ("Film old26", True),
        ("Film old27", False),
        ("Film old28", False),
    ]
    assert (bob.user_id, bob.profile) == ("bob", "age 41.5")
    assert "Film new" in bob.liked
    assert "Film new" not in [title for title, _ in bob.best]


def test_a_new_film_is_followed_from_its_first_click_to_whom_it_was_recommended() -> None:
    film = Examples(topics(), data(), CUT).item()
    assert film is not None
    assert (film.title, film.first_click, film.clustered, film.seeds) == ("Film new", 1100, 1500, 7)
    assert film.recommended == [Recommendation("ann", 1, 1600, True)]
    assert (film.times, film.came_true) == (1, 1)


def test_without_titles_and_new_films_identifiers_have_to_do() -> None:
    found = topics()
    examples = Examples(ReadBack(found.clicks, found.requests, [], found.answers, {}), data(titles=False), CUT)
    assert examples.item() is None
    assert examples.users()[0].best[0] == ("new", True)
    assert examples.distinct() == 10
    nothing = Examples(ReadBack([], [], [], [], {}), data(), CUT)
    assert (nothing.users(), nothing.item(), nothing.distinct()) == ([], None, 0)
