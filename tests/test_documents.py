"""The documents name what there is: files, commands and flags."""

import re
from pathlib import Path

import click
import pytest

from flows.cli.main import COMMANDS, cli

ROOT = Path(__file__).parents[1]
_FOLDERS = (
    ".",
    "docs",
    "docs/adr",
    "docs/results",
    "examples",
    "examples/own_data",
    "monitoring",
    "monitoring/runbooks",
)
DOCUMENTS = sorted(path.relative_to(ROOT).as_posix() for folder in _FOLDERS for path in (ROOT / folder).glob("*.md"))
_LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
_CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)
_FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]+")


def test_there_are_documents() -> None:
    assert {"README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/adr/README.md"} <= set(DOCUMENTS)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_file_that_is_linked_exists(name: str) -> None:
    path = ROOT / name
    for link in _LINK.findall(path.read_text(encoding="utf-8")):
        if "://" not in link and not link.startswith("mailto:"):
            assert (path.parent / link).exists(), link


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_command_and_flag_that_is_shown_exists(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    for code in _CODE.findall(text):
        for line in code.strip("`").splitlines():
            words = line.strip().removeprefix("$ ").partition("#")[0].split()
            if len(words) > 1 and words[0] == "ralm" and words[1].isascii() and words[1].replace("-", "").isalpha():
                assert words[1] in COMMANDS, line
                known = _flags(words)
                assert set(_FLAG.findall(line.partition("#")[0].partition("|")[0].partition("&&")[0])) <= known, line


def _flags(words: list[str]) -> set[str]:
    """The flags of the command that a line names, and of its subcommand."""
    context = click.Context(cli)
    command = cli.get_command(context, words[1])
    flags = {"--help", "--version"}
    while command is not None:
        flags |= {flag for each in command.params for flag in (*each.opts, *each.secondary_opts)}
        words = words[1:]
        inner = isinstance(command, click.Group) and len(words) > 1
        command = command.get_command(context, words[1]) if inner else None  # type: ignore[attr-defined]
    return flags


def test_the_readme_fits_on_a_few_screens() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_every_decision_is_listed() -> None:
    listed = (ROOT / "docs" / "adr" / "README.md").read_text(encoding="utf-8")
    for path in (ROOT / "docs" / "adr").glob("0*.md"):
        assert f"({path.name})" in listed
        text = path.read_text(encoding="utf-8")
        assert text.startswith(f"# {int(path.name[:4])}. ")
        for section in ("Status: ", "## Context", "## Decision", "## Alternatives", "## Consequences"):
            assert section in text, (path.name, section)
