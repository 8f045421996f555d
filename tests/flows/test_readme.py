"""The README says what the program does."""

from pathlib import Path

from flows.cli.main import COMMANDS

README = (Path(__file__).parents[2] / "README.md").read_text()


def test_every_file_that_is_linked_exists() -> None:
    links = [part.partition(")")[0] for part in README.split("](")[1:]]
    for link in links:
        if not link.startswith("http"):
            assert (Path(__file__).parents[2] / link).exists(), link


def test_every_command_that_is_shown_exists() -> None:
    for line in README.splitlines():
        words = line.strip().removeprefix("$ ").split()
        if len(words) > 1 and words[0] == "ralm":
            assert words[1] in COMMANDS, line
