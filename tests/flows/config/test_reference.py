"""docs/settings.md is what the settings make it."""

import subprocess
import sys

from flows.config.fields import flag, variable
from flows.config.groups import GROUPS
from flows.config.reference import PAGE, page
from flows.config.settings import Settings


def test_the_committed_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `python -m flows.config.reference`"


def test_the_page_has_a_row_for_each_setting() -> None:
    rows = [line for line in page().splitlines() if line.startswith("| `")]
    assert len(rows) == len(Settings.model_fields)
    for name in Settings.model_fields:
        assert any(row.startswith(f"| `{flag(name)}` | `{variable(name)}` | `{name}` |") for row in rows)
    assert all(row.replace("\\|", "").count("|") == 7 for row in rows)
    assert all(f"\n## {group}\n" in page() for group in GROUPS)


def test_the_page_is_checked_by_a_command() -> None:
    checked = [sys.executable, "-m", "flows.config.reference"]
    assert subprocess.run([*checked, "--check"], check=False).returncode == 0
    assert subprocess.run([*checked, "--else"], capture_output=True, check=False).returncode == 2
