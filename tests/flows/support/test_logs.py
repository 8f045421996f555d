"""Logs: lines for people or JSON for machines, libraries included; what a message holds cannot disguise itself."""

import json
import logging
from collections.abc import Iterator
from contextlib import suppress

import pytest
import structlog
from hand_clock import HandClock

from flows.support.logs import LEVELS, _NoFlood, get_logger, set_up_logs


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_json_lines_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("info", "json")
    get_logger("flows.x").warning("dead letter", detail="two\nlines \x1b[31m", key=b"\xff", offset=5)
    logging.getLogger("librdkafka").error("broker %s is down", "a:1")
    out, err = capsys.readouterr()
    ours, theirs = (json.loads(line) for line in err.splitlines())
    assert out == ""
    assert (ours["event"], ours["level"], ours["module"], ours["offset"]) == ("dead letter", "warning", "flows.x", 5)
    assert ours["detail"] == "two\nlines \x1b[31m"
    assert ours["timestamp"].endswith("Z")
    assert (theirs["event"], theirs["level"], theirs["module"]) == ("broker a:1 is down", "error", "librdkafka")


def test_text_for_people_is_one_line_without_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("info", "text")
    get_logger("flows.x").info("dead letter", detail="two\nlines \x1b[2J\x07\x9b")
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert "dead letter" in err
    assert not set(err) & set("\x1b\x07\x9b")


def test_a_traceback_shows_no_local_variables(capsys: pytest.CaptureFixture[str]) -> None:
    for form in ("text", "json"):
        set_up_logs("info", form)
        try:
            password = "".join(["pa55", "word"])
            raise ValueError(len(password))
        except ValueError:
            get_logger("flows.x").exception("failed")
        err = capsys.readouterr().err
        assert "ValueError: 8" in err
        assert "pa55word" not in err


@pytest.mark.parametrize("level", LEVELS)
def test_what_is_below_the_level_is_not_logged(level: str, capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs(level, "json")
    for each in LEVELS:
        getattr(get_logger("flows.x"), each)("said")
    logged = [json.loads(line)["level"] for line in capsys.readouterr().err.splitlines()]
    assert logged == list(LEVELS[LEVELS.index(level) :])


def test_libraries_chat_only_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    for level, heard in (("info", 0), ("debug", 2)):
        set_up_logs(level, "json")
        set_up_logs(level, "json")  # again changes nothing
        logging.getLogger("library").info("chat")
        logging.getLogger("library").debug("chat")
        assert len(capsys.readouterr().err.splitlines()) == heard


def test_a_flood_is_cut_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("debug", "json")
    flood = logging.getLogger("librdkafka")

    def record(second: int, level: int = logging.DEBUG) -> None:
        made = flood.makeRecord("librdkafka", level, "f", 1, "fetch %s", ("x",), None)
        made.created = second
        flood.handle(made)

    for _ in range(700):
        record(1)
    record(1, logging.WARNING)
    record(2)
    record(2)
    said = [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()]
    assert said == ["fetch x"] * 501 + ["fetch x (200 lines before this one were left out)", "fetch x"]


def test_what_fails_again_and_again_does_not_fill_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("info", "json")
    ours, theirs = get_logger("flows.x"), logging.getLogger("monitoring.x")
    for number in range(1000):
        ours.warning("the group's offset was not committed", offset=number)
        theirs.error("a page could not be made")
        try:
            raise ValueError(number)
        except ValueError:
            ours.exception("clustering failed", items=number)
        ours.info("reading", number=number)
    events = [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()]
    assert events.count("reading") == 1000
    for event in ("the group's offset was not committed", "a page could not be made", "clustering failed"):
        assert events.count(event) == 60


def test_what_was_left_out_is_counted() -> None:
    clock = HandClock()
    passes = _NoFlood(clock)
    for _ in range(100):
        with suppress(structlog.DropEvent):
            passes(None, "warning", {"event": "a"})
    assert "more_like_it" not in passes(None, "warning", {"event": "b"})
    clock.now += 61
    assert passes(None, "warning", {"event": "a"})["more_like_it"] == 40
