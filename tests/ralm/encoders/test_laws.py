"""What every encoder keeps, and what those keep whose vectors follow from a running sum."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest

from ralm.encoders.both import Both
from ralm.encoders.encoder import Encoder, EncoderRecipe, TableEncoder
from ralm.encoders.histories import MOST_ITEMS, Histories
from ralm.encoders.learned import Learned
from ralm.encoders.paper import Paper
from ralm.encoders.profiles import Profiles
from ralm.encoders.spectral import Spectral
from ralm.features import Interactions
from ralm.towers.training_config import TrainingConfig

QUICK = Learned(dim=16, steps=20, items=20, seeds=(5, 20))
TOWERS = TrainingConfig(
    dim=16, field_dim=8, attention_size=4, epochs_user=1, epochs_lookalike=1, history_length=MOST_ITEMS
)
INDUCTIVE: dict[str, EncoderRecipe] = {
    "spectral": Spectral(dim=8),
    "learned": QUICK,
    "both": Both(QUICK, Spectral(dim=8), weights=(0.7,)),
}
ALL = {**INDUCTIVE, "paper": Paper(TOWERS)}


class Fitted(NamedTuple):
    """An encoder and what it was fitted on."""

    encoder: Encoder
    clicks: Interactions
    profiles: Profiles


def planted_with_tags(planted: Interactions) -> Interactions:
    """The planted clicks, with a multivalent field too."""
    tags = np.random.default_rng(3).integers(0, 6, (planted.users, 4))
    return replace(planted, multivalent={"tags": (tags, 6)})


@pytest.fixture(scope="module")
def fits(planted: Interactions) -> dict[str, Fitted]:
    """Every encoder, fitted once."""
    clicks = planted_with_tags(planted)
    profiles = Profiles.of_clicks(clicks)
    return {name: Fitted(recipe.fit(clicks, profiles), clicks, profiles) for name, recipe in ALL.items()}


@pytest.fixture(params=ALL)
def fitted(request: pytest.FixtureRequest, fits: dict[str, Fitted]) -> Fitted:
    """Each encoder in turn."""
    return fits[request.param]


@pytest.fixture(params=INDUCTIVE)
def inductive(request: pytest.FixtureRequest, fits: dict[str, Fitted]) -> tuple[TableEncoder, Histories, Profiles]:
    """Each inductive encoder in turn, with the histories of all users."""
    encoder, clicks, profiles = fits[request.param]
    assert isinstance(encoder, TableEncoder)
    return encoder, Histories.of_clicks(clicks), profiles


def some_rows(clicks: Interactions) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.permutation(clicks.items)[: rng.integers(1, 30)] for _ in range(50)]


def test_which_are_inductive(fits: dict[str, Fitted]) -> None:
    assert {name for name, fit in fits.items() if fit.encoder.is_inductive} == set(INDUCTIVE)


def test_the_order_of_a_history_changes_nothing(fitted: Fitted) -> None:
    rows, rng = some_rows(fitted.clicks), np.random.default_rng(2)
    profiles = fitted.profiles.take(np.arange(50))
    one = fitted.encoder.encode(Histories.of_items(rows), profiles)
    other = fitted.encoder.encode(Histories.of_items([rng.permutation(row) for row in rows]), profiles)
    np.testing.assert_allclose(one, other, atol=1e-6)
    assert np.ptp(one, axis=0).max() > 0.01


def test_a_repeated_click_changes_nothing(fitted: Fitted) -> None:
    rows, profiles = some_rows(fitted.clicks), fitted.profiles.take(np.arange(50))
    one = fitted.encoder.encode(Histories.of_items(rows), profiles)
    twice = fitted.encoder.encode(Histories.of_items([[*row, *row[::-1]] for row in rows]), profiles)
    np.testing.assert_array_equal(one, twice)


def test_padding_changes_nothing(fitted: Fitted) -> None:
    rows, profiles = some_rows(fitted.clicks), fitted.profiles.take(np.arange(50))
    histories = Histories.of_items(rows)
    one = fitted.encoder.encode(histories, profiles)
    codes = np.zeros((50, 90), np.int64)
    codes[:, 10 : 10 + histories.codes().shape[1]] = histories.codes()
    tags = np.pad(profiles.multivalent["tags"][0], ((0, 0), (2, 3)))
    padded = fitted.encoder.encode(Histories.of_codes(codes), replace(profiles, multivalent={"tags": (tags, 6)}))
    np.testing.assert_allclose(one, padded, atol=1e-6)


def test_vectors_have_length_1(fitted: Fitted) -> None:
    vectors = fitted.encoder.encode(Histories.of_clicks(fitted.clicks), fitted.profiles)
    assert vectors.shape == (fitted.clicks.users, fitted.encoder.dim)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


@pytest.mark.parametrize("rows", [[[], [3]], [[], []]], ids=["one empty history", "no history"])
def test_an_empty_history_and_an_unknown_profile_have_a_vector(fitted: Fitted, rows: list[list[int]]) -> None:
    for profiles in (fitted.profiles.take(np.arange(2)), fitted.profiles.unknown(2)):
        vectors = fitted.encoder.encode(Histories.of_items(rows), profiles)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_nobody_is_asked_for_and_nobody_answered(fitted: Fitted) -> None:
    vectors = fitted.encoder.encode(Histories.of_items([]), fitted.profiles.unknown(0))
    assert vectors.shape == (0, fitted.encoder.dim)


def test_who_is_encoded_beside_a_user_changes_nothing(fitted: Fitted) -> None:
    users, histories = np.array([7, 200, 31]), Histories.of_clicks(fitted.clicks)
    some = fitted.encoder.encode(histories.take(users), fitted.profiles.take(users))
    np.testing.assert_allclose(some, fitted.encoder.encode(histories, fitted.profiles)[users], atol=1e-6)


def test_the_running_sum_is_the_whole_history(inductive: tuple[TableEncoder, Histories, Profiles]) -> None:
    encoder, histories, profiles = inductive
    table, sums = encoder.item_table, np.zeros((histories.users, encoder.dim))
    for user, item in zip(histories.owners[::-1], histories.items[::-1], strict=True):  # click by click
        sums[user] += table[item]
    running = encoder.finish(sums, histories.counts, encoder.profile_part(profiles))
    np.testing.assert_allclose(running, encoder.encode(histories, profiles), atol=1e-6)


def test_the_running_sum_of_a_history_that_outgrows_its_bound(
    inductive: tuple[TableEncoder, Histories, Profiles],
) -> None:
    encoder, _, profiles = inductive
    clicks = np.random.default_rng(5).permutation(80)
    sums = np.zeros((1, encoder.dim))
    for place, item in enumerate(clicks):
        sums += encoder.item_table[item]
        if place >= 60:
            sums -= encoder.item_table[clicks[place - 60]]
    one = profiles.take(np.array([4]))
    running = encoder.finish(sums, np.array([60]), encoder.profile_part(one))
    np.testing.assert_allclose(running, encoder.encode(Histories.of_items([clicks[::-1]], 60), one), atol=1e-6)


def test_leaving_an_item_out_is_a_history_without_it(inductive: tuple[TableEncoder, Histories, Profiles]) -> None:
    encoder, histories, profiles = inductive
    users = np.arange(histories.users)
    left_out = histories.items[histories.start[:-1]]  # everybody's newest item
    by_formula = encoder.finish(
        encoder.sums(histories) - encoder.item_table[left_out], histories.counts - 1, encoder.profile_part(profiles)
    )
    without = Histories.of_items([histories.items[histories.start[u] + 1 : histories.start[u + 1]] for u in users])
    np.testing.assert_allclose(by_formula, encoder.encode(without, profiles), atol=1e-6)


@pytest.mark.parametrize("name", INDUCTIVE)
def test_the_same_rng_seed_gives_the_same_encoder(fits: dict[str, Fitted], name: str) -> None:
    encoder, clicks, profiles = fits[name]
    again = ALL[name].fit(clicks, profiles)
    histories = Histories.of_clicks(clicks)
    np.testing.assert_array_equal(encoder.encode(histories, profiles), again.encode(histories, profiles))


def test_an_item_or_a_field_that_the_encoder_does_not_know_is_refused(fits: dict[str, Fitted]) -> None:
    encoder, _, profiles = fits["learned"]
    with pytest.raises(ValueError, match="not among the encoder's 80"):
        encoder.encode(Histories.of_items([[80]]), profiles.take(np.array([0])))
    with pytest.raises(ValueError, match="tags"):
        encoder.encode(Histories.of_items([[1]]), replace(profiles.take(np.array([0])), multivalent={}))
