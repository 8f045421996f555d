"""What the system refuses is said in one line that names the thing and what to do, whichever command it was."""

import errno
import logging
import os
import signal
import sys
from pathlib import Path

import click
import numpy as np
import pytest
from confluent_kafka import KafkaError, KafkaException

from flows.cli import main as cli
from flows.cli.failures import system_failure
from flows.preflight.findings import Finding, Verdict
from flows.support.errors import RalmError
from flows.support.logs import get_logger, set_up_logs


def refused(number: int, name: str | None = "some/file") -> OSError:
    return OSError(number, os.strerror(number), name)


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (refused(errno.EACCES), 2, "some/file: Permission denied (let this user"),
        (refused(errno.EROFS), 2, "some/file: Read-only file system (name a place that can be written)"),
        (refused(errno.ENOENT), 2, "some/file: No such file or directory"),
        (refused(errno.ENOSPC), 1, "some/file: No space left on device (make room"),
        (refused(errno.ENOSPC, None), 1, "No space left on device (make room"),
        (refused(errno.EMFILE), 1, "some/file: Too many open files (let the process open more files (ulimit -n)"),
        (refused(errno.ENOTCONN), 1, "some/file: Transport endpoint is not connected"),
        (OSError(errno.EXDEV, "Invalid cross-device link", "a", None, "b"), 1, "a -> b: Invalid cross-device link"),
        (MemoryError(), 1, "out of memory (give it more"),
        (ImportError("x.so: failed to map segment from shared object"), 1, "out of memory, it seems: x.so"),
        (
            ImportError("IMPORTANT\n\nread this\n x.so: failed to map segment\n"),
            1,
            "out of memory, it seems: x.so: failed to map",
        ),
        (KafkaException(KafkaError(0, "no thread: Cannot allocate memory")), 1, "out of memory, it seems"),
        (SystemError("error return without exception set"), 1, "out of memory, it seems"),
        (ImportError("x.so: cannot open shared object file: Too many open files"), 1, "a library cannot be loaded"),
        (RuntimeError("can't start new thread"), 1, "can't start new thread (let it have more processes"),
    ],
)
def test_the_system_is_to_blame(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, code: int, words: str
) -> None:
    @click.command("made")
    def made() -> None:
        raise error

    monkeypatch.setattr(type(cli.cli), "get_command", lambda *_: made)
    monkeypatch.setattr(sys, "argv", ["ralm", "made"])
    for level, lines in ((logging.INFO, 1), (logging.DEBUG, 5)):
        logging.getLogger().setLevel(level)
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr().err
        assert ended.value.code == code
        assert said.splitlines()[-1].startswith(f"ralm: {words}")
        assert (len(said.splitlines()) == 1) == (lines == 1), "the traceback is shown at the level debug"
    logging.getLogger().setLevel(logging.WARNING)


