"""The demo shows commands that can be copied: ``ralm`` by its path where its name alone finds nothing."""

import sys
from pathlib import Path

import pytest

from flows.cli.commands.demo import _program


@pytest.fixture
def called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This program as ``make demo`` calls it: by its path in an environment that is not on PATH."""
    path = tmp_path / "env" / "ralm"
    path.parent.mkdir()
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    monkeypatch.setattr(sys, "argv", [str(path), "demo"])
    monkeypatch.setenv("PATH", str(tmp_path / "elsewhere"))
    return path


def test_a_path_that_is_not_on_the_path_is_shown(called: Path) -> None:
    assert _program() == str(called)


def test_the_name_alone_is_shown_where_it_finds_the_same(called: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(called.parent))
    assert _program() == "ralm"


def test_another_installation_on_the_path_is_not_meant(
    called: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "elsewhere" / "ralm"
    other.parent.mkdir()
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    assert _program() == str(called)


def test_a_call_as_a_module_shows_the_name(called: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [str(called.parent / "start.py"), "demo"])
    assert _program() == "ralm"
