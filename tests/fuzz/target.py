"""What is fuzzed: a target makes an input from random numbers, and says what became of it."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, TypeAlias

from flows.messages.rejects import REASONS, InvalidMessage

Check: TypeAlias = Callable[[Any], str | list[str]]
"""What became of an input, or of each message of a batch: ``accepted``, or why not. What it raises is a crash."""


@dataclass(frozen=True)
class Target:
    """A target.

    Attributes:
        name: its name.
        share: of the inputs of a run.
        make: makes an input of Python literals, so that it can be kept in a file.
        check: made once in the process that runs it; tries one input.
    """

    name: str
    share: float
    make: Callable[[Random], Any]
    check: Callable[[], Check]


def reason_of(invalid: InvalidMessage) -> str:
    """The reason of an invalid message, which must be one of the closed set and have a detail."""
    assert invalid.reason in REASONS, invalid.reason
    assert invalid.detail, "no detail"
    assert len(invalid.detail) < 2000, f"a detail of {len(invalid.detail)} characters"
    return invalid.reason


def said(refusal: Exception) -> str:
    """What a refusal says, which must be something that a person can read."""
    words = str(refusal)
    assert words.strip(), "refused without a message"
    assert len(words) < 5000, f"a message of {len(words)} characters"
    return words
