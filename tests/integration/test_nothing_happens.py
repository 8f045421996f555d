"""What commands say where there is nothing: what is missing, and what to do."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.broker


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["dead-letters", "list"], 0, "there is no dead letter\n"),
        (["dead-letters", "count"], 0, "there is no dead letter\n"),
        (["dead-letters", "list", "--since", "1h"], 0, "no dead letter was refused in that time\n"),
        (["dead-letters", "redrive"], 0, "0 redriven: no dead letter matches\n"),
        (["dead-letters", "redrive", "--dry-run"], 0, "0 would be redriven: no dead letter matches"),
        (["state", "show"], 1, "a flow that reads clicks makes them when it starts. Is --state-dir"),
        (["state", "verify"], 1, "a flow that reads clicks makes them when it starts"),
        (["state", "item", "a"], 1, "Is --state-dir the one that the flow has?"),
    ],
)
def test_empty_topics_and_no_store(flow: Callable[..., Any], arguments: list[str], code: int, words: str) -> None:
    done = flow().command(*arguments)
    assert done.returncode == code
    assert words in (done.stdout if code == 0 else done.stderr)


def test_letters_that_do_not_match_are_counted(client: Any, flow: Callable[..., Any]) -> None:
    running = flow()
    headers = {"topic": f"{client.prefix}clicks", "partition": "0", "offset": "0", "reason": "not_json", "time": "1"}
    client.send("dead-letters", "i", b"{", headers=[*headers.items(), ("detail", b"x"), ("schema_version", b"1")])
    client.flush()
    for command in ("list", "count"):
        done = running.command("dead-letters", command, "--reason", "oversized")
        assert done.stdout == "none of 1 dead letter matches\n", done.stderr


def test_an_empty_file_is_named(flow: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "clicks.jsonl"
    path.touch()
    done = flow().command("replay", "--clicks", str(path))
    assert (done.returncode, done.stdout) == (0, f"0 messages delivered: there is nothing in {path}\n")
