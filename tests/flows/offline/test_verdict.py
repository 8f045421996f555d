"""What a training's figures mean, in a sentence or two."""

from dataclasses import asdict

import pytest

from flows.offline.verdict import verdict
from ralm.protocol.held_out import HeldOut


def said(users: int, rate: float, popular: float, error: float) -> str:
    figures = HeldOut(users, 1000, 50, 0.7, 0.55, rate, popular, error)
    return verdict(asdict(figures), "shop")


@pytest.mark.parametrize(
    ("rate", "popular", "error", "words"),
    [
        (0.30, 0.20, 0.05, "Better than popularity"),
        (0.20, 0.30, 0.05, "Worse than popularity"),
        (0.23, 0.20, 0.05, "No better than popularity, as far as these users tell"),
        (0.20, 0.20, 0.0, "No better than popularity"),
    ],
)
def test_a_difference_counts_where_it_is_beyond_its_error(
    rate: float, popular: float, error: float, words: str
) -> None:
    text = said(500, rate, popular, error)
    assert text.startswith(words)
    for part in (f"of 500 users {rate:.0%}", f"by popularity {popular:.0%}", "AUC 0.700", "0.550"):
        assert part in text
    assert "too few" not in text


def test_few_users_are_said_to_be_few_and_what_to_do_instead() -> None:
    text = said(17, 0.41, 0.35, 0.3)
    assert "17 users are too few to tell; try `ralm evaluate shop --eval-split items`" in text


def test_few_users_who_tell_clearly_are_not_too_few() -> None:
    text = said(32, 0.75, 0.44, 0.24)
    assert text.startswith("Better than popularity: of 32 users")
    assert "32 users are few, though; try `ralm evaluate shop --eval-split items`" in text
    assert "too few" not in text


def test_nothing_held_out_is_no_verdict() -> None:
    text = verdict(asdict(HeldOut()), "shop")
    assert text.startswith("Too little is held out")
    assert "nan" not in text
