"""The settings, from environment, file and flags: used, or refused in words, and no secret ever shown."""

import json
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from random import Random
from tempfile import mkdtemp
from typing import Any

import click

from flows.cli import main as cli
from flows.cli.options import with_settings
from flows.config.fields import flag, variable
from flows.config.groups import names_of
from flows.config.settings import Settings
from flows.config.sources import load_settings
from flows.kafka.config import check_client
from flows.support.errors import ConfigError

from .mutation import NUMBERS, mutated, number, text
from .target import Check, Target, said

NAMES = list(Settings.model_fields)
SECRET = "s3cr3t-of-the-fuzz"
"""Stands only where secrets may, and is looked for in all that is shown."""
_SECRET_OPTIONS = (f"ssl.key.pem={SECRET}", f"sasl.oauthbearer.config={SECRET}", f"ssl.keystore.password={SECRET}")
_WORDS = (
    "5m",
    "250ms",
    "-1s",
    "1e9d",
    "true",
    "PLAINTEXT",
    "SASL_SSL",
    "SSL",
    "nan",
    "inf",
    "0x1",
    "1_000",
    " 7 ",
    "a,b",
)
_OPTIONS = (
    "debug=all",
    "linger.ms=x",
    "=",
    "acks=0",
    "security.protocol=SSL",
    "socket.timeout.ms=99999999999999999999",
    "sasl.oauthbearer.config=x",
    "plugin.library.paths=/nowhere",
    "client.rack=\x00",
    "no.such.option=1",
    "socket.keepalive.enable=true,linger.ms=1",
)


def variables(rng: Random) -> dict[str, str]:
    """Environment variables."""
    found = {variable(rng.choice(NAMES)): _text(rng) for _ in range(rng.randint(1, 4))}
    if rng.random() < 0.05:
        found["RALM_" + text(rng).upper()] = _text(rng)
    return _with_secrets(rng, found, variable)


def toml(rng: Random) -> bytes:
    """A file of settings, or nearly."""
    lines = [f"{_name(rng)} = {_toml_value(rng)}" for _ in range(rng.randint(1, 4))]
    if rng.random() < 0.4:
        return "\n".join([*lines, *_secret_lines(rng)]).encode("utf-8", "surrogatepass")
    data = "\n".join(lines).encode("utf-8", "surrogatepass")
    return mutated(rng, data) if rng.random() < 0.6 else data


def _secret_lines(rng: Random) -> list[str]:
    lines = [
        f'sasl_password = "{SECRET}"',
        f'ssl_key_password = "{SECRET}"',
        f"kafka_options = {list(_SECRET_OPTIONS)}",
    ]
    return rng.sample(lines, rng.randint(1, 3))


def flags(rng: Random) -> list[str]:
    """A command line."""
    found = []
    for _ in range(rng.randint(1, 4)):
        name = flag(rng.choice(NAMES)) if rng.random() < 0.95 else f"--{text(rng)}"
        found += [f"{name}={_text(rng)}"] if rng.random() < 0.5 else [name, _text(rng)]
    secret = ["--sasl-password", SECRET], ["--ssl-key-password", SECRET], ["--kafka-options", _SECRET_OPTIONS[0]]
    return [*rng.choice(secret), *found] if rng.random() < 0.5 else found


def options(rng: Random) -> list[str]:
    """Options for the Kafka client."""
    return [
        rng.choice(_OPTIONS) if rng.random() < 0.8 else f"{text(rng)}={text(rng)}" for _ in range(rng.randint(1, 3))
    ]


def _text(rng: Random) -> str:
    kind = rng.random()
    if kind < 0.3:
        return rng.choice(_WORDS)
    if kind < 0.5:
        return str(number(rng))
    if kind < 0.6:
        return rng.choice(_OPTIONS)
    return "9" * 5000 if kind > 0.98 else text(rng)


def _name(rng: Random) -> str:
    return rng.choice(NAMES) if rng.random() < 0.95 else json.dumps(text(rng))


def _toml_value(rng: Random) -> str:
    kind = rng.randrange(8)
    if kind < 3:
        return json.dumps(_text(rng))
    if kind == 3:
        return str(rng.choice(NUMBERS))
    if kind == 4:
        return rng.choice(("true", "nan", "-inf", "1e400", "0x1F", "1979-05-27T07:32:00Z", "9" * 5000))
    if kind == 5:
        deep = rng.choice((2, 50, 3000))
        return "[" * deep + "]" * deep
    if kind == 6:
        return "{" + ", ".join(f"{_name(rng)} = 1" for _ in range(2)) + "}"
    return json.dumps([rng.choice(_OPTIONS) for _ in range(2)])


def _with_secrets(rng: Random, found: dict[str, str], named: Callable[[str], str]) -> dict[str, str]:
    if rng.random() < 0.5:
        found[named(rng.choice(("sasl_password", "ssl_key_password")))] = SECRET
    if rng.random() < 0.2:
        found[named("kafka_options")] = rng.choice(_SECRET_OPTIONS)
    return found


def _load(load: Callable[[], Settings]) -> str:
    try:
        settings = load()
    except ConfigError as error:
        return _without_secret(said(error), "refused")
    return _without_secret(settings.shown() + repr(settings) + str(settings), "accepted")


def _without_secret(shown: str, outcome: str) -> str:
    assert SECRET not in shown, "a secret is shown"
    return outcome


def _environment_check() -> Check:
    return lambda found: _load(lambda: load_settings(_EMPTY, {}, found))


def _toml_check() -> Check:
    file = Path(mkdtemp(prefix="ralm-fuzz-")) / "ralm.toml"

    def check(data: bytes) -> str:
        file.write_bytes(data)
        return _load(lambda: load_settings(file, {}, {}))

    return check


def _flags_check() -> Check:
    """Through the console script, as a user calls it; ``--config`` names an empty file."""

    @click.command("made")
    # By their names: for the group kafka, librdkafka would be asked each time.
    @with_settings(*names_of("kafka", "topics", "source", "messages", "state", "seeds", "windows", "train", "metrics"))
    def made(settings: Settings) -> None:
        click.echo(settings.shown())

    type(cli.cli).get_command = lambda *_: made  # type: ignore[method-assign]

    def check(found: list[str]) -> str:
        out, err = StringIO(), StringIO()
        sys.argv = ["ralm", "made", "--config", str(_EMPTY), *found]
        with redirect_stdout(out), redirect_stderr(err):
            try:
                cli.main()
                code: Any = 0
            except SystemExit as ended:
                code = ended.code
        shown = out.getvalue() + err.getvalue()
        assert SECRET not in shown, "a secret is shown"
        assert code in (0, None, 2), f"exit code {code}: {shown[-500:]}"
        assert code != 2 or shown.strip(), "exit code 2 without a message"
        assert "Traceback" not in shown
        return "refused" if code == 2 else "accepted"

    return check


def _client_check() -> Check:
    def check(found: list[str]) -> str:
        def load() -> Settings:
            settings = load_settings(_EMPTY, {"kafka_options": tuple(found)}, {})
            check_client(settings)
            return settings

        return _load(load)

    return check


_EMPTY = Path("/dev/null")

TARGETS = [
    Target("settings-environment", 0.02, variables, _environment_check),
    Target("settings-file", 0.02, toml, _toml_check),
    Target("settings-flags", 0.003, flags, _flags_check),
    Target("kafka-options", 0.0005, options, _client_check),
]
