"""Makes ``consoles/ralm.html``, the dashboard without Grafana: ``python -m monitoring.console`` (``--check`` compares).

A console is a page that Prometheus itself serves, a template of Go's. This one is drawn by its script from the same
panels as Grafana's dashboard, with the alerts and their runbooks in it; what lies in ``console_page/`` is put together
here.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from monitoring.generated import write_or_check
from monitoring.panels import MARKS, ROWS
from monitoring.panels.base import Panel

_ROOM = Path(__file__).parent
_PATH = _ROOM / "consoles" / "ralm.html"
_OPEN = "{" * 2
"""What begins an action in Go's templates."""


def main(arguments: Sequence[str]) -> int:
    """Write or check the console; see ``write_or_check``."""
    return write_or_check(_PATH, console(), arguments, "monitoring.console")


def console() -> str:
    """The page.

    Raises:
        ValueError: when something in it would be taken for an action of a template.
    """
    page, style, script = (
        (_ROOM / "console_page" / f"page.{kind}").read_text("utf-8") for kind in ("html", "css", "js")
    )
    made = {
        "rows": [{"title": title, "panels": [_panel(panel) for panel in panels]} for title, panels in ROWS.items()],
        "marks": [vars(mark) for mark in MARKS],
        "runbooks": {path.stem: path.read_text("utf-8") for path in sorted((_ROOM / "runbooks").glob("*.md"))},
    }
    # In JSON these characters occur in texts alone where two stand together, and there they may be written as numbers.
    text = json.dumps(made, indent=1).replace(_OPEN, "{\\u007b").replace("<", "\\u003c")
    page = page.replace("__STYLE__", style).replace("__SCRIPT__", script).replace("__MADE__", text)
    if _OPEN in page:
        msg = f"the console must not hold {_OPEN!r}: Prometheus would take it for a template's action"
        raise ValueError(msg)
    return page


def _panel(panel: Panel) -> dict[str, Any]:
    queries = [{"legend": legend, "expr": expr} for legend, expr in panel.queries.items()]
    return {**vars(panel), "queries": queries}


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
