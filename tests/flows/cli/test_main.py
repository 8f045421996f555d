"""The console script: what is listed is there, help shows every name of a setting, exit codes mean what they say."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import click
import pytest

from flows.cli import main as cli
from flows.cli.options import with_settings
from flows.config.fields import flag, shown_value, variable
from flows.config.groups import names_of
from flows.config.settings import Settings
from flows.support.errors import ConfigError, RalmError

COMMANDS = cli.cli.list_commands(click.Context(cli.cli))
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Runs the console script in an empty folder; gives exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)

    def called(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["ralm", *arguments])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        code = caught.value.code
        out, err = capsys.readouterr()
        return (code if isinstance(code, int) else 0), out, err

    return called


def make_command(monkeypatch: pytest.MonkeyPatch, raised: Exception | None = None) -> None:
    """Puts a command in place of all others."""

    @click.command("made")
    @with_settings("windows")
    def made(settings: Settings) -> None:
        """Say the window."""
        if raised is not None:
            raise raised
        click.echo(settings.window)

    monkeypatch.setattr(type(cli.cli), "get_command", lambda *_: made)


def test_only_commands_that_are_there_are_listed(run: Run) -> None:
    folder = Path(cli.__file__).with_name("commands")
    there = {file.stem.replace("_", "-") for file in folder.glob("*.py")} - {"--init--"}
    assert set(COMMANDS) == there
    code, out, _ = run("--help")
    assert code == 0
    assert all(f"  {name} " in out for name in COMMANDS)
    assert not any(f"  {name} " in out for name in set(cli.COMMANDS) - there)


def test_the_version(run: Run) -> None:
    code, out, _ = run("--version")
    assert (code, out.strip()) == (0, f"ralm, version {version('ralm-streaming')}")


@pytest.mark.parametrize("name", ["topics", "run"])
def test_help_shows_flag_variable_key_and_default_of_each_setting(name: str) -> None:
    command = cli.cli.get_command(click.Context(cli.cli), name)
    assert command is not None
    shown = {option.opts[0]: str(getattr(option, "help", "")) for option in command.params}
    for setting, field in Settings.model_fields.items():
        if setting in names_of("kafka", "logs"):
            assert flag(setting) in shown
        if flag(setting) in shown:
            names = f"[env: {variable(setting)}; toml: {setting}; default: {shown_value(field, field.default)}]"
            assert names in shown[flag(setting)]
    assert "RALM_CONFIG" in shown["--config"]


def test_settings_reach_a_command(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    make_command(monkeypatch)
    assert run("made")[:2] == (0, "300000\n")
    assert run("made", "--window", "1m")[1] == "60000\n"
    monkeypatch.setenv("RALM_WINDOW", "2m")
    assert run("made")[1] == "120000\n"
    assert run("made", "--window", "1m")[1] == "60000\n"
    monkeypatch.delenv("RALM_WINDOW")
    Path("ralm.toml").write_text('window = "3m"')
    _, out, err = run("made")
    assert out == "180000\n"
    assert f"file={Path('ralm.toml').absolute()}" in err
    Path("other.toml").write_text('window = "4m"')
    assert run("made", "--config", "other.toml") == (0, "240000\n", "")
    monkeypatch.setenv("RALM_CONFIG", "other.toml")
    assert run("made")[1] == "240000\n"


def each_command(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from each_command(command, (*path, name))


def test_the_last_of_two_options_is_taken_in_silence_by_no_command(run: Run) -> None:
    tried = 0
    for path, command in each_command(cli.cli):
        single = (each for each in command.params if isinstance(each, click.Option) and not each.is_eager)
        option = next((each for each in single if not each.multiple and each.expose_value), None)
        if option is not None and not isinstance(command, click.Group):
            given = [option.opts[0]] if option.is_flag else [option.opts[0], "1"]
            wrong = ["--log-level", "nothing"] if any(each.name == "log_level" for each in command.params) else []
            code, _, err = run(*path, *given, *given, *wrong)
            assert (code, f"{option.opts[0]} is given 2 times" in err) == (2, True), (path, err)
            tried += 1
    assert tried >= len(COMMANDS)


def test_each_setting_is_a_flag_of_some_command() -> None:
    flags = {option for _, command in each_command(cli.cli) for each in command.params for option in each.opts}
    assert {flag(name) for name in Settings.model_fields} <= flags


def test_one_that_may_be_repeated_is_not(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    code, _, err = run("topics", "--kafka-options", "linger.ms=5", "--kafka-options", "acks=0")
    assert (code, "acks cannot be changed" in err) == (2, True)


def test_what_gives_no_setting_is_said_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    make_command(monkeypatch)
    monkeypatch.setenv("RALM_PORT", "tcp://10.96.0.12:9464")
    monkeypatch.setenv("RALM_WINDOW", "")
    code, out, err = run("made")
    assert (code, out) == (0, "300000\n")
    assert [("RALM_PORT" in line, "RALM_WINDOW" in line) for line in err.splitlines()] == [(True, False), (False, True)]


def test_a_file_in_the_working_folder_loads_no_code(run: Run) -> None:
    Path("ralm.toml").write_text('kafka_options = ["plugin.library.paths=/nowhere.so"]')
    code, out, err = run("topics", "--bootstrap-servers", "127.0.0.1:1")
    assert (code, out) == (2, "")
    assert "ralm: plugin.library.paths loads a library, and a file" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--window", "soon"], "ralm: window = 'soon' from the flag --window cannot be used"),
        (["--widnow", "1m"], "No such option"),
        (["--config", "none.toml"], "'none.toml' does not exist"),
        (["extra"], "unexpected extra argument"),
    ],
)
def test_bad_configuration_exits_with_2(
    run: Run, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    make_command(monkeypatch, RalmError("the command must not begin"))
    code, out, err = run("made", *arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("raised", "code", "words"),
    [
        (ConfigError("no bundle"), 2, "ralm: no bundle\n"),
        (RalmError("no broker"), 1, "ralm: no broker\n"),
        (ModuleNotFoundError(name="torch"), 2, "--encoder spectral needs none"),
        (ModuleNotFoundError(name="noida_db.cli"), 2, "pip install '.[broker]'"),
    ],
)
def test_each_failure_has_its_exit_code(
    run: Run, monkeypatch: pytest.MonkeyPatch, raised: Exception, code: int, words: str
) -> None:
    make_command(monkeypatch, raised)
    found, _, err = run("made")
    assert found == code
    assert words in err
    assert "Traceback" not in err


def test_what_is_not_ours_is_not_hidden(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    make_command(monkeypatch, ModuleNotFoundError(name="numpi"))
    with pytest.raises(ModuleNotFoundError):
        run("made")


def test_an_unknown_command_exits_with_2(run: Run) -> None:
    assert run("nothing")[0] == 2


def test_options_that_the_client_refuses_exit_with_2_before_anything(run: Run) -> None:
    code, _, err = run("topics", "--kafka-options", "no.such=1", "--bootstrap-servers", "127.0.0.1:1")
    assert code == 2
    assert 'No such configuration property: "no.such"' in err


def test_check_shows_the_settings_in_force_without_secrets(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.cli.commands.run._ANSWER_S", 0.5)
    monkeypatch.setenv("RALM_SASL_PASSWORD", "pa55word")
    secure = ["--security-protocol", "SASL_SSL", "--sasl-username", "me", "--bootstrap-servers", "127.0.0.1:1"]
    login = ["--cloudevents-source", "https://me:s3cret@host/"]
    code, out, err = run("run", "seeds", "--check", "--window", "90s", *secure, *login)
    assert code == 2, "there is no bundle and no broker"
    assert 'window = "90s"' in out
    assert 'sasl_password = "********"' in out
    assert "pa55word" not in out + err
    assert "s3cret" not in out + err


@pytest.mark.parametrize("name", sorted({"run", "topics", "ask", "demo", "state", "replay", "dead-letters"}))
def test_serving_commands_import_no_torch(name: str) -> None:
    get = f"import click, sys; from flows.cli.main import cli; cli.get_command(click.Context(cli), {name!r})"
    code = f"{get}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("name", "words"), [("evalute", "'evalute'; did you mean evaluate?"), ("zzz", "No such command 'zzz'")]
)
def test_a_mistyped_command_gets_a_suggestion(run: Run, name: str, words: str) -> None:
    code, out, err = run(name)
    assert code == 2
    assert words in err + out
