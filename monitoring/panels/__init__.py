"""What the dashboard shows: rows that are questions, and panels that answer them. How it looks is ``dashboard.py``.

Only names of ``metrics.py`` and of the recording rules occur here; a test holds that.
"""

from monitoring.panels.fast import FAST
from monitoring.panels.fresh import FRESH
from monitoring.panels.healthy import HEALTHY
from monitoring.panels.marks import MARKS
from monitoring.panels.rejected import REJECTED
from monitoring.panels.short import SHORT
from monitoring.panels.stuck import STUCK

__all__ = ["MARKS", "ROWS"]

ROWS = {
    "In a minute": SHORT,
    "Is it healthy?": HEALTHY,
    "Is it fresh?": FRESH,
    "Is it fast?": FAST,
    "Where is it stuck?": STUCK,
    "What is being rejected?": REJECTED,
}
"""The dashboard, top to bottom: when something is wrong, the first row that is red says where to look."""
