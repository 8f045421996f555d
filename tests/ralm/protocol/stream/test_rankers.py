"""Rankers: formulas against slow forms, and none that looks ahead."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from ralm.encoders.histories import Histories
from ralm.encoders.spectral import Spectral
from ralm.features import Floats
from ralm.protocol.stream.click_log import ClickLog
from ralm.protocol.stream.cut import StreamCut
from ralm.protocol.stream.looks import LookalikeGrid, LookalikeRanker
from ralm.protocol.stream.rankers import Ranker, Rivals, Variant
from ralm.protocol.stream.replay import replay_stream
from ralm.protocol.stream.requests import requests_of
from ralm.protocol.stream.window import MIN_SEEDS, AskedBatch, StreamWindow

GRID = LookalikeGrid(priors=(0.0, 0.5), neighbours=(1.0,))
RANKERS = [Rivals, lambda: LookalikeRanker("spectral", Spectral(8), GRID)]


@pytest.fixture(scope="module")
def window(cut: StreamCut) -> StreamWindow:
    return StreamWindow(ClickLog(cut.kept), cut.at + 2 * 86_400_000)


@pytest.fixture(scope="module")
def asked(cut: StreamCut, window: StreamWindow) -> AskedBatch:
    requests = requests_of(window.log, cut.at)
    return AskedBatch.of(window, requests.take(np.flatnonzero(requests.times >= window.start)[:40]))


def scores_of(ranker: Ranker, cut: StreamCut, window: StreamWindow, asked: AskedBatch) -> dict[Variant, Floats]:
    ranker.fit(cut, 0)
    ranker.open(window)
    return dict(ranker.ranked(asked))


def test_candidates_are_live_items_that_the_user_had_not_clicked(window: StreamWindow, asked: AskedBatch) -> None:
    assert window.counts[window.live].min() >= MIN_SEEDS
    for row in range(len(asked.requests)):
        mine = asked.histories.items[asked.histories.start[row] : asked.histories.start[row + 1]]
        assert set(window.live[~asked.allowed[row]]) == set(mine) & set(window.live)
    assert not (asked.wanted & ~asked.allowed).any()


def test_item_knn_is_the_summed_cosine_of_clickers(cut: StreamCut, window: StreamWindow, asked: AskedBatch) -> None:
    scores = scores_of(Rivals(), cut, window, asked)
    clickers = window.seeds.toarray()
    for row in (0, 7):
        mine = asked.histories.items[asked.histories.start[row] : asked.histories.start[row + 1]]
        together = clickers[window.live] @ clickers[mine].T
        lengths = np.sqrt(np.outer(clickers[window.live].sum(axis=1), np.maximum(clickers[mine].sum(axis=1), 1)))
        np.testing.assert_allclose(scores[Variant("item-knn")][row], (together / lengths).sum(axis=1), atol=1e-4)


def test_popularity_and_newest(cut: StreamCut, window: StreamWindow, asked: AskedBatch) -> None:
    scores = scores_of(Rivals(), cut, window, asked)
    assert np.array_equal(
        np.argsort(scores[Variant("popularity")][0], kind="stable"),
        np.argsort(window.counts[window.live], kind="stable"),
    )
    born = dict.fromkeys(window.log.seeds(window.start)[1].tolist())
    order = window.live[np.argsort(scores[Variant("newest")][0])]
    assert [item for item in born if item in set(window.live)] == order.tolist()


def test_neighbours_are_the_overlaps_with_the_newest_items(
    cut: StreamCut, window: StreamWindow, asked: AskedBatch
) -> None:
    scores = scores_of(RANKERS[1](), cut, window, asked)
    near = scores[Variant("spectral live + neighbours", 0.5, 1.0)] - scores[Variant("spectral live", 0.5)]
    clickers = window.seeds.toarray()  # fewer seeds than a sketch holds: the overlaps are exact
    for row in range(0, 40, 9):
        mine = asked.histories.items[asked.histories.start[row] : asked.histories.start[row + 1]][:20]
        together = clickers[window.live] @ clickers[mine].T
        lengths = np.sqrt(np.outer(clickers[window.live].sum(axis=1), np.maximum(clickers[mine].sum(axis=1), 1)))
        expected = (together / lengths).sum(axis=1)
        np.testing.assert_allclose(near[row], expected / expected[asked.allowed[row]].max(), atol=1e-4)


def test_live_vectors_follow_the_clicks_and_frozen_ones_do_not(
    cut: StreamCut, window: StreamWindow, asked: AskedBatch
) -> None:
    ranker = RANKERS[1]()
    scores = scores_of(ranker, cut, window, asked)
    bare = replace(asked, histories=Histories(np.zeros(0, np.int64), np.zeros(len(asked.requests) + 1, np.int64)))
    without = dict(ranker.ranked(bare))
    assert np.array_equal(without[Variant("spectral frozen")], scores[Variant("spectral frozen")])
    assert not np.allclose(without[Variant("spectral live")], scores[Variant("spectral live")])


def test_the_last_items_pull_the_vector(cut: StreamCut, window: StreamWindow, asked: AskedBatch) -> None:
    grid = LookalikeGrid(priors=(0.5,), neighbours=(), recent=(1e-6, 1.0))
    ranker = LookalikeRanker("spectral", Spectral(8), grid, frozen=False)
    scores = scores_of(ranker, cut, window, asked)
    last = dict(ranker.ranked(replace(asked, histories=asked.histories.newest(5))))
    plain, row = Variant("spectral live", 0.5), "spectral live, last 5"
    np.testing.assert_allclose(scores[Variant(row, 0.5, recent=1e-6)], scores[plain], atol=1e-4)
    np.testing.assert_allclose(scores[Variant(row, 0.5, recent=1.0)], last[plain], atol=1e-5)


@pytest.mark.parametrize("make", RANKERS)
def test_what_comes_later_changes_no_answer(make: Callable[[], Ranker], cut: StreamCut) -> None:
    """The requests of the first days are hit and shown alike whether or not the last days' clicks are known."""
    until = cut.at + 60 * 3_600_000  # a stream of less than two days has other windows
    early = replace(cut, kept=cut.kept.only(cut.kept.clicks_time < until))
    whole, part = (_Recording(make()) for _ in range(2))
    replay_stream(cut, whole, 0)
    replay_stream(early, part, 0)
    compared = 0
    for key, scores in part.seen.items():
        if key in whole.seen and key[1] < until:
            np.testing.assert_allclose(scores, whole.seen[key], rtol=1e-5, atol=1e-6)
            compared += 1
    assert compared > 100


class _Recording:
    """Keeps the scores of each request."""

    def __init__(self, ranker: Ranker) -> None:
        self._ranker, self.fit, self.open = ranker, ranker.fit, ranker.open
        self.seen: dict[tuple[int, int, Variant], Floats] = {}

    def ranked(self, asked: AskedBatch) -> Iterator[tuple[Variant, Floats]]:
        for variant, scores in self._ranker.ranked(asked):
            for row, key in enumerate(zip(asked.requests.users, asked.requests.times, strict=True)):
                if variant.row != "random":  # it draws anew, whoever asks
                    self.seen[int(key[0]), int(key[1]), variant] = scores[row]
            yield variant, scores
