"""``ralm run`` and ``ralm run --check`` against a broker: what is refused before the start, in which words."""

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner
from confluent_kafka.admin import AdminClient, NewTopic
from waiting import wait_until

from flows.cli.main import cli
from flows.config.settings import Settings
from flows.kafka.topics import plan_topics

pytestmark = pytest.mark.broker


@pytest.fixture
def given(broker: str, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings with topics that nobody else has; none is made."""
    monkeypatch.setattr("flows.preflight.topics._PATIENCE_S", 0.5)
    return Settings(
        bootstrap_servers=broker,
        topic_prefix=f"t{uuid4().hex[:8]}.",
        partitions=2,
        bundle=str(bundle),
        state_dir=str(tmp_path / "state"),
        metrics_port=0,
    )


def make(settings: Settings, *, without: tuple[str, ...] = (), **changes: dict[str, Any]) -> None:
    """Make the topics as planned but for some, by the end of their names: partitions, or the broker's settings."""
    admin, new = AdminClient({"bootstrap.servers": settings.bootstrap_servers}), []
    for plan in plan_topics(settings):
        kind = plan.name.removeprefix(settings.topic_prefix)
        change = changes.get(kind.replace("-", "_"), {})
        if kind not in without:
            config = {**plan.config, **change.get("config", {})}
            new.append(NewTopic(plan.name, change.get("partitions", plan.partitions), 1, config=config))
    for future in admin.create_topics(new).values():
        future.result(timeout=15)


def flags(settings: Settings) -> list[str]:
    """The settings that are not at their defaults, as flags."""
    fields = Settings.model_fields.items()
    changed = {name: getattr(settings, name) for name, field in fields if getattr(settings, name) != field.default}
    return [text for name, value in changed.items() for text in (f"--{name.replace('_', '-')}", str(value))]


def check(settings: Settings, flow: str = "look-alike") -> tuple[int, dict[str, str]]:
    """The exit code of ``--check``, and its lines by what they are about."""
    without_plan = settings.model_copy(update={"partitions": Settings().partitions})
    result = CliRunner().invoke(cli, ["run", flow, "--check", *flags(without_plan)])
    lines = [
        line for line in result.stdout.splitlines() if line.startswith(("ok ", "warning ", "unchecked ", "problem "))
    ]
    return result.exit_code, {line[11:].partition(": ")[0]: line for line in lines}


_IMPATIENT = """
from functools import partial
from flows import run
from flows.cli.main import main
run.look = partial(run.look, answer_s=0.5)
main()
"""


def run(settings: Settings, flow: str = "look-alike") -> subprocess.CompletedProcess[str]:
    """Run a flow that is refused; it waits for a broker for half a second only."""
    without_plan = settings.model_copy(update={"partitions": Settings().partitions})
    command = [sys.executable, "-c", _IMPATIENT, "run", flow, *flags(without_plan)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.embedded_too
def test_all_is_well_and_nothing_is_touched(given: Settings) -> None:
    make(given)
    code, lines = check(given)
    assert code == 0
    assert len(lines) == 12
    assert not any(line.startswith(("problem", "warning")) for line in lines.values())
    assert lines[f"topic {given.topic_prefix}centroids"].startswith("ok         ")
    assert not Path(given.state_dir).exists()


@pytest.mark.embedded_too
@pytest.mark.parametrize(
    ("flow", "missing"),
    [("look-alike", ["centroids", "scores"]), ("seeds", ["centroids"]), ("scores", ["centroids", "scores"])],
)
def test_missing_outputs_are_refused_for_those_that_write_them(given: Settings, flow: str, missing: list[str]) -> None:
    make(given, without=("centroids", "scores", "candidates"))
    code, lines = check(given, flow)
    assert code == 2
    problems = {what for what, line in lines.items() if line.startswith("problem")}
    assert problems == {f"topic {given.topic_prefix}{kind}" for kind in missing}


def test_a_refused_flow_says_what_to_do_in_a_few_lines_and_touches_nothing(given: Settings) -> None:
    make(given, without=("candidates", "scores"), centroids={"config": {"cleanup.policy": "delete"}})
    listed = given.model_copy(update={"candidates": "listed"})
    done = run(listed)
    assert done.returncode == 2
    assert "panic" not in done.stderr
    said = done.stderr.splitlines()[-4:]
    assert said[0] == "ralm: the flow look-alike does not start, and nothing was touched"
    assert said[1] == f"topic {given.topic_prefix}candidates: it does not exist: run `ralm topics` to make it"
    assert said[2].startswith(f"topic {given.topic_prefix}centroids: cleanup.policy delete, planned compact")
    assert said[3] == f"topic {given.topic_prefix}scores: it does not exist: run `ralm topics` to make it"
    waits = [line for line in done.stderr.splitlines() if "waiting for topics" in line]
    assert len(waits) == 1, "it is said once"
    assert len(done.stderr.splitlines()) == 5
    assert not Path(given.state_dir).exists()


def test_partitions_that_do_not_fit_each_other_are_refused(given: Settings) -> None:
    make(given, candidates={"partitions": 3})
    code, lines = check(given, "seeds")
    assert code == 2
    assert "3 partitions, but" in lines[f"topic {given.topic_prefix}candidates"]


def test_no_broker_is_one_line(given: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.cli.commands.run._ANSWER_S", 0.5)
    nowhere = given.model_copy(update={"bootstrap_servers": "127.0.0.1:1"})
    code, lines = check(nowhere)
    assert code == 2
    assert "no broker answers at 127.0.0.1:1" in lines["broker"]
    assert lines["topics, rights"].startswith("unchecked")
    done = run(nowhere)
    assert done.returncode == 1, "it may pass by itself"
    said = [line for line in done.stderr.splitlines() if "broker unreachable" not in line]
    assert len(said) == 2
    assert len(done.stderr.splitlines()) <= 3, "a line for the state, however often it was tried"
    assert "no broker answers at 127.0.0.1:1 within 0.5 s" in done.stderr


def test_bundle_port_and_state_directory_are_looked_at(given: Settings, tmp_path: Path) -> None:
    make(given)
    (tmp_path / "file").write_text("")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        update = {
            "metrics_port": taken.getsockname()[1],
            "bundle": str(tmp_path / "no-bundle"),
            "state_dir": str(tmp_path / "file" / "state"),
        }
        code, lines = check(given.model_copy(update=update))
    assert code == 2
    assert {what for what, line in lines.items() if line.startswith("problem")} == {
        "bundle",
        "state directory",
        "metrics port",
    }


def test_a_flow_may_start_right_after_its_topics_were_made(flow: Callable[..., Any]) -> None:
    running = flow(partitions="8")
    process = running.start("scores")
    until_said(running, process, "live index loaded")
    assert running.stop() == [0]
    assert running.log_text().count("before the start: ") == 1


def until_said(running: Any, process: Any, words: str) -> None:

    wait_until(lambda: words in running.log_text() or process.poll() is not None)
    assert process.poll() is None, running.log_text()
