"""What a look before the start has found, a line each, and whether the flow may start."""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum

from flows.support.errors import ConfigError, RalmError
from flows.support.text import without_error_numbers


class Verdict(StrEnum):
    """What is thought of a thing; in ascending order of how much it weighs."""

    OK = "ok"
    WARNING = "warning"
    """The flow works, but not as well as it should."""
    UNCHECKED = "unchecked"
    """It could not be looked at."""
    PROBLEM = "problem"
    """The flow must not start."""


_WEIGHT = list(Verdict)


def _plural(verdict: Verdict, count: int) -> str:
    return "s" if count > 1 and verdict in (Verdict.WARNING, Verdict.PROBLEM) else ""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: names it.
        verdict: what is thought of it.
        text: what was seen, and of a problem what to do.
        failure: whether a problem is one that may pass by itself (exit code 1), not of the configuration (2).
    """

    what: str
    verdict: Verdict
    text: str
    failure: bool = False

    def __str__(self) -> str:
        return f"{self.what}: {' '.join(without_error_numbers(self.text).split())}"


def worst(what: str, seen: Collection[tuple[Verdict, str]]) -> Finding:
    """One finding of several: the verdict that weighs most, and what was seen; of a problem only the bad."""
    ordered = sorted(seen, key=lambda each: _WEIGHT.index(each[0]), reverse=True)
    verdict = ordered[0][0]
    texts = [text for each, text in ordered if verdict is not Verdict.PROBLEM or each is not Verdict.OK]
    return Finding(what, verdict, "; ".join(texts))


@dataclass(frozen=True)
class Findings:
    """All findings, in the order in which they were looked at."""

    findings: tuple[Finding, ...]

    def of(self, verdict: Verdict) -> list[Finding]:
        """The findings with a verdict."""
        return [finding for finding in self.findings if finding.verdict is verdict]

    def lines(self) -> Iterator[str]:
        """A line for each finding, and one that counts them."""
        for finding in self.findings:
            yield f"{finding.verdict:<9}  {finding}"
        yield self.summary()

    def summary(self) -> str:
        """How many findings there are of each verdict.

        >>> Findings((Finding("port", Verdict.OK, "free"),)).summary()
        'before the start: 1 ok'
        """
        count = Counter(finding.verdict for finding in self.findings)
        said = (
            f"{count[verdict]} {verdict}{_plural(verdict, count[verdict])}" for verdict in Verdict if count[verdict]
        )
        return f"before the start: {', '.join(said)}"

    def refuse_problems(self, flow: str) -> None:
        """End here if the flow must not start.

        Raises:
            ConfigError: when something must be changed before it can start.
            RalmError: when all problems are such that may pass by themselves.
        """
        problems = self.of(Verdict.PROBLEM)
        if not problems:
            return
        error = RalmError if all(problem.failure for problem in problems) else ConfigError
        raise error("\n".join([f"the flow {flow} does not start, and nothing was touched", *map(str, problems)]))
