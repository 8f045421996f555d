"""What a run has counted, and the one line that it ends with."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Tally:
    """Counts of a run.

    Attributes:
        faults: faults made, by name.
        kills: SIGKILLs of the flow, one cluster at once counting as one.
        moves_killed: of these, in the middle of bringing items home.
        clicks: clicks that the broker has taken, good and bad.
        requests: the same for requests.
        items: items with seeds, over all rounds.
        checks: comparisons with the oracle.
        seed_sets: wrong ones, over all checks.
        centroids: the same.
        unanswered: good requests without an answer.
        answers: answers that fit no request or no centroids, or differ from each other.
        dead_letters: missing or wrong ones.
        refusals: refused in words with nothing overwritten; what they said.
        healed: damages that the flow mended by itself, or that hit nothing.
        stops: ends in words of a running flow (as when the broker is away too long).
        wordless: ends that said nothing to people, did not drain, overwrote something, or had no reason.
        broken: rounds in which the harness itself failed.
        skipped: faults that this machine cannot make, and why.
        problems: each thing that is wrong, with the fault that led to it.
        seconds: how long it took.
    """

    faults: dict[str, int] = field(default_factory=dict)
    kills: int = 0
    moves_killed: int = 0
    clicks: int = 0
    requests: int = 0
    items: int = 0
    checks: int = 0
    seed_sets: int = 0
    centroids: int = 0
    unanswered: int = 0
    answers: int = 0
    dead_letters: int = 0
    refusals: list[str] = field(default_factory=list)
    healed: int = 0
    stops: list[str] = field(default_factory=list)
    wordless: list[str] = field(default_factory=list)
    broken: int = 0
    skipped: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def wrong(self) -> int:
        """How much is wrong; 0 is a good run."""
        return (
            self.seed_sets
            + self.centroids
            + self.unanswered
            + self.answers
            + self.dead_letters
            + len(self.wordless)
            + self.broken
        )

    def line(self) -> str:
        """The one line that a run ends with."""
        parts = [
            f"faults {sum(self.faults.values())}",
            f"kills {self.kills}",
            *([f"{self.moves_killed} of them while items were moved"] if self.moves_killed else []),
            f"clicks {self.clicks:,}",
            f"requests {self.requests:,}",
            f"items {self.items}",
            f"checks {self.checks}",
            f"wrong seed sets {self.seed_sets}",
            f"wrong centroids {self.centroids}",
            f"unanswered requests {self.unanswered}",
            f"wrong answers {self.answers}",
            f"wrong dead letters {self.dead_letters}",
            f"bad ends {len(self.wordless)}",
            f"refusals {len(self.refusals)}",
            f"healed {self.healed}",
            *([f"harness failures {self.broken}"] if self.broken else []),
            *(f"SKIPPED {name}: {why}" for name, why in self.skipped.items()),
        ]
        return "; ".join(parts)

    def figures(self) -> dict[str, Any]:
        """Everything, for a file."""
        return {"wrong": self.wrong, **asdict(self)}
