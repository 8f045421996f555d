"""A child process is ours alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from waiting import wait_until

from flows.cli import main as cli
from flows.config.flow_process import FlowProcess
from flows.config.settings import Settings

_FOREIGN = "raise SystemExit('code of the working folder ran')"


@pytest.fixture
def foreign_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with modules that are called like those that everybody imports."""
    for name in ("json", "logging", "socket", "pickle", "numpy", "sitecustomize", "usercustomize"):
        (tmp_path / f"{name}.py").write_text(_FOREIGN)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_flow_that_a_command_starts_runs_no_code_of_the_working_folder(foreign_folder: Path) -> None:
    settings = Settings(bundle="none", bootstrap_servers="127.0.0.1:1", metrics_port=0)
    log = foreign_folder / "flow.log"
    with FlowProcess("look-alike", settings, config=foreign_folder / "flow.toml", log=log):
        wait_until(lambda: log.read_text() != "")
    assert "working folder ran" not in log.read_text()


def test_nor_does_a_process_that_a_command_has_libraries_start(
    foreign_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["ralm", "--version"])
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    with pytest.raises(SystemExit):
        cli.main()
    done = subprocess.run([sys.executable, "-c", "import json"], capture_output=True, env=os.environ, check=False)
    assert done.returncode == 0, done.stderr
