"""Old faults by name, and where each was found last."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

Mutation = Callable[[], AbstractContextManager[None]]
MUTATIONS: Final[dict[str, Mutation]] = {}


def mutation(name: str) -> Callable[[Callable[[], Iterator[Any]]], None]:
    """Register a fault; its function yields patches."""

    def register(patches: Callable[[], Iterator[Any]]) -> None:
        @contextmanager
        def put_back() -> Iterator[None]:
            with ExitStack() as stack:
                for each in patches():
                    stack.enter_context(each)
                yield

        MUTATIONS[name] = put_back

    return register


FOUND: Final = Path(__file__).with_name("found.json")
"""Of each fault a schedule that finds it, as ``python -m tests.simulation --mutations`` has searched it."""


def found() -> dict[str, int]:
    """What is noted in ``FOUND``."""
    noted: dict[str, int] = json.loads(FOUND.read_text()) if FOUND.exists() else {}
    return noted


def note(name: str, number: int) -> None:
    """Note the first schedule that finds a fault; faults that are no more go."""
    kept = {each: at for each, at in {**found(), name: number}.items() if each in MUTATIONS}
    FOUND.write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n")


def found_by(name: str, numbers: range, play: Callable[[int], Any]) -> int | None:
    """The first schedule that finds a fault, and nothing without it; None where none of them does."""
    for number in numbers:
        with MUTATIONS[name]():
            wrong = play(number).wrong
        if wrong and not play(number).wrong:
            return number
    return None
