"""Access lists: each command works with exactly the rights that docs/security.md names, and says which is missing."""

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from brokers.access_lists import ADMIN, Right
from letters import dead_letter_of

from flows.config.settings import Settings
from flows.preflight.topics import look_at_kafka
from flows.run import FLOWS

pytestmark = pytest.mark.broker
DOCUMENT = Path(__file__).parents[2] / "docs" / "security.md"
KINDS = ("clicks", "candidates", "requests", "centroids", "scores", "dead-letters")
PREFIX = "shared."
"""Of the topics that all tests here share, and the group."""


def documented() -> dict[str, list[tuple[str, str]]]:
    """The rights of docs/security.md: (right, topic) by command; topics of letters are clicks here."""
    found = {}
    for line in DOCUMENT.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `ralm") and len(cells) == 4:
            command, read, write, _ = cells
            read, write = (text.replace("each topic that letters came from", "`clicks`") for text in (read, write))
            rights = [("READ", name) for name in re.findall(r"`([a-z][a-z-]+)`", read)]
            rights += [("WRITE", name) for name in re.findall(r"`([a-z][a-z-]+)`", write)]
            found[command.strip("`")] = rights + ([("READ", "group")] if "the group" in read else [])
    return found


RIGHTS = documented()
FLOW = RIGHTS["ralm run look-alike"]
EACH = [(name, right) for name in ("look-alike", "seeds", "scores") for right in RIGHTS[f"ralm run {name}"]]


def rights(prefix: str, *wanted: tuple[str, str]) -> list[Right]:
    return [Right(op, prefix, "GROUP") if name == "group" else Right(op, prefix + name) for op, name in wanted]


