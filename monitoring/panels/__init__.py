"""What the dashboard shows: rows that are questions, and panels that answer them. How it looks is ``dashboard.py``.

Only names of ``metrics.py`` and of the recording rules occur here; a test holds that.
"""

from dataclasses import replace

from monitoring.panels.base import Panel
from monitoring.panels.fast import FAST
from monitoring.panels.fresh import FRESH
from monitoring.panels.healthy import HEALTHY
from monitoring.panels.marks import MARKS
from monitoring.panels.rejected import REJECTED
from monitoring.panels.short import SHORT
from monitoring.panels.stuck import STUCK

__all__ = ["MARKS", "ROWS"]


def _filled(panels: list[Panel]) -> list[Panel]:
    """Where three a line would leave one alone, the first line has four."""
    lines = [panel for panel in panels if panel.shape == "lines" and panel.width == 8]
    narrow = lines[:4] if len(lines) % 3 == 1 else []
    return [replace(panel, width=6) if panel in narrow else panel for panel in panels]


_QUESTIONS = {
    "In a minute": SHORT,
    "Is it healthy?": HEALTHY,
    "Is it fresh?": FRESH,
    "Is it fast?": FAST,
    "Where is it stuck?": STUCK,
    "What is being rejected?": REJECTED,
}
ROWS = {title: _filled(panels) for title, panels in _QUESTIONS.items()}
"""The dashboard, top to bottom: when something is wrong, the first row that is red says where to look."""
