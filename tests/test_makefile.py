"""The Makefile finds a Python that the engine has wheels for, or says in a line what to install; its programs start."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAKE = shutil.which("make") or "make"
FILES = ("Makefile", "setup.py", "pyproject.toml", "constraints.txt", "requirements.lock", "requirements-cuda.lock")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with what make looks at, and no environment; ``bin`` in it is the whole PATH."""
    for name in FILES:
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "bin").mkdir()
    for name in ("grep", "sed", "expand", "rm"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name) or name)
    return tmp_path


def python(clone: Path, name: str, status: int) -> None:
    """A Python that ends with this status, as one without ensurepip or a shim without a version does."""
    path = clone / "bin" / name
    path.write_text(f"#!/bin/sh\nexit {status}\n")
    path.chmod(0o755)


def make(clone: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHON" and "MAKE" not in name}
    environment = kept | {"PATH": str(clone / "bin")}
    return subprocess.run([MAKE, *arguments], cwd=clone, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("pythons", "arguments", "taken"),
    [
        ({"python3.12": 0, "python3.11": 0}, [], "python3.12"),
        ({"python3.12": 127, "python3.11": 0, "python3": 0}, [], "python3.11"),
        ({"python3.12": 1, "python3": 0}, [], "python3"),
        ({"python3.12": 0, "mine": 0}, ["PYTHON=mine"], "mine"),
    ],
)
def test_the_first_python_that_works_is_taken(
    clone: Path, pythons: dict[str, int], arguments: list[str], taken: str
) -> None:
    for name, status in pythons.items():
        python(clone, name, status)
    done = make(clone, "-n", "venv", *arguments)
    assert done.stdout.splitlines()[1] == f"{taken} -m venv .venv"


@pytest.mark.parametrize("arguments", [[], ["PYTHON=mine"], ["PYTHON="]])
def test_without_one_a_line_says_what_to_install(clone: Path, arguments: list[str]) -> None:
    python(clone, "mine", 1)
    done = make(clone, "venv", *arguments)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2
    assert "No Python 3.12 or 3.11 with venv" in line
    assert "apt-get install python3.12-venv" in line
    assert done.stdout == ""


def test_help_and_clean_need_none(clone: Path) -> None:
    shown = make(clone, "help")
    assert shown.returncode == 0
    assert "Create the virtual environment with everything for development" in shown.stdout
    assert make(clone, "clean").returncode == 0


def test_the_programs_of_the_tests_start_without_the_paths_of_pytest() -> None:
    programs = [".".join(path.with_suffix("").parts[-3:]) for path in (ROOT / "tests").glob("*/__main__.py")]
    assert len(programs) >= 4
    done = subprocess.run(
        [sys.executable, "-c", f"import {', '.join(programs)}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
