"""Rules, dashboard and runbooks speak of metrics, settings and commands that exist."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.config.settings import Settings
from monitoring.reference import our_metrics

WORD = r"(?:[a-z0-9_]+:)?\b(?:ralm|process|python)_[a-z0-9_]+(?::[a-z0-9_]+)?"
NO_METRIC = {"ralm_repository"}
COMMANDS = (
    r"ralm (train( NAME)?|run (look-alike|seeds|scores)( --check)?|topics|top( --once)?|"
    r"state (show( --json)?|item [A-Z]+( --user [A-Z]+)?|verify)|"
    r"dead-letters (list|count|explain|redrive)( --since \w+)?( --limit \d+)?)"
)
PLACES = {"job", "instance", "le", "partition"}


def test_every_name_in_every_expression_exists(room: Any) -> None:
    unknown = {
        (where, name)
        for where, expr in room.expressions()
        for name in re.findall(WORD, expr)
        if name not in room.series
    }
    assert not unknown
    silent = [where for where, expr in room.expressions() if not re.search(rf"{WORD}|\bup\b", expr)]
    assert not silent, "an expression without any metric"


def test_every_label_in_every_expression_exists(room: Any) -> None:
    labels = {label for metric in our_metrics() for label in metric._labelnames} | PLACES
    for where, expr in room.expressions():
        for grouped in re.findall(r"\b(?:by|on|without|ignoring)\s*\(([^)]*)\)", expr):
            assert {label.strip() for label in grouped.split(",") if label.strip()} <= labels, where
        for selected in re.findall(r"([a-z_]+)\s*=~?\s*\"", expr):
            assert selected in labels, where


def test_every_label_value_in_every_expression_exists(room: Any) -> None:
    known = {"job": {"$job"}, "instance": {"$instance"}, "le": {"1.0"}}
    for metric in our_metrics():
        for place, label in enumerate(metric._labelnames):
            if label != "partition":
                known.setdefault(label, set()).update(values[place] for values in metric._metrics)
    for where, expr in room.expressions():
        for label, value in re.findall(r"([a-z_]+)\s*=~?\s*\"([^\"]*)\"", expr):
            for each in value.split("|"):
                assert each in known[label], where


def test_every_metric_name_in_the_runbooks_prose_exists(room: Any) -> None:
    families = {metric._name for metric in our_metrics()}
    for name, text in room.runbooks.items():
        for word in re.findall(WORD, text):
            assert word in room.series | families | NO_METRIC, (name, word)
        for choice in re.findall(r"ralm_\(([a-z_|]+)\)", text):
            for beginning in choice.split("|"):
                assert any(series.startswith(f"ralm_{beginning}") for series in room.series), (name, beginning)


def test_every_metric_is_on_the_dashboard(room: Any) -> None:
    shown = " ".join(target["expr"] for panel in room.panels for target in panel["targets"])
    recorded = {rule["record"]: rule["expr"] for rule in room.rules if "record" in rule}
    for _ in recorded:  # rules are made of rules
        shown += " ".join(expr for name, expr in recorded.items() if name in shown)
    missing = {metric._name for metric in our_metrics() if metric._name not in shown}
    # Read by rules, or the same moment as one that is shown.
    assert missing <= {"ralm_index_last_update_timestamp_seconds"}


def test_every_alert_is_complete(room: Any) -> None:
    for alert in room.alerts:
        name = alert["alert"]
        assert re.fullmatch(r"Ralm([A-Z][a-z]+)+", name)
        assert alert["for"], name
        assert alert["labels"]["severity"] in {"page", "ticket"}, name
        notes = alert["annotations"]
        assert set(notes) == {"summary", "description", "runbook_url"}, name
        assert "$value" in notes["description"], name
        assert "{{" not in notes["summary"], name


def test_every_alert_has_a_runbook_and_every_runbook_an_alert(room: Any) -> None:
    repository = Path(room.path).parent
    for alert in room.alerts:
        url = alert["annotations"]["runbook_url"]
        prefix = "{{ $externalLabels.ralm_repository }}/"
        assert url.startswith(prefix)
        assert url == f"{prefix}monitoring/runbooks/{alert['alert']}.md"
        assert (repository / url.removeprefix(prefix)).is_file()
    assert set(room.runbooks) == {alert["alert"] for alert in room.alerts}


def test_the_example_configuration_sets_the_label_of_the_runbooks(room: Any) -> None:
    config = yaml.safe_load((room.path / "prometheus.yml").read_text())
    assert not config["global"]["external_labels"]["ralm_repository"].endswith("/")
    assert [scrape["job_name"] for scrape in config["scrape_configs"]] == ["ralm"]
    targets = config["scrape_configs"][0]["static_configs"][0]["targets"]
    port = Settings.model_fields["metrics_port"].default
    assert targets == [f"127.0.0.1:{port}"]


def test_every_alert_is_tested_firing_and_not_firing(room: Any) -> None:
    expected: dict[str, set[bool]] = {}
    for file in (room.path / "rules" / "tests").glob("*.yml"):
        cases = [case for test in yaml.safe_load(file.read_text())["tests"] for case in test["alert_rule_test"]]
        for case in cases:
            assert case["alertname"] == file.stem
            expected.setdefault(case["alertname"], set()).add(bool(case["exp_alerts"]))
    assert expected == {alert["alert"]: {True, False} for alert in room.alerts}


def test_every_runbook_answers_the_same_questions(room: Any) -> None:
    for name, text in room.runbooks.items():
        assert text.startswith(f"# {name}\n")
        parts = [
            "**What it means.**",
            "**Who is hurt.**",
            "## First look",
            "## Likely causes and fixes",
            "## When to escalate",
        ]
        places = [text.index(part) for part in parts]
        assert places == sorted(places), name


def test_runbooks_name_commands_flags_and_pages_that_exist(room: Any) -> None:
    flags = {f"--{field.replace('_', '-')}" for field in Settings.model_fields} | {
        "--pid",
        "--check",
        "--since",
        "--limit",
        "--once",
        "--user",
        "--json",
    }
    for name, text in room.runbooks.items():
        for command in re.findall(r"^(ralm .*)$|`(ralm [^`]*)`", text, re.MULTILINE):
            assert re.fullmatch(COMMANDS, command[0] or command[1]), (name, command)
        assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) <= flags, name
        for page in re.findall(r"\]\(([^)]+)\)", text):
            assert (room.path / "runbooks" / page).is_file(), (name, page)


@pytest.mark.parametrize("key", ["title", "description"])
def test_every_panel_is_a_question_with_a_unit_and_advice(room: Any, key: str) -> None:
    assert len({panel[key] for panel in room.panels}) == len(room.panels)
    for panel in room.panels:
        assert panel["title"].endswith("?")
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert len(panel["description"]) > 50, panel["title"]
        assert panel["targets"]


def test_panels_name_runbooks_that_exist(room: Any) -> None:
    named = {name for panel in room.panels for name in re.findall(r"\bRalm[A-Z]\w+", panel["description"])}
    assert named == set(room.runbooks), "each alert can be followed from the dashboard"
