"""Help for people: settings by what they are for, and where each value came from."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import click
import pytest

from flows.cli.main import cli
from flows.config.groups import GROUPS, group_of
from flows.config.settings import Settings
from flows.config.sources import origins


def help_of(*names: str) -> str:
    command: click.Command = cli
    context = click.Context(cli)
    for name in names:
        assert isinstance(command, click.Group)
        found = command.get_command(context, name)
        assert found is not None
        command = found
    return command.get_help(click.Context(command, max_content_width=110, terminal_width=110))


def test_settings_stand_under_what_they_are_for() -> None:
    text = help_of("run")
    parts = re.split(r"^(\S.*):$", text, flags=re.MULTILINE)
    sections: Mapping[str, str] = dict(zip(parts[1::2], parts[2::2], strict=True))
    titles = [title for title in sections if title.partition(":")[0] in GROUPS]
    assert titles == sorted(titles, key=lambda title: list(GROUPS).index(title.partition(":")[0])), (
        "as in the documents"
    )
    assert (
        "--window"
        in sections[
            "windows: How event time is cut into windows; when a window closes, the items clicked in it are clustered"
        ]
    )
    assert re.findall(r"^  (?:-h, )?(--\S+)", sections["Options"], re.MULTILINE) == ["--check"]
    assert {"--config", "--log-level", "--help"} <= set(re.findall(r"--[a-z-]+", sections["Every command"]))


@pytest.mark.parametrize("names", [("run",), ("top",), ("demo",), ("state", "item"), ("topics",), ("train",)])
def test_nothing_is_lost_by_grouping(names: tuple[str, ...]) -> None:
    command: click.Command = cli
    for name in names:
        command = command.get_command(click.Context(cli), name)  # type: ignore[attr-defined]
    text = help_of(*names)
    for param in command.params:
        if isinstance(param, click.Option):
            assert len(re.findall(rf"^  {param.opts[0]}(?![\w-])", text, re.MULTILINE)) == 1, param.opts[0]


def test_every_setting_has_a_group() -> None:
    assert {group_of(name) for name in Settings.model_fields} == set(GROUPS)
    assert group_of("check") is None


def test_where_a_value_came_from(tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text('window = "1m"\ntop_k = 5\n')
    found = origins(file, {"top_k": 7}, {"RALM_MIN_SEEDS": "4", "RALM_WINDOW": "2m", "PATH": "x"})
    assert found == {
        "window": "the variable RALM_WINDOW",
        "top_k": "the flag --top-k",
        "min_seeds": "the variable RALM_MIN_SEEDS",
    }
    shown = Settings(window="2m", top_k=7, min_seeds=4).shown(("windows", "scoring", "kafka"), found)
    lines = {line.split(" = ")[0]: line for line in shown.splitlines()}
    assert re.fullmatch(r'window = "2m" +# the variable RALM_WINDOW', lines["window"])
    assert lines["top_k"].endswith("# the flag --top-k")
    assert lines["max_top_k"].endswith("# default")
    assert lines["# sasl_password"].endswith("# default"), "a secret's origin is said, and not the secret"


def test_check_says_where_each_value_came_from(tmp_path: Path) -> None:
    (tmp_path / "ralm.toml").write_text('group_id = "mine"\n')
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RALM_")}
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli.start", "run", "scores", "--check", "--bootstrap-servers", "127.0.0.1:1"],
        cwd=tmp_path,
        env={**environment, "RALM_TOP_K": "9", "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert re.search(r'^group_id = "mine" +# group_id in ralm.toml$', done.stdout, re.MULTILINE)
    assert re.search(r"^top_k = 9 +# the variable RALM_TOP_K$", done.stdout, re.MULTILINE)
    assert re.search(r'^bootstrap_servers = "127.0.0.1:1" +# the flag --bootstrap-servers$', done.stdout, re.MULTILINE)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_completes_commands(shell: str, tmp_path: Path) -> None:
    words = {"COMP_WORDS": "ralm st", "COMP_CWORD": "st" if shell == "fish" else "1"}
    program = "import sys; sys.argv = ['ralm']; from flows.cli.start import main; main()"
    for instruction, wanted in ((f"{shell}_source", "_RALM_COMPLETE"), (f"{shell}_complete", "state")):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, **words, "_RALM_COMPLETE": instruction, "PYTHONPATH": str(Path(__file__).parents[3])},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert wanted in done.stdout, done.stdout + done.stderr