@pytest.fixture(scope="module")
def shared(guarded: Any) -> Any:
    """A flow's topics, and a dead letter of a click that is good now."""
    guarded.make_topics(PREFIX)
    admin = guarded.client(PREFIX)
    click = json.dumps({"user_id": "u", "item_id": "i", "ts": time.time_ns() // 1_000_000 - 1000}).encode()
    admin.send_all("clicks", [("i", click)] * 9)
    for offset in range(9):
        admin.send("dead-letters", "i", click, headers=dead_letter_of(f"{PREFIX}clicks", 0, offset))
    admin.flush()
    return guarded


@pytest.fixture
def as_user(console: Any, guarded: Any, bundle: Path) -> Callable[..., Any]:
    """The console script as a user."""

    def as_user(user: str, prefix: str = PREFIX) -> Callable[..., tuple[int, str]]:
        more = {"topic_prefix": prefix, "group_id": prefix, "partitions": "1", "bundle": str(bundle)}
        return lambda *arguments: console(*arguments, **guarded.settings(user), **more, metrics_port="0")

    return as_user


@pytest.fixture
def prefix() -> str:
    """A prefix of topics that nobody else has."""
    return f"t{uuid4().hex[:8]}."


def test_the_documents_name_every_command_that_needs_a_broker() -> None:
    assert len(EACH) == 18
    assert RIGHTS["ralm dead-letters redrive"] == [
        (op, n) for op in ("READ", "WRITE") for n in ("dead-letters", "clicks")
    ]


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("flow", ["look-alike", "seeds", "scores"])
def test_the_rights_of_the_documents_are_enough_for_a_flow(flow: str, as_user: Any, allow: Any) -> None:
    allow("ralm", *rights(PREFIX, *RIGHTS[f"ralm run {flow}"]))
    code, said = as_user("ralm")("run", flow, "--check")
    assert code == 0, said
    assert "\nok         rights: Read on " in said
    assert said.count("unchecked  topic ") == len({n for _, n in RIGHTS[f"ralm run {flow}"]} - {"group"})


@pytest.mark.usefixtures("shared")
def test_what_a_flow_may_see_of_its_topics_is_looked_at(as_user: Any, allow: Any) -> None:
    allow("ralm", *rights(PREFIX, *FLOW, *(("DESCRIBE_CONFIGS", name) for name in KINDS)))
    code, said = as_user("ralm")("run", "look-alike", "--check")
    assert code == 0, said
    assert "before the start: 12 ok\n" in said


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize(("flow", "missing"), EACH)
def test_each_missing_right_of_a_flow_is_a_problem_and_named(
    flow: str, missing: tuple[str, str], guarded: Any, allow: Any
) -> None:
    def look() -> str:
        settings = Settings(**guarded.settings("ralm"), topic_prefix=PREFIX, group_id=PREFIX)
        return "\n".join(str(found) for found in look_at_kafka(FLOWS[flow].topics, settings))

    operation, name = missing
    allow("ralm", *rights(PREFIX, *(right for right in RIGHTS[f"ralm run {flow}"] if right != missing)))
    if name == "group":
        assert f"rights: missing: Read on the group {PREFIX}." in look()
        return
    others = [right for right, topic in RIGHTS[f"ralm run {flow}"] if (right, topic) != missing and topic == name]
    if not others:
        assert f"topic {PREFIX}{name}: hidden from this user, if it exists" in (said := look())
        assert f"give the user {operation.capitalize()} on it" in said
        allow("ralm", *rights(PREFIX, ("DESCRIBE", name)))
    assert f"rights: missing: {operation.capitalize()} on {PREFIX}{name}." in look()


@pytest.mark.usefixtures("shared")
def test_a_flow_without_a_right_does_not_start(ralm: Any, guarded: Any, allow: Any) -> None:
    allow("ralm", *rights(PREFIX, *FLOW[1:], ("DESCRIBE", "clicks")))
    code, said = ralm(**guarded.settings("ralm"), topic_prefix=PREFIX, group_id=PREFIX)("run", "look-alike")
    assert code == 2, said
    assert f"rights: missing: Read on {PREFIX}clicks." in said
    assert "panic" not in said


def test_the_rights_that_topics_needs_work_the_first_time_and_each_later_one(
    as_user: Any, allow: Any, prefix: str
) -> None:
    allow("ralm", *rights(prefix, *((op, kind) for kind in KINDS for op in ("CREATE", "DESCRIBE", "DESCRIBE_CONFIGS"))))
    first, again = as_user("ralm", prefix)("topics"), as_user("ralm", prefix)("topics")
    assert (first[0], first[1].count("made")) == (0, 6), first[1]
    assert (again[0], again[1].count("as planned")) == (0, 6), again[1]


def test_topics_without_describe_makes_them_and_says_later_that_it_cannot_compare(
    as_user: Any, allow: Any, prefix: str
) -> None:
    allow("ralm", *rights(prefix, *((op, kind) for kind in KINDS for op in ("CREATE", "DESCRIBE_CONFIGS"))))
    first, again = as_user("ralm", prefix)("topics"), as_user("ralm", prefix)("topics")
    assert (first[0], first[1].count("made")) == (0, 6), first[1]
    assert again[0] == 1
    assert again[1].count("unchecked") == 6
    assert "Describe" in again[1]


@pytest.mark.usefixtures("shared")
def test_topics_without_describe_configs_compares_what_it_sees(as_user: Any, allow: Any) -> None:
    allow("ralm", *rights(PREFIX, *((op, kind) for kind in KINDS for op in ("CREATE", "DESCRIBE"))))
    code, said = as_user("ralm")("topics")
    assert code == 1
    assert said.count("DescribeConfigs") == 6


def test_topics_without_create_names_the_right(as_user: Any, allow: Any, prefix: str) -> None:
    allow("ralm", *rights(prefix, *((op, kind) for kind in KINDS for op in ("DESCRIBE", "DESCRIBE_CONFIGS"))))
    code, said = as_user("ralm", prefix)("topics")
    assert code == 1
    assert "needs the right Create" in said


COMMANDS = {
    "ralm replay": ("replay", "--clicks", "clicks.jsonl", "--requests", "requests.jsonl"),
    "ralm dead-letters list`, `count`, `explain": ("dead-letters", "explain", "0", "0"),
    "ralm dead-letters redrive --dry-run": ("dead-letters", "redrive", "--dry-run"),
    "ralm dead-letters redrive": ("dead-letters", "redrive", "--limit", "1"),
    "ralm ask": ("ask", "u", "--timeout", "100ms"),
}


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_works_with_exactly_its_rights_and_names_the_one_that_is_missing(
    command: str, as_user: Any, allow: Any, guarded: Any, tmp_path: Path
) -> None:
    ralm = as_user("ralm")
    now = time.time_ns() // 1_000_000
    for name, row in (("clicks", {"item_id": "i"}), ("requests", {"request_id": "r"})):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({**row, "user_id": "u", "ts": now}) + "\n")
    allow("ralm", *rights(PREFIX, *RIGHTS[command]))
    code, said = ralm(*COMMANDS[command])
    if command == "ralm ask":
        assert "no answer to request" in said, said  # there is no flow
    else:
        assert code == 0, said
    assert "uthorization" not in said
    for operation, name in RIGHTS[command]:
        missing, described = rights(PREFIX, (operation, name), ("DESCRIBE", name))
        guarded.porter.forbid("ralm", missing)
        allow("ralm", described)
        code, said = ralm(*COMMANDS[command])
        assert code == 1, said
        assert f"{operation.capitalize()} on {PREFIX}{name}" in said
        assert "CRIT" not in said.upper()
        allow("ralm", missing)


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("command", ["ralm dead-letters redrive", "ralm ask"])
def test_a_command_says_of_a_topic_that_it_may_not_see_which_right_it_needs(command: str, as_user: Any) -> None:
    code, said = as_user("ralm")(*COMMANDS[command])
    assert code == 1, said
    assert "the right to see it (Describe, Read or Write)" in said or "give him Read on" in said


@pytest.mark.usefixtures("shared")
def test_a_list_and_a_count_need_no_more(as_user: Any, allow: Any) -> None:
    allow("ralm", *rights(PREFIX, ("READ", "dead-letters")))
    for command in ("list", "count"):
        code, said = as_user("ralm")("dead-letters", command)
        assert code == 0, said
        assert "oversized" in said
        assert "warning" not in said
    assert as_user(ADMIN)("dead-letters", "count")[0] == 0
