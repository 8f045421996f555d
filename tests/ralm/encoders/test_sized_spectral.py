"""The closed form's dimensions are chosen by clicks that are held out."""

import numpy as np

from ralm.encoders.histories import Histories
from ralm.encoders.profiles import Profiles
from ralm.encoders.sized_spectral import SizedSpectral
from ralm.encoders.spectral import Spectral
from ralm.features import Interactions


def test_it_is_the_closed_form_of_one_of_the_sizes(planted: Interactions) -> None:
    profiles = Profiles.of_clicks(planted)
    chosen = SizedSpectral((2, 8)).fit(planted, profiles)
    same = Spectral(chosen.dim).fit(planted, profiles)
    assert chosen.dim in (2, 8)
    np.testing.assert_array_equal(chosen.item_table, same.item_table)
    again = SizedSpectral((2, 8)).fit(planted, profiles)
    np.testing.assert_array_equal(chosen.item_table, again.item_table)


def test_a_size_that_cannot_tell_the_groups_apart_is_not_chosen(planted: Interactions) -> None:
    profiles = Profiles.of_clicks(planted)
    for dims in ((1, 4), (4, 1)):  # four groups: one direction tells at most two apart
        assert SizedSpectral(dims).fit(planted, profiles).dim == 4


def test_too_little_to_hold_out_takes_the_first_size(planted: Interactions) -> None:
    few = planted.only(np.arange(len(planted.clicks_user)) < 40)
    made = SizedSpectral((3, 5)).fit(few, Profiles.of_clicks(few))
    assert made.dim <= 3
    assert np.isfinite(made.encode(Histories.of_clicks(few), Profiles.of_clicks(few))).all()
