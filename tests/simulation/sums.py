"""What all schedules so far came to, kept in a file from run to run."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .checks import Outcome


@dataclass
class Sums:
    """Sums over schedules.

    Attributes:
        next: the number of the next schedule.
        schedules: how many were played.
        wrong: the numbers of those in which something was wrong.
        happened: what happened in them.
    """

    next: int = 0
    schedules: int = 0
    wrong: list[int] = field(default_factory=list)
    happened: dict[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, file: Path) -> "Sums":
        """Those of a file; none where there is no file."""
        return cls(**json.loads(file.read_text())) if file.exists() else cls()

    def write(self, file: Path) -> None:
        """Keep them, whole or not at all."""
        file.parent.mkdir(parents=True, exist_ok=True)
        work = file.with_suffix(".new")
        work.write_text(json.dumps(asdict(self), indent=2) + "\n")
        work.replace(file)

    def add(self, outcome: Outcome) -> None:
        """Add a schedule."""
        self.schedules += 1
        if outcome.wrong and outcome.number not in self.wrong:
            self.wrong.append(outcome.number)
        for what, count in outcome.happened.items():
            self.happened[what] = self.happened.get(what, 0) + count

    def line(self) -> str:
        """All of it in a line."""
        happened = ", ".join(f"{count:,} {what}" for what, count in sorted(self.happened.items()))
        return f"{self.schedules:,} schedules, {len(self.wrong)} wrong; {happened}"
