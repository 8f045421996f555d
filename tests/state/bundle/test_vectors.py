"""Vectors are found by user key."""

import numpy as np

from state.bundle.vectors import UserVectors
from state.user_keys import user_keys


def test_no_users_is_a_bundle_too() -> None:
    nobody = UserVectors(np.empty(0, np.uint64), np.empty((0, 4), np.float32), np.empty(0, np.uint32))
    assert nobody.rows(user_keys(["a"])).tolist() == [-1]


def test_each_key_has_its_row_and_a_strange_one_none() -> None:
    rng = np.random.default_rng(0)
    keys = np.unique(rng.integers(0, 2**64, 200, dtype=np.uint64))
    vectors = UserVectors(keys, rng.normal(size=(len(keys), 4)).astype("f4"), np.zeros(len(keys), np.uint32))
    asked = rng.permutation(np.concatenate([keys, keys + np.uint64(1), keys[:1] - np.uint64(1)]))
    place = {int(key): row for row, key in enumerate(keys)}
    rows = vectors.rows(asked)
    assert rows.tolist() == [place.get(int(key), -1) for key in asked]
    np.testing.assert_array_equal(vectors.gather(rows[rows >= 0]), vectors.vectors[rows[rows >= 0]])
    assert (len(vectors), vectors.dim) == (len(keys), 4)
