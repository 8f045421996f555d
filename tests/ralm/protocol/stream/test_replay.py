"""The replay tells tastes apart, counts what is shown, and its figures are plain means."""

import numpy as np
import pytest

from ralm.encoders.spectral import Spectral
from ralm.protocol.stream.choice import best_row, best_variants, value
from ralm.protocol.stream.cut import StreamCut
from ralm.protocol.stream.looks import LookalikeRanker
from ralm.protocol.stream.outcome import Resampled, judged_hits, less, shown_by
from ralm.protocol.stream.rankers import Rivals, Variant
from ralm.protocol.stream.replay import ITEM_GROUPS, Replayed, replay_stream
from ralm.protocol.stream.requests import ASKED_AFTER


@pytest.fixture(scope="module")
def rivals(cut: StreamCut) -> Replayed:
    return replay_stream(cut, Rivals(), 0)


@pytest.fixture(scope="module")
def looks(cut: StreamCut) -> Replayed:
    return replay_stream(cut, LookalikeRanker("spectral", Spectral(8)), 0)


def rate(replayed: Replayed, variant: Variant, group: str = "all") -> float:
    (users, hit) = judged_hits([replayed], variant, group)[0]
    assert len(users) == len(hit) > 50
    return float(hit.mean())


def test_who_knows_tastes_hits_more_often(rivals: Replayed, looks: Replayed) -> None:
    chance = rate(rivals, Variant("random"))
    assert rate(rivals, Variant("item-knn")) > chance + 0.1
    best = best_variants([looks])
    assert rate(looks, best["spectral live"][0]) > chance + 0.1


def test_all_rankers_are_judged_on_the_same_requests(rivals: Replayed, looks: Replayed) -> None:
    assert np.array_equal(rivals.judged, looks.judged)
    assert np.array_equal(rivals.requests.users, looks.requests.users)
    assert not (looks.hit & ~looks.judged).any()
    assert len(looks.variants) == looks.hit.shape[0] == len(set(looks.variants))


def test_the_same_seed_replays_alike(cut: StreamCut, rivals: Replayed) -> None:
    again = replay_stream(cut, Rivals(), 0)
    assert np.array_equal(again.hit, rivals.hit)
    assert np.array_equal(again.first_exposure, rivals.first_exposure)


def test_exposure_is_counted(cut: StreamCut, rivals: Replayed) -> None:
    for place in range(len(rivals.variants)):
        assert rivals.exposed[place].sum() == 10 * len(rivals.requests)
        assert not rivals.exposed[place][~rivals.candidates].any()
        ever = rivals.exposed[place][cut.withheld] > 0
        assert np.array_equal(rivals.first_exposure[place] >= 0, ever)
        assert (rivals.first_exposure[place][ever] >= 5).all()
    figures = shown_by([rivals, rivals], Variant("popularity"))
    assert figures.items == (rivals.exposed[2] > 0).sum()
    assert 0 < figures.share <= 1


def test_new_items_are_shown_by_who_prefers_the_newest(rivals: Replayed) -> None:
    newest, popular = (shown_by([rivals], Variant(name)) for name in ("newest", "popularity"))
    assert newest.new_shown > popular.new_shown


def test_figures_are_means_over_draws_with_their_interval(rivals: Replayed, looks: Replayed) -> None:
    resampled = Resampled(120, resamples=300)
    mine = judged_hits([looks, looks], Variant("spectral live", 0.1), "all")
    theirs = judged_hits([rivals, rivals], Variant("random"), "all")
    figure = resampled.rate(mine)
    assert figure.mean == pytest.approx(mine[0][1].mean())
    assert figure.low < figure.mean < figure.high
    assert figure.requests == 2 * len(mine[0][0])
    gained = resampled.rate(less(mine, theirs))
    assert gained.mean == pytest.approx(mine[0][1].mean() - theirs[0][1].mean())
    parts = [
        resampled.rate(judged_hits([looks], Variant("spectral live", 0.1), "all", [n])).requests for n in ASKED_AFTER
    ]
    assert sum(parts) == len(mine[0][0])


def test_validation_prefers_the_best_of_each_row(rivals: Replayed, looks: Replayed) -> None:
    best = best_variants([looks, looks])
    for variant, of in best.values():
        same = [value(looks, place) for place, v in enumerate(looks.variants) if v.row == variant.row]
        assert of == pytest.approx(max(same))
    assert best_row(best, "live + neighbours") == "spectral live + neighbours"
    assert best_row(best_variants([rivals]), "live + neighbours") is None
    assert ITEM_GROUPS == ("new", "tail", "all")
