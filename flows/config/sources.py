"""Where settings come from: flag over environment over TOML file over default."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from flows.config.client_options import code_in
from flows.config.environment import given_variables, unknown_variables
from flows.config.fields import allowed, cut_short, flag, is_list, is_masked, nearest, variable
from flows.config.settings import Settings
from flows.support.errors import ConfigError
from flows.support.logs import MASK
from flows.support.text import read_toml

_DEFAULT_FILE = Path("ralm.toml")
_NOT_UNASKED = "a file that happens to lie in the working folder may not do that"
_LOGIN = re.compile(r"(^|[\s,/'\"])[^\s,/'\"@]*:[^\s,/'\"]*@")
"""User and password before a host, as somebody may write them who knows URLs."""
_BETWEEN_OPTIONS = re.compile(r",(?=\s*[a-z][a-z0-9._]*=)")
"""A comma between two NAME=VALUE; those in ``debug=broker,security`` are not."""


def default_file() -> Path | None:
    """``ralm.toml``, if the working folder has one: read when no other file is named."""
    return _DEFAULT_FILE if os.path.lexists(_DEFAULT_FILE) else None


def load_settings(
    file: Path | None = None,
    flags: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    *,
    unasked: bool = False,
) -> Settings:
    """Put the settings together.

    Args:
        file: a TOML file.
        flags: what the command line gave, by setting.
        environment: the environment variables; None takes the process's.
        unasked: whether nobody named the file, which lay in the working folder: what loads code is refused from it.

    Raises:
        ConfigError: if a key is unknown or a value is not allowed; says which, where it came from and what is allowed.
    """
    environment = os.environ if environment is None else environment
    from_file = {} if file is None else _read_file(file)
    if unasked:
        _refuse_code(file, from_file)
    unknown = [*_unknown_keys(file, from_file), *unknown_variables(environment)]
    if unknown:
        raise ConfigError("\n".join(unknown))
    from_environment = given_variables(environment)
    given = dict(flags or {})
    origin = _origins(file, from_file, from_environment, given)
    values = {**from_file, **_split_lists(from_environment), **given}
    try:
        return Settings(**values)
    except ValidationError as error:
        raise ConfigError("\n".join(line for part in error.errors() for line in _say(part, values, origin))) from None


def origins(
    file: Path | None = None, flags: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Where each setting that has not its default came from, in words; takes what ``load_settings`` takes.

    Raises:
        ConfigError: when the file cannot be read.
    """
    environment = os.environ if environment is None else environment
    return _origins(file, {} if file is None else _read_file(file), given_variables(environment), dict(flags or {}))


def _origins(
    file: Path | None, from_file: Iterable[str], from_environment: Iterable[str], given: Iterable[str]
) -> dict[str, str]:
    return {
        **{name: f"{name} in {file}" for name in from_file},
        **{name: f"the variable {variable(name)}" for name in from_environment},
        **{name: f"the flag {flag(name)}" for name in given},
    }


def _read_file(file: Path) -> dict[str, Any]:
    try:
        return read_toml(file)
    except OSError as error:
        msg = f"{file} cannot be read: {error.strerror}"
        raise ConfigError(msg) from None
    except ValueError as error:  # a number too long is no TOML error
        msg = f"{file} cannot be read as TOML: {error}"
        raise ConfigError(msg) from None


def _refuse_code(file: Path | None, values: Mapping[str, Any]) -> None:
    """See that a file that nobody named loads no code."""
    imports = ("eval_catalogue", "eval_rankers")
    loads = [f"{name} imports the module that it names" for name in imports if name in values]
    options = values.get("kafka_options")
    loads += [words for each in (options if isinstance(options, list) else ()) if (words := code_in(str(each)))]
    if loads:
        msg = f"{'; '.join(loads)}, and {_NOT_UNASKED}: name it with --config {file} if you trust it"
        raise ConfigError(msg)


def _unknown_keys(file: Path | None, values: Mapping[str, Any]) -> Iterator[str]:
    names = list(Settings.model_fields)
    for name, value in values.items():
        if name not in names:
            flat = "; settings stand at the top of the file, in no table" if isinstance(value, dict) else ""
            yield f"{cut_short(name)} in {file} is not a setting{flat or nearest(name, names)}"


def _split_lists(values: Mapping[str, str]) -> dict[str, Any]:
    return {name: _parts(value) if is_list(Settings.model_fields[name]) else value for name, value in values.items()}


def _parts(text: str) -> list[str]:
    return [part.strip() for part in _BETWEEN_OPTIONS.split(text) if part.strip()]


def _say(part: Any, values: Mapping[str, Any], origin: Mapping[str, str]) -> Iterator[str]:
    """One line for each thing that is wrong."""
    if part["type"] == "together":
        for text, names in part["ctx"]["broken"]:
            given = "; ".join(_given(name, values, origin) for name in names)
            yield f"{text} ({given})"
        return
    name = str(part["loc"][0])
    yield f"{_given(name, values, origin)} cannot be used: it must be {allowed(Settings.model_fields[name])}"


def _shown(value: object) -> str:
    try:
        return repr(value)
    except ValueError:  # Python writes no whole number of so many digits; TOML may have one, as 0x...
        return "a number of more than 4,300 digits"


def _given(name: str, values: Mapping[str, Any], origin: Mapping[str, str]) -> str:
    field = Settings.model_fields[name]
    if name not in origin:
        return f"{name} by default"
    value = MASK if is_masked(field) else _LOGIN.sub(rf"\1{MASK}@", _shown(values[name]))
    return f"{name} = {cut_short(value)} from {origin[name]}"