def test_an_allocation_that_is_too_large_is_said() -> None:
    with pytest.raises(MemoryError) as caught:
        np.empty(1 << 60, np.uint8)
    words, code = system_failure(caught.value) or ("", 0)
    assert "Unable to allocate" in words
    assert code == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("ask", ""), "USER is empty"),
        (("ask", "u", "i", ""), "ITEM is empty"),
        (("ask", "u" * 257), "USER has 257 bytes"),
        (("ask", "u\udcff"), "USER is not UTF-8"),
        (("ask", "u", "--profile", "a=\udcff"), "is not UTF-8"),
        (("state", "item", "\udcff"), "ITEM_ID is not UTF-8"),
        (("state", "item", "i", "--user", "\udcff"), "--user is not UTF-8"),
        (("evaluate", "nothing"), "there is no data set nothing"),
        (("evaluate", "nothing", "--protocol", "stream"), "there is no data set nothing"),
    ],
)
def test_what_is_named_is_looked_at_before_anything_is_loaded_or_asked(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "flows.offline.evaluation.experiment", None)
    monkeypatch.setattr("sys.argv", ["ralm", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_is_interrupted_also_where_a_shell_has_started_it_in_the_background(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def run_demo(*_: object) -> None:
        os.kill(os.getpid(), number)
        pytest.fail("the signal was lost")

    monkeypatch.setattr("flows.demo.run.run_demo", run_demo)
    monkeypatch.setattr("sys.argv", ["ralm", "demo", "--folder", str(tmp_path)])
    before = {each: signal.signal(each, signal.SIG_IGN) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        with pytest.raises(SystemExit) as ended:
            cli.main()
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    assert ended.value.code == 128 + number


def test_the_system_is_quoted_in_words_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever has put an error into a message of his own: an exit, a line of the log, a finding before the start."""

    @click.command("made")
    def made() -> None:
        msg = f"store: {refused(errno.ENOSPC)} and File too large (os error 27). Make room."
        raise RalmError(msg)

    monkeypatch.setattr(type(cli.cli), "get_command", lambda *_: made)
    monkeypatch.setattr(sys, "argv", ["ralm", "made"])
    with pytest.raises(SystemExit):
        cli.main()
    said = "store: No space left on device: 'some/file' and File too large. Make room."
    assert capsys.readouterr().err == f"ralm: {said}\n"
    set_up_logs()
    get_logger("x").warning(f"it is {refused(errno.EIO)}", error=str(refused(errno.EACCES)))
    assert "Errno" not in (line := capsys.readouterr().err)
    assert "Input/output error" in line
    assert "Permission denied" in line
    assert str(Finding("port", Verdict.PROBLEM, str(OSError(98, "taken")))) == "port: taken"


@pytest.mark.parametrize(
    "error", [ValueError("x"), RuntimeError("x"), OSError("no number"), KeyError("k"), ImportError("name")]
)
def test_a_mistake_of_the_program_is_not_hidden(error: Exception) -> None:
    assert system_failure(error) is None


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"address_space": lambda: 300 << 20}, "300 MiB of address space; `ralm state` needs 1024"),
        ({"file_limit": lambda: 20, "raise_file_limit": lambda: None}, "may open 20 files; `ralm state` needs 64"),
        ({"threads_to_be_had": lambda _: 1}, "can start 1 more thread; `ralm state` needs 32"),
    ],
)
def test_where_addresses_files_or_threads_are_too_few_for_a_library_it_is_not_loaded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], limits: dict[str, object], words: str
) -> None:
    for name, limit in limits.items():
        monkeypatch.setattr(cli, name, limit)
    monkeypatch.setattr("sys.argv", ["ralm", "state", "show"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert words in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["ralm", "top", "--help"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0, "it loads none"


@pytest.mark.parametrize(
    "arguments",
    [
        ("data", "own", "--from", "own", "--data-dir", "taken/data"),
        ("train", "own", "--data-dir", "data", "--bundle", "taken/bundle"),
        ("evaluate", "own", "--data-dir", "data", "--eval-results", "taken/results"),
        ("demo", "--folder", "taken/demo"),
        ("bench", "store", "--folder", "/proc"),
        ("state", "backup", "taken/backup", "--state-dir", "state"),
        ("run", "look-alike", "--state-dir", "taken/state", "--check", "--bootstrap-servers", "127.0.0.1:1"),
    ],
)
def test_a_place_that_cannot_be_used_is_said_by_each_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("flows.cli.commands.run._ANSWER_S", 0.2)
    (tmp_path / "own").mkdir()
    rows = [f"u{n % 30},i{n % 7},{1_700_000_000 + n}" for n in range(300)]
    (tmp_path / "own" / "events.csv").write_text("\n".join(["user_id,item_id,timestamp", *rows]))
    (tmp_path / "taken").write_text("a file where a folder should be")
    monkeypatch.setattr(sys, "argv", ["ralm", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = "".join(capsys.readouterr())
    assert ended.value.code in (1, 2)
    assert "Traceback" not in said
    assert "ralm: " in said or "problem" in said
