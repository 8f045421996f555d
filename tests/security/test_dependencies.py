"""Pins, lock and pyproject.toml are in step, and the audit sees when they or the installed files are not."""

import importlib.util
import json
import re
import subprocess
from importlib.metadata import distribution
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PYPROJECT, CONSTRAINTS, LOCK = (
    (ROOT / name).read_text() for name in ("pyproject.toml", "constraints.txt", "requirements.lock")
)
HASH = "--hash=sha256:" + "0" * 64
SMALL = """
[project]
dependencies = ["one>=1"]
[project.optional-dependencies]
dev = ["ralm-streaming[more]"]
more = ["two<3"]
"""


@pytest.fixture(scope="module")
def dependencies() -> ModuleType:
    """The script, which belongs to no package."""
    spec = importlib.util.spec_from_file_location("dependencies", ROOT / ".ci" / "dependencies.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_they_are_in_step(dependencies: Any) -> None:
    assert list(dependencies.out_of_step(PYPROJECT, CONSTRAINTS, LOCK)) == []
    assert len(dependencies.blocks(LOCK)) > 80


def test_nothing_of_this_machine_is_in_them() -> None:
    for text in (CONSTRAINTS, LOCK):
        assert not re.search(r"://|file:|\+cpu|--(extra-)?index|--find-links|--trusted-host|(?<!\w)/", text)


@pytest.mark.parametrize(
    ("constraints", "lock", "words"),
    [
        ("one==1.0\n", f"one==1.0 {HASH}", "asks for two<3, and constraints.txt does not pin it"),
        ("one==1.0\ntwo==3.0\n", f"one==1.0 {HASH}\ntwo==3.0 {HASH}", "asks for two<3, and constraints.txt pins 3.0"),
        ("one==1.0\ntwo==2.0\n", f"one==1.0 {HASH}", "two is in constraints.txt and not in requirements.lock"),
        (
            "one==1.0\ntwo==2.0\n",
            f"one==1.0 {HASH}\ntwo==2.1 {HASH}",
            "two==2.1 is in requirements.lock; constraints.txt",
        ),
        ("one==1.0\ntwo==2.0\n", f"one==1.0 {HASH}\ntwo==2.0", "two has no hash"),
        (
            "one==1.0\ntwo==2.0\ntorch==1\n",
            f"one==1.0 {HASH}\ntwo==2.0 {HASH}\ntorch==1 {HASH}",
            "torch is in requirements",
        ),
    ],
)
def test_what_is_out_of_step_is_said(dependencies: Any, constraints: str, lock: str, words: str) -> None:
    (said,) = dependencies.out_of_step(SMALL, constraints, lock)
    assert words in said


def test_pins_are_made_from_what_was_resolved(
    dependencies: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dependencies, "LOCK", tmp_path / "lock")
    monkeypatch.setattr(dependencies, "CONSTRAINTS", tmp_path / "pins")
    lines = ["Two_x==2.0", "# WARNING: x", "ralm-streaming @ file:///somewhere", "torch==9+cpu", "one==1.0"]
    hashed = f" \\\n    {HASH} \\\n    {HASH}"
    dependencies.write_pins("\n".join(line + hashed if "==" in line else line for line in lines))
    assert (tmp_path / "pins").read_text() == "one==1.0\ntorch==9\ntwo-x==2.0\n"
    lock = (tmp_path / "lock").read_text()
    assert list(dependencies.blocks(lock)) == ["one", "two-x"]
    assert "somewhere" not in lock


def test_the_environment_is_compared_with_the_pins(dependencies: Any) -> None:
    found = {
        "a": SimpleNamespace(version="1+cpu"),
        "b": SimpleNamespace(version="2"),
        "c": SimpleNamespace(version="3"),
    }
    assert list(dependencies.installed_otherwise("a==1\nb==9\nd==4\n", found)) == [
        "b 2 is installed; constraints.txt pins 9",
        "c 3 is needed, and constraints.txt does not pin it",
        "nothing needs d, which constraints.txt pins",
    ]


def test_a_changed_file_is_found(dependencies: Any, tmp_path: Path) -> None:
    click = distribution("click")
    assert list(dependencies.changed_files(click)) == []
    for file in click.files or []:
        copy = tmp_path / str(file)
        if ".." not in str(file) and Path(str(file.locate())).is_file():
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(Path(str(file.locate())).read_bytes())
    (tmp_path / "click" / "core.py").write_text("import os\n")
    changed = SimpleNamespace(name="click", files=click.files, locate_file=lambda file: tmp_path / str(file))
    (said,) = dependencies.changed_files(changed)
    assert "click/core.py is not the file that the package brought" in said


@pytest.mark.parametrize(
    ("packages", "known", "words"),
    [
        ([{"name": "a", "version": "1", "vulns": []}], [], ""),
        ([{"name": "a", "version": "1", "vulns": [{"id": "CVE-1"}]}], ["a 1: CVE-1"], ""),
        ([{"name": "a", "skip_reason": "not found"}], [], "does not know 1 of 1 packages"),
        (None, [], "no network"),
    ],
)
def test_an_audit_that_reached_nothing_is_no_clean_audit(
    dependencies: Any, monkeypatch: pytest.MonkeyPatch, packages: Any, known: list[str], words: str
) -> None:
    said = "" if packages is None else json.dumps({"dependencies": packages})
    done = subprocess.CompletedProcess([], 0, said, "error\nno network")
    monkeypatch.setattr(dependencies.subprocess, "run", lambda *_, **__: done)
    found, why = dependencies.vulnerabilities()
    assert found == known
    assert words in why
    assert bool(why) is bool(words)
