"""A secret that is given everywhere a secret may be given is found nowhere that anyone can look."""

import json
import logging
import os
import socket
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from flows.cli import main as cli
from flows.config.flow_process import free_port, write_settings
from flows.config.settings import Settings
from flows.config.sources import load_settings
from flows.kafka.config import check_client, client_config
from flows.support.errors import ConfigError
from flows.support.logs import get_logger, masked, set_up_logs

pytestmark = pytest.mark.usefixtures("logs_as_before")
CANARY = 'canary-"s3cret"\\é'
"""With characters that Python and JSON write in another way."""
SECRETS: dict[str, Any] = {
    "sasl_username": "me",
    "sasl_password": CANARY,
    "ssl_key_password": CANARY,
    "security_protocol": "SASL_PLAINTEXT",
    "kafka_options": (
        f"sasl.oauthbearer.config=principal={CANARY}",
        f"sasl.oauthbearer.client.secret={CANARY}",
        f"sasl.oauthbearer.extensions=tenant={CANARY}",
        "debug=all",
    ),
}


def in_it(text: str) -> bool:
    """Whether a text holds the secret, or the part of it that every way of writing leaves as it is."""
    return CANARY in text or "canary" in text


@pytest.fixture
def settings() -> Settings:
    """Settings full of secrets."""
    return Settings(**SECRETS)


