"""Factorisation: the library's vectors, and items folded in as the closed form has it."""

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares

from ralm.click_matrix import click_matrix
from ralm.features import Interactions
from ralm.models.factorisation import MatrixFactorisation
from ralm.seed_lists import SeedLists


def model(**options: int) -> MatrixFactorisation:
    return MatrixFactorisation(8, regularisation=2.0, alpha=4.0, **options)


def test_scores_are_those_of_implicit(planted: Interactions) -> None:
    ours, library = model(iterations=5), AlternatingLeastSquares(8, 2.0, alpha=5.0, iterations=5, random_state=3)
    ours.fit(planted, 3)
    library.fit(click_matrix(planted), show_progress=False)
    scores = ours.scores(np.arange(planted.users), np.arange(planted.items))
    np.testing.assert_allclose(scores, library.user_factors @ library.item_factors.T, rtol=1e-3, atol=1e-4)


def test_threads_change_nothing_and_the_seed_does(planted: Interactions) -> None:
    users, items = np.arange(planted.users), np.arange(planted.items)
    one, two, other = model(threads=1), model(threads=2), model(threads=1)
    for fitting, rng_seed in ((one, 0), (two, 0), (other, 1)):
        fitting.fit(planted, rng_seed)
    np.testing.assert_array_equal(one.scores(users, items), two.scores(users, items))
    assert (one.scores(users, items) != other.scores(users, items)).any()


def test_folding_in_is_the_least_squares_of_the_item(planted: Interactions) -> None:
    fitting = model()
    fitting.fit(planted, 0)
    users, seeds = np.arange(planted.users), np.array([3, 7, 11, 100])
    factors = fitting._model.user_factors.astype(np.float64)
    trust = np.ones(planted.users)
    trust[seeds] = 5.0
    wanted = np.isin(users, seeds).astype(float)
    gram = factors.T @ (trust[:, None] * factors) + 2.0 * np.eye(8)
    expected = factors @ np.linalg.solve(gram, factors.T @ (trust * wanted))
    folded = fitting.scores_of_seeds(users, SeedLists(seeds, np.array([0, 4])))
    np.testing.assert_allclose(folded[:, 0], expected, rtol=1e-3, atol=1e-5)


def test_each_iteration_is_reported(planted: Interactions) -> None:
    told: list[tuple[str, int, int, float]] = []
    model(iterations=4).fit(planted, 0, lambda *entry: told.append(entry))
    assert [entry[:3] for entry in told] == [("factorisation", done, 4) for done in (1, 2, 3, 4)]
    assert told[-1][3] < told[0][3]
