"""Keeps the table of metrics in the room's README: ``python -m monitoring.reference``; ``--check`` only compares."""

import sys
from collections.abc import Sequence
from pathlib import Path

from prometheus_client import Counter, Gauge, Histogram

from monitoring import metrics
from monitoring.generated import write_or_check

_PATH = Path(__file__).parent / "README.md"
_BEGIN = "<!-- metrics: made by `python -m monitoring.reference` -->\n"
_END = "<!-- end of metrics -->\n"


def main(arguments: Sequence[str]) -> int:
    """Write or check the table; see ``write_or_check``."""
    return write_or_check(_PATH, with_table(_PATH.read_text(encoding="utf-8")), arguments, "monitoring.reference")


def our_metrics() -> list[Counter | Gauge | Histogram]:
    """Every metric of ``metrics.py``, in the order of that file."""
    return [value for value in vars(metrics).values() if isinstance(value, Counter | Gauge | Histogram)]


def table() -> str:
    """The metrics as a Markdown table."""
    lines = ["| metric | kind | labels | meaning |", "| --- | --- | --- | --- |"]
    for metric in our_metrics():
        family = next(iter(metric.describe()))
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = ", ".join(f"`{label}`" for label in metric._labelnames)  # noqa: SLF001 (the library has no public way)
        lines.append(f"| `{name}` | {family.type} | {labels} | {family.documentation} |")
    return "\n".join(lines) + "\n"


def with_table(text: str) -> str:
    """A README with its table made anew.

    Raises:
        ValueError: when the marks between which it lies are not there.
    """
    if _BEGIN not in text or _END not in text:
        msg = f"the README needs the lines {_BEGIN.strip()!r} and {_END.strip()!r}; the table goes between them"
        raise ValueError(msg)
    before, _, rest = text.partition(_BEGIN)
    return f"{before}{_BEGIN}{table()}{_END}{rest.partition(_END)[2]}"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
