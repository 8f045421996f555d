"""User keys are the hash that the bundle and the stores were written with."""

import numpy as np

from state.user_keys import user_key, user_keys


def test_one_and_many_are_the_same_hash() -> None:
    ids = [f"user-{number}" for number in range(1000)] + ["", "\N{SNOWMAN}", "x" * 256]
    keys = user_keys(ids)
    assert keys.dtype == np.uint64
    assert keys.tolist() == [user_key(user) for user in ids]
    assert len(set(keys.tolist())) == len(ids)


def test_the_hash_is_the_one_on_disk() -> None:
    assert user_key("user-1") == 0x7C7615C11438E5C9