def test_the_settings_never_show_it(settings: Settings) -> None:
    assert settings.secrets().count(CANARY) >= 3
    for text in (settings.shown(), repr(settings), str(settings), f"{settings!r:>5}"):
        assert not in_it(text)
        assert "********" in text


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_line_of_the_log_has_it_whoever_writes_it(
    form: str, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up_logs("debug", form, settings.secrets())
    log = get_logger("flows.x")
    log.warning(f"said {CANARY}", detail=CANARY, nested={"key": [CANARY]}, data=CANARY.encode())
    logging.getLogger("librdkafka").error("the library says %s", CANARY)
    logging.getLogger("other").warning(json.dumps({"password": CANARY}))
    try:
        raise ValueError(CANARY)
    except ValueError:
        log.exception("failed")
        logging.getLogger("other").exception("failed too")
    err = capsys.readouterr().err
    assert not in_it(err)
    assert err.count("********") >= 8
    assert "ValueError" in err


def test_the_client_librarys_whole_debug_log_has_it_not(settings: Settings, capfd: pytest.CaptureFixture[str]) -> None:
    """Masked by us, and by the library, which logs its settings at the start."""
    set_up_logs("debug", "text", settings.secrets())
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = f"127.0.0.1:{silent.getsockname()[1]}"
        client = AdminClient({**client_config(settings), "bootstrap.servers": where})
        until = time.monotonic() + 1.0
        while time.monotonic() < until:
            client.poll(0.1)
    said = "".join(capfd.readouterr())
    assert "sasl.password" in said, "the library was to log its settings"
    assert not in_it(said)


@pytest.mark.parametrize(
    "option",
    [
        f"ssl.key.pem={CANARY}",
        f"ssl.certificate.pem={CANARY}",
        f"ssl.ca.pem={CANARY}",
        f"no.such.password={CANARY}",
        f"linger.ms={CANARY}",
        CANARY,
        f"acks={CANARY}",
    ],
)
def test_an_option_that_is_refused_is_not_repeated(option: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_client(load_settings(None, {"kafka_options": [option], "security_protocol": "SSL"}, {}))
    assert not in_it(str(caught.value))


@pytest.mark.parametrize(
    "name",
    [
        "sasl.password",
        "Sasl.Password",
        "NO.SUCH.PASSWD",
        "ssl.keystore.pwd",
        "schema.registry.basic.auth.credentials.source",
        "my.api_key",
        "apiKey",
        " sasl.jaas.config",
        "x.token.y",
    ],
)
@pytest.mark.parametrize(
    "value", ["73914682", "-73914682.5", "true73914682", "https://me:73914682@host/", "a=73914682"]
)
def test_whatever_a_secret_is_called_it_is_shown_nowhere(
    name: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Numbers too, which are harmless under any other name."""
    option = f"{name}={value}"
    given = Settings.model_construct(**{**Settings().model_dump(), "kafka_options": (option,)})
    set_up_logs("debug", "json", given.secrets())
    get_logger("flows.x").warning("said", option=option, options=[option], data=option.encode())
    logging.getLogger("other").error("a library says %r", option)
    shown = [masked(option), masked(repr({"kafka_options": [option]})), given.shown(), repr(given)]
    with pytest.raises(ConfigError) as refused:
        check_client(load_settings(None, {"kafka_options": [f"{option}x"]}, {}))
    said = "".join(capsys.readouterr()) + "".join(shown) + str(refused.value)
    assert "73914682" not in said


@pytest.mark.parametrize("error", [ConfigError, RuntimeError])
def test_no_error_of_a_command_has_it(
    error: Callable[[str], Exception],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error(f"the broker said {CANARY}")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("flows.cli.commands.topics.make_topics", fails)
    monkeypatch.setenv("RALM_SASL_PASSWORD", CANARY)
    arguments = ["ralm", "topics", "--security-protocol", "SASL_PLAINTEXT", "--sasl-username", "me"]
    monkeypatch.setattr("sys.argv", arguments)
    with pytest.raises(SystemExit):
        cli.main()
    out, err = capsys.readouterr()
    assert "the broker said ********" in err
    assert not in_it(out + err)


def test_what_ends_a_thread_is_shown_without_it(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("info", "text", settings.secrets())
    error = ValueError(f"the thread knows {CANARY}")
    cli._thread_failed(threading.ExceptHookArgs((ValueError, error, None, None)))
    said = capsys.readouterr().err
    assert "ValueError: the thread knows ********" in said
    assert not in_it(said)


def test_a_childs_settings_have_it_in_a_file_for_its_owner_alone(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "ralm.toml"
    victim = tmp_path / "victim"
    victim.write_text("mine")
    path.symlink_to(victim)
    before = os.umask(0)
    try:
        write_settings(settings, path)
        write_settings(settings, path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert victim.read_text() == "mine"
    assert load_settings(path, {}, {}) == settings, "the child gets what it must have"


def test_what_is_too_short_to_be_hidden_is_left(settings: Settings) -> None:
    assert masked("a cab", ["a"]) == "a cab"
    assert masked("abcde and abcd", ["abcd", "abcde"]) == "******** and ********"


@pytest.mark.broker
def test_a_running_flow_shows_it_nowhere(ralm: Any, door: Any, own_broker: Any) -> None:
    """Log, metrics, health, state directory and command line of a flow that logs in with it."""
    secure = door(None, ("me", CANARY))
    run = ralm(
        bootstrap_servers=secure.address,
        security_protocol="SASL_PLAINTEXT",
        sasl_username="me",
        sasl_password=CANARY,
        kafka_options="debug=all",
        log_level="debug",
        log_format="json",
        metrics_port=str(free_port("127.0.0.1", 0)),
    )
    code, said = run("topics")
    assert code == 0, said
    assert not in_it(said)
    code, said = run("run", "look-alike", "--check")
    assert code == 0
    assert not in_it(said)
    process = run.start("run", "look-alike")
    try:
        pages = _pages(int(run.environment["RALM_METRICS_PORT"]), process, run)
        command_line = Path(f"/proc/{process.pid}/cmdline").read_bytes()
    finally:
        process.terminate()
        process.wait(120)
    assert not in_it(pages)
    assert b"canary" not in command_line
    log = run.said()
    assert "librdkafka" in log
    assert not in_it(log)
    for path in run.home.rglob("*"):
        if path.is_file():
            assert b"canary" not in path.read_bytes(), path


def _pages(port: int, process: Any, run: Any) -> str:
    from flows.support.metrics_page import MetricsServer  # noqa: PLC0415

    server = MetricsServer("127.0.0.1", port)
    until = time.monotonic() + 120
    while not (ready := server.ready())[0]:
        assert process.poll() is None, run.said()[-3000:]
        assert time.monotonic() < until, ready
        threading.Event().wait(0.1)
    return "".join(server._get(path)[1] for path in ("/metrics", "/-/healthy", "/-/ready", "/config"))
