"""Standard streams that are closed, full or not read: a flow goes on, a command says so in one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_RALM = f"{sys.executable} -m flows.cli.start"
_FULL = Path("/dev/full")
_LOG = """
import sys
from flows.cli.streams import settle_streams
settle_streams()
from flows.support.logs import get_logger, set_up_logs
from flows.support.progress import bars
set_up_logs("info", sys.argv[1])
for _ in range(5000):
    get_logger("x").info("a line")
with bars() as shown:
    shown.add_task("work")
open("done", "w").close()
"""

full = pytest.mark.skipif(not _FULL.exists(), reason="only Linux has /dev/full")


def shell(folder: Path, command: str) -> tuple[int, str, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RALM_")}
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("to", [">&-", pytest.param(">/dev/full", marks=full)])
@pytest.mark.parametrize("command", ["--help", "--version", "run seeds --help"])
def test_an_output_that_cannot_be_written_is_said_in_one_line(tmp_path: Path, command: str, to: str) -> None:
    code, out, err = shell(tmp_path, f"{_RALM} {command} {to}")
    assert (code, out) == (1, "")
    assert err.startswith("ralm: standard output cannot be written: ")
    assert len(err.splitlines()) == 1


def test_a_pipe_that_is_read_no_more_ends_a_command_without_a_word(tmp_path: Path) -> None:
    code, out, err = shell(tmp_path, f"{_RALM} run look-alike --help | true")
    assert (code, out, err) == (1, "", "")


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("to", ["2>&-", "2>&1 | head -1", pytest.param("2>/dev/full", marks=full)])
def test_who_logs_goes_on_without_standard_error(tmp_path: Path, form: str, to: str) -> None:
    (tmp_path / "log.py").write_text(_LOG)
    code, _, _ = shell(tmp_path, f"PYTHONPATH={Path.cwd()} {sys.executable} log.py {form} {to}")
    assert code == 0
    assert (tmp_path / "done").exists()


def test_no_file_gets_the_number_of_a_closed_stream(tmp_path: Path) -> None:
    code = (
        "from flows.cli.streams import settle_streams as s; s(); f = open('x', 'w'); assert f.fileno() > 2, f.fileno()"
    )
    for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
        assert shell(tmp_path, f'PYTHONPATH={Path.cwd()} {sys.executable} -c "{code}" {closed}')[0] == 0


def test_what_the_encoding_does_not_have_is_written_all_the_same(tmp_path: Path) -> None:
    code = "from flows.cli.streams import settle_streams as s; s(); print('\\u00fc \\udcff')"
    done = shell(tmp_path, f'PYTHONIOENCODING=ascii PYTHONPATH={Path.cwd()} {sys.executable} -c "{code}"')
    assert done == (0, "\\xfc \\udcff\n", "")
