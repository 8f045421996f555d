"""Profiles as text become the codes of training; what is not known is left out and counted."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ralm.encoders.encoder import EncoderPart
from ralm.encoders.profiles import MOST_VALUES, ProfileWeights
from state.bundle.profile_fields import ProfileFields

FIELDS: dict[str, Any] = {
    "categorical": {"gender": ["F", "M"], "city": []},
    "multivalent": {"likes": ["a", "b", "c"]},
    "continuous": {"age": [10.0, 60.0], "same": [3, 3]},
}


def test_values_have_the_codes_of_their_order() -> None:
    texts = [
        {"gender": "M", "likes": "c|a|c", "age": "35", "same": "3"},
        {"gender": "?", "likes": "a|x", "age": "old", "shoes": "44", "city": "Ulm"},
        {},
    ]
    found = ProfileFields.of_json(FIELDS).coded(texts)
    assert {name: codes.tolist() for name, (codes, _) in found.profiles.categorical.items()} == {
        "gender": [2, 0, 0],
        "city": [0, 0, 0],
    }
    assert found.profiles.multivalent["likes"][0].tolist() == [[3, 1, 3], [1, 0, 0], [0, 0, 0]]
    np.testing.assert_allclose(found.profiles.continuous, [[0.5, 0], [np.nan] * 2, [np.nan] * 2])
    assert found.known.tolist() == [6, 1, 0]
    assert found.unknown == 5  # ?, x, old, 44, Ulm


@pytest.mark.parametrize(("text", "number"), [("-1e300", 0), ("1e300", 1), ("60", 1), (" 35 ", 0.5)])
def test_a_number_beyond_those_of_training_is_the_nearest_of_these(text: str, number: float) -> None:
    found = ProfileFields.of_json(FIELDS).coded([{"age": text}])
    assert found.profiles.continuous[0, 0] == number


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e999", "", "3 4"])
def test_what_is_no_number_is_not_known(text: str) -> None:
    found = ProfileFields.of_json(FIELDS).coded([{"age": text}])
    assert np.isnan(found.profiles.continuous).all()
    assert (found.known.tolist(), found.unknown) == ([0], 1)


def test_a_field_has_no_more_values_than_in_training() -> None:
    found = ProfileFields.of_json(FIELDS).coded([{"likes": "|".join("ab" * 20_000)}])
    assert found.profiles.multivalent["likes"][0].shape == (1, MOST_VALUES)
    assert found.unknown == 40_000 - MOST_VALUES


@given(st.lists(st.dictionaries(st.sampled_from(["gender", "likes", "age", "x"]), st.text(max_size=9)), max_size=4))
def test_any_profile_is_coded(texts: list[dict[str, str]]) -> None:
    found = ProfileFields.of_json(FIELDS).coded(texts)
    assert found.profiles.users == len(texts)
    assert found.unknown >= 0
    assert not np.isinf(found.profiles.continuous).any()
    weights = ProfileWeights(
        np.zeros(2, "f4"), {"gender": np.ones((3, 2), "f4")}, {}, np.ones((2, 2), "f4"), np.zeros(2, "f4")
    )
    assert np.isfinite(weights.of(found.profiles)).all()


@pytest.mark.parametrize(
    "fields",
    [
        [],
        None,
        {"categorical": []},
        {"kinds": {}},
        {"categorical": {"a": "text"}},
        {"categorical": {"a": [1]}},
        {"categorical": {"a": [""]}},
        {"multivalent": {"a": ["x", "x"]}},
        {"continuous": {"a": [1]}},
        {"continuous": {"a": [2, 1]}},
        {"continuous": {"a": [0, float("nan")]}},
        {"continuous": {"a": [0, True]}},
        {"continuous": {"a": 5}},
        {"categorical": {"a": ["x"]}, "multivalent": {"a": ["x"]}},
    ],
)
def test_other_things_are_no_fields(fields: Any) -> None:
    with pytest.raises(ValueError, match=r"it is|it has|the values|a value|the field|a field"):
        ProfileFields.of_json(fields)


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ({"categorical": {"gender": 4}}, "'gender' has 2 values"),
        ({"categorical": {"likes": 4}}, "categorical field 'likes' is not there"),
        ({"multivalent": {"likes": 3}}, "'likes' has 3 values"),
        ({"continuous": 1}, "2 continuous fields"),
    ],
)
def test_weights_of_other_fields_do_not_fit(weights: dict[str, Any], words: str) -> None:
    def part(categorical: Any = None, multivalent: Any = None, continuous: int = 2) -> EncoderPart:
        tables = [
            {name: np.zeros((rows, 2), "f4") for name, rows in (kind or {}).items()}
            for kind in (categorical, multivalent)
        ]
        numbers = np.zeros((continuous, 2), "f4"), np.zeros(continuous, "f4")
        profile = ProfileWeights(np.zeros(2, "f4"), *tables, *numbers)
        return EncoderPart(np.zeros((1, 2), "f4"), profile, np.ones(2, "f4"))

    fields = ProfileFields.of_json(FIELDS)
    fields.check([part({"gender": 3}, {"likes": 4}), part(continuous=0)])
    with pytest.raises(ValueError, match=words):
        fields.check([part(**weights)])
