"""What code makes and is committed is what the code makes."""

import json
import re
from pathlib import Path

import pytest

from monitoring import console, dashboard, reference
from monitoring.generated import write_or_check
from monitoring.panels import MARKS, ROWS


def test_the_dashboard_is_up_to_date() -> None:
    assert dashboard.main(["--check"]) == 0


def test_the_table_of_metrics_is_up_to_date() -> None:
    assert reference.main(["--check"]) == 0


def test_check_tells_of_a_difference_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "folder" / "made.txt"
    assert write_or_check(path, "one\n", ["--check"], "the.module") == 1
    assert not path.exists()
    assert write_or_check(path, "one\n", [], "the.module") == 0
    assert write_or_check(path, "one\n", ["--check"], "the.module") == 0
    assert write_or_check(path, "two\n", ["--check"], "the.module") == 1
    assert path.read_text() == "one\n"
    told = capsys.readouterr().err
    assert "-one" in told
    assert "run `python -m the.module`" in told


def test_other_arguments_are_refused(tmp_path: Path) -> None:
    assert write_or_check(tmp_path / "x", "", ["--chekc"], "the.module") == 2


def test_a_readme_without_its_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="table goes between them"):
        reference.with_table("# Monitoring\n")


def test_the_dashboard_is_the_same_each_time() -> None:
    assert dashboard.render() == dashboard.render()


def test_the_console_is_up_to_date() -> None:
    assert console.main(["--check"]) == 0


def test_the_console_holds_every_panel_mark_and_runbook_and_no_action_of_a_template() -> None:
    page = console.console()
    assert "{" * 2 not in page
    found = re.search(r'<script type="application/json" id="made">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    made = json.loads(found[1])
    assert {row["title"]: len(row["panels"]) for row in made["rows"]} == {
        name: len(each) for name, each in ROWS.items()
    }
    queries = [query for row in made["rows"] for panel in row["panels"] for query in panel["queries"]]
    assert {"legend": "{{instance}}", "expr": 'up{job="$job",instance=~"$instance"}'} in queries
    assert [mark["title"] for mark in made["marks"]] == [mark.title for mark in MARKS]
    assert made["runbooks"].keys() == {path.stem for path in (Path(console.__file__).parent / "runbooks").glob("*.md")}
