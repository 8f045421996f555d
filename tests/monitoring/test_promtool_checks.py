"""Rules, queries and alerts as Prometheus itself judges them."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

MISSING = (
    "promtool is not installed, so the rules, their unit tests, prometheus.yml and all queries were NOT checked; "
    "it comes with Prometheus (Debian: apt-get install prometheus)"
)


@pytest.fixture(scope="module")
def promtool() -> str:
    path = shutil.which("promtool")
    if path is None and os.environ.get("CI") == "true":
        pytest.fail(MISSING)
    if path is None:
        pytest.skip(MISSING)
    return path


def check(*command: str | Path) -> str:
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_rules(promtool: str, room: Any) -> None:
    said = check(promtool, "check", "rules", *sorted((room.path / "rules").glob("*.yml")))
    assert said.count("SUCCESS") == 2


def test_configuration_and_the_rules_that_it_loads(promtool: str, room: Any) -> None:
    said = check(promtool, "check", "config", room.path / "prometheus.yml")
    assert "2 rule files found" in said


def test_alerts_fire_when_they_should_and_only_then(promtool: str, room: Any) -> None:
    files = sorted((room.path / "rules" / "tests").glob("*.yml"))
    said = check(promtool, "test", "rules", *files)
    assert said.count("SUCCESS") == len(files) == len({alert["alert"] for alert in room.alerts})


def test_every_query_of_dashboard_and_runbooks_can_be_parsed(promtool: str, room: Any, tmp_path: Path) -> None:
    expressions = sorted({expr for _, expr in room.expressions()})
    rules = [{"record": f"query:{number}", "expr": expr} for number, expr in enumerate(expressions)]
    made = tmp_path / "queries.yml"
    made.write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}))
    assert f"{len(rules)} rules found" in check(promtool, "check", "rules", made)


def test_the_metrics_page_is_well_formed(promtool: str, tmp_path: Path) -> None:
    from prometheus_client import generate_latest  # noqa: PLC0415

    from monitoring.metrics import REGISTRY  # noqa: PLC0415

    page = tmp_path / "page"
    page.write_bytes(generate_latest(REGISTRY))
    with page.open() as stdin:
        done = subprocess.run([promtool, "check", "metrics"], stdin=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
