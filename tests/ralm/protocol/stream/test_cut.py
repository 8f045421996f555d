"""What is learned from, what is withheld, and what coarse times do not tell."""

from dataclasses import replace

import numpy as np
import pytest

from ralm.features import Interactions
from ralm.protocol.stream.cut import StreamCut, coarseness, cut_stream, first_clicks

DAY = 86_400_000


def test_nothing_is_learned_of_withheld_items_nor_after_the_cut(tastes: Interactions, cut: StreamCut) -> None:
    able = np.bincount(tastes.clicks_item, minlength=tastes.items) >= 20
    assert cut.withheld.sum() == int(able.sum() * 0.2)
    assert not (cut.withheld & ~able).any()
    assert not cut.withheld[cut.learned.clicks_item].any()
    assert cut.learned.clicks_time.max() < cut.at
    streamed = cut.kept.clicks_time >= cut.at
    assert streamed.sum() == (tastes.clicks_time >= cut.at).sum()
    assert (~streamed).sum() == len(cut.learned.clicks_user)
    assert cut.withheld[cut.kept.clicks_item[streamed]].any()


def test_draws_differ_and_one_is_the_same_again(tastes: Interactions, cut: StreamCut) -> None:
    assert np.array_equal(cut_stream(tastes, 0.6, 0).withheld, cut.withheld)
    assert not np.array_equal(cut_stream(tastes, 0.6, 1).withheld, cut.withheld)


def test_clicks_that_come_again_are_dropped(tastes: Interactions) -> None:
    n = len(tastes.clicks_user)
    twice = replace(
        tastes,
        clicks_user=np.repeat(tastes.clicks_user, 2),
        clicks_item=np.repeat(tastes.clicks_item, 2),
        clicks_time=np.repeat(tastes.clicks_time, 2) + np.tile([0, 1000], n),
    )
    once = first_clicks(twice)
    assert len(once.clicks_user) == n
    assert sorted(once.clicks_time) == sorted(tastes.clicks_time)


@pytest.mark.parametrize("share", [0.001, 0.9999])
def test_a_cut_with_an_empty_side_is_refused(tastes: Interactions, share: float) -> None:
    few = tastes.only(tastes.clicks_user < 8)
    with pytest.raises(ValueError, match="clicks to learn from"):
        cut_stream(few, share, 0)


def test_coarse_times_say_so(tastes: Interactions) -> None:
    assert coarseness(tastes) == ""
    days = replace(tastes, clicks_time=tastes.clicks_time // DAY * DAY)
    assert "times of whole days, too coarse" in coarseness(days)
    assert "100% of them" not in coarseness(days)
    bursts = replace(tastes, clicks_time=tastes.clicks_time // (30 * DAY) * 30 * DAY + tastes.clicks_user % 2 * 60_000)
    assert "their order is not known" in coarseness(bursts)
    assert "too coarse" not in coarseness(bursts)
    assert "one time" in coarseness(replace(tastes, clicks_time=np.zeros_like(tastes.clicks_time)))
