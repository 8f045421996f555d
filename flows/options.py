"""Command-line options made from the settings' table: flag over environment over TOML over default."""

import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo

from flows.errors import ConfigError
from flows.logs import set_up_logs
from flows.settings import Settings, group_of, nearest, shown_value

PREFIX = "RALM_"
_NOT_SETTINGS = ("RALM_CONFIG", "RALM_TEST_")
_DEFAULT_FILE = Path("ralm.toml")


def with_settings(*groups: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the settings of some groups as options, and a first argument ``settings``.

    The other groups' settings keep what file, environment and defaults say. Standard options ``--config``,
    ``--log-level`` and ``--log-format`` come with it.
    """
    names = [n for n, field in Settings.model_fields.items() if group_of(field) in (*groups, "logs")]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        def run(config: Path | None, **given: Any) -> None:
            flags = {name: given.pop(name) for name in names}
            settings = load_settings(config, {name: v for name, v in flags.items() if v not in (None, ())})
            set_up_logs(settings.log_level, settings.log_format)
            command(settings, **given)

        run.__name__, run.__doc__ = command.__name__, command.__doc__
        run.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
        decorated: Callable[..., None] = run
        for name in reversed(names):
            decorated = _option(name, Settings.model_fields[name])(decorated)
        return click.option(
            "--config",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            envvar="RALM_CONFIG",
            show_envvar=True,
            help="TOML file with settings; ralm.toml in the working folder if it exists",
        )(decorated)

    return decorate


def load_settings(file: Path | None, flags: dict[str, Any]) -> Settings:
    """Put the settings together.

    Args:
        file: a TOML file; None takes ``ralm.toml`` if the working folder has one.
        flags: what the command line gave, by setting.

    Raises:
        ConfigError: when a key is not known or a value cannot be used; says which and where it came from.
    """
    if file is None and _DEFAULT_FILE.exists():
        file = _DEFAULT_FILE
    from_file = {} if file is None else _read_file(file)
    from_environment = _read_environment()
    origin = {
        **dict.fromkeys(from_file, str(file)),
        **{name: f"the variable {PREFIX}{name.upper()}" for name in from_environment},
        **{name: f"the flag --{name.replace('_', '-')}" for name in flags},
    }
    values = {**from_file, **from_environment, **flags}
    try:
        return Settings(**values)
    except ValidationError as error:
        raise ConfigError("\n".join(_problem(part, values, origin) for part in error.errors())) from None


def _read_file(file: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(file.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        msg = f"{file} cannot be read as TOML: {error}"
        raise ConfigError(msg) from None
    names = list(Settings.model_fields)
    for name in values:
        if name not in names:
            msg = f"{file}: {name} is no setting{nearest(name, names)}"
            raise ConfigError(msg)
    return values


def _read_environment() -> dict[str, Any]:
    names = list(Settings.model_fields)
    values: dict[str, Any] = {}
    for variable, value in os.environ.items():
        if not variable.startswith(PREFIX) or variable.startswith(_NOT_SETTINGS):
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name not in names:
            near = nearest(variable, [PREFIX + n.upper() for n in names])
            msg = f"the variable {variable} is no setting{near}"
            raise ConfigError(msg)
        values[name] = value.split(",") if name == "kafka_options" else value
    return values


def _problem(part: Any, values: dict[str, Any], origin: dict[str, str]) -> str:
    text = str(part["msg"]).removeprefix("Value error, ")
    if not part["loc"]:
        return text
    name = str(part["loc"][0])
    secret = isinstance(Settings.model_fields[name].default, SecretStr) or name == "kafka_options"
    value = "********" if secret else repr(values.get(name))
    return f"{name} = {value} (from {origin.get(name, 'its default')}): {text}"


def _option(name: str, field: FieldInfo) -> Callable[[Callable[..., None]], Callable[..., None]]:
    default = shown_value(name, field.default)
    text = f"{field.description}  [env: {PREFIX}{name.upper()}; toml: {name}; default: {default}]"
    return click.option(
        f"--{name.replace('_', '-')}",
        name,
        help=text,
        metavar=_metavar(name, field),
        multiple=name == "kafka_options",
    )


def _metavar(name: str, field: FieldInfo) -> str:
    if name == "kafka_options":
        return "NAME=VALUE"
    if field.annotation in (int, float):
        return "NUMBER"
    choices = getattr(field.annotation, "__args__", None)
    return "|".join(map(str, choices)) if choices else "TEXT"
