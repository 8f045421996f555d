"""The closed form: its item table is the factorisation, and a history folds in as the row that it has there."""

import numpy as np
import pytest

from ralm.click_matrix import click_matrix
from ralm.encoders.encoder import unit
from ralm.encoders.histories import Histories
from ralm.encoders.profiles import Profiles
from ralm.encoders.spectral import Spectral
from ralm.features import Interactions


def test_folding_in_is_the_row_of_the_factorisation(planted: Interactions) -> None:
    profiles, matrix = Profiles.of_clicks(planted), click_matrix(planted).toarray().astype(np.float64)
    of_users, of_items = matrix.sum(axis=1), matrix.sum(axis=0)
    of_users, of_items = ((degrees + degrees.mean()) ** -0.25 for degrees in (of_users, of_items))
    left, values, _ = np.linalg.svd(of_users[:, None] * matrix * of_items, full_matrices=False)
    rows = unit(left[:, :8] * np.sqrt(values[:8]))  # the sign of each column is free
    vectors = Spectral(dim=8).fit(planted, profiles).encode(Histories.of_clicks(planted), profiles)
    signs = np.sign((rows * vectors).sum(axis=0))
    np.testing.assert_allclose(vectors, rows * signs, atol=1e-4)


def test_no_more_dimensions_than_there_are_directions(planted: Interactions) -> None:
    few = planted.only(planted.clicks_item < 3)
    encoder = Spectral(dim=32).fit(few, Profiles.of_clicks(few))
    assert encoder.dim == 3
    assert np.isfinite(encoder.item_table).all()
    assert not encoder.item_table[3:].any()  # nobody clicked them


def test_too_few_clicks_are_refused(planted: Interactions) -> None:
    few = planted.only(planted.clicks_user == 0)
    with pytest.raises(ValueError, match="2 users on 2 items"):
        Spectral().fit(few, Profiles.of_clicks(few))
