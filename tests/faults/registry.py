"""The faults by name."""

from collections.abc import Callable
from dataclasses import dataclass

from .scene import Scene

Strike = Callable[[Scene], None]


@dataclass(frozen=True)
class Fault:
    """A fault.

    Attributes:
        name: as ``--faults`` takes it.
        strike: makes it on a working flow, and leaves the flow working and checked.
        missing: says why this machine cannot make it; empty when it can.
    """

    name: str
    strike: Strike
    missing: Callable[[], str]


REGISTRY: dict[str, Fault] = {}


def fault(name: str, missing: Callable[[], str] = str) -> Callable[[Strike], Strike]:
    """Register a fault."""

    def register(strike: Strike) -> Strike:
        REGISTRY[name] = Fault(name, strike, missing)
        return strike

    return register
