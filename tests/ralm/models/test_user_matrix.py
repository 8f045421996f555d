"""Features of users: what stands where, and an item left out as if it had never been clicked."""

from dataclasses import replace

import numpy as np
import pytest

from ralm.features import Interactions
from ralm.models.user_matrix import UserMatrix


@pytest.fixture
def small() -> Interactions:
    """Three users; the last never clicked."""
    return Interactions(
        np.array([0, 0, 0, 1, 1]),
        np.array([3, 0, 1, 1, 1]),
        np.array([1, 2, 3, 1, 2]),
        {"age": (np.array([2, 0, 1]), 3)},
        {"tags": (np.array([[1, 3], [3, 3], [0, 0]]), 4)},
        np.array([[0.25], [1.0], [0.0]], np.float32),
        np.array([[1, 2], [2, 0], [0, 0], [1, 0]]),
        3,
    )


def test_every_block_holds_what_it_says(small: Interactions) -> None:
    matrix = UserMatrix.of_clicks(small, 50)
    rows = matrix.rows(np.arange(3)).toarray()
    blocks = {name: rows[:, columns].tolist() for name, columns in matrix.blocks.items()}
    third = pytest.approx(2 / 3)
    assert blocks == {
        "age": [[0, 1], [0, 0], [1, 0]],
        "tags": [[1, 0, 1], [0, 0, 1], [0, 0, 0]],
        "continuous": [[0.25], [1], [0]],
        "items": [[1, 1, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0]],
        "categories": [[third, third], [0, 1], [0, 0]],
    }
    assert matrix.column_of(np.array([1]))[0] == matrix.blocks["items"].start + 1


def test_only_the_most_recent_clicks_count(small: Interactions) -> None:
    matrix = UserMatrix.of_clicks(small, 2)
    rows = matrix.rows(np.array([0])).toarray()[0]
    assert rows[matrix.blocks["items"]].tolist() == [1, 1, 0, 0]
    assert rows[matrix.blocks["categories"]].tolist() == [0.5, 1]


def test_bins_part_the_range(small: Interactions) -> None:
    matrix = UserMatrix.of_clicks(small, 50, bins=4)
    columns = matrix.counts.toarray()[:, matrix.blocks["continuous"]]
    assert columns.tolist() == [[0, 1, 0, 0], [0, 0, 0, 1], [1, 0, 0, 0]]


def test_a_history_of_unknown_category_is_no_category(small: Interactions) -> None:
    bare = replace(small, item_categories=np.zeros((4, 1), int), category_count=1)
    assert UserMatrix.of_clicks(bare, 50).blocks["categories"] == slice(10, 10)


@pytest.mark.parametrize("item", [0, 13, 79])
def test_an_item_left_out_leaves_the_features_of_a_world_without_it(planted: Interactions, item: int) -> None:
    users = np.arange(planted.users)
    left_out = UserMatrix.of_clicks(planted, 50).rows(users, item)
    world = UserMatrix.of_clicks(planted.only(planted.clicks_item != item), 50).rows(users)
    np.testing.assert_allclose(left_out.toarray(), world.toarray(), rtol=1e-6)
    assert left_out.nnz == world.nnz
