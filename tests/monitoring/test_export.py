"""What is exported can be used as it is, from a wheel too."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from flows.cli.commands.monitoring import command
from monitoring.export import export

ROOT = Path(__file__).parents[2]


def test_everything_is_there_and_prometheus_takes_it(tmp_path: Path) -> None:
    written = export(tmp_path, ["a:1", "b:2"], "https://git.example/ralm/")
    assert {
        "prometheus.yml",
        "prometheusrule.yml",
        "alertmanager.yml",
        "servicemonitor.yml",
        "rules/alerts.yml",
        "rules/recording.yml",
        "dashboards/ralm.json",
        "consoles/ralm.html",
        "grafana/dashboards/ralm.yml",
        "grafana/datasources/ralm.yml",
        "runbooks/RalmFlowDown.md",
    } <= set(written)
    assert all((tmp_path / path).is_file() for path in written)
    config = yaml.safe_load((tmp_path / "prometheus.yml").read_text())
    assert config["scrape_configs"][0]["static_configs"][0]["targets"] == ["a:1", "b:2"]
    assert config["global"]["external_labels"]["ralm_repository"] == "https://git.example/ralm"
    for program, arguments in (
        ("promtool", ("check", "config", "prometheus.yml")),
        ("amtool", ("check-config", "alertmanager.yml")),
    ):
        path = shutil.which(program)
        if path is not None:
            done = subprocess.run([path, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr


def test_the_operators_rules_are_the_rules(tmp_path: Path) -> None:
    export(tmp_path)
    made = yaml.safe_load((tmp_path / "prometheusrule.yml").read_text())
    groups = [
        group
        for name in ("recording.yml", "alerts.yml")
        for group in yaml.safe_load((ROOT / "monitoring" / "rules" / name).read_text())["groups"]
    ]
    assert made["spec"]["groups"] == groups
    assert made["kind"] == "PrometheusRule"


def test_every_inhibition_names_alerts_that_exist(tmp_path: Path) -> None:
    export(tmp_path)
    alerts = {path.stem for path in (ROOT / "monitoring" / "runbooks").glob("*.md")}
    text = (tmp_path / "alertmanager.yml").read_text()
    named = {
        word.strip('"[],') for line in text.splitlines() for word in line.replace("|", " ").split() if "Ralm" in word
    }
    assert named
    assert named <= alerts


def test_twice_is_as_good_as_once_and_other_files_stay(tmp_path: Path) -> None:
    (tmp_path / "mine.yml").write_text("mine")
    assert export(tmp_path) == export(tmp_path)
    assert (tmp_path / "mine.yml").read_text() == "mine"


def test_the_command_says_what_it_wrote(tmp_path: Path) -> None:
    done = CliRunner().invoke(command, ["export", str(tmp_path / "made"), "--target", "h:1", "--target", "h:2"])
    assert done.exit_code == 0, done.output
    assert str(tmp_path / "made" / "rules" / "alerts.yml") in done.output


@pytest.mark.slow
def test_all_of_it_is_in_the_wheel(tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "tests", "*.egg-info", "build", "__pycache__"))
    command = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", command, str(tmp_path)],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    shutil.unpack_archive(next(tmp_path.glob("*.whl")), tmp_path / "wheel", "zip")
    kinds = {".html", ".css", ".js", ".json", ".yml", ".md"}
    wanted = {
        path.relative_to(ROOT)
        for path in (ROOT / "monitoring").rglob("*")
        if path.suffix in kinds and path.parent.name != "tests"
    }
    missing = {path for path in wanted if not (tmp_path / "wheel" / path).is_file()}
    assert not missing
