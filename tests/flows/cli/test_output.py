"""What is printed where nobody looks at a screen is whole."""

import sys
from io import StringIO

import pytest
from rich.table import Table

from flows.cli.output import output


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def printed(monkeypatch: pytest.MonkeyPatch, stream: StringIO) -> str:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys, "stdout", stream)
    table = Table("name", "when")
    table.add_row("x" * 300 + "[bold]", "2026-11-26T22:06:49.123+00:00")
    output().print(table)
    output().print("a sentence " * 30)
    return stream.getvalue()


def test_a_table_in_a_pipe_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    text = printed(monkeypatch, StringIO())
    assert "x" * 300 + "[bold]" in text
    assert "2026-11-26T22:06:49.123+00:00" in text
    assert "a sentence " * 29 in text


def test_one_on_a_terminal_fits_into_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert max(map(len, printed(monkeypatch, Terminal()).splitlines())) <= 80


def test_there_may_be_no_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    output().print("nothing")
