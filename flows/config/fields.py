"""One setting: its group, its help and its type; durations as people write them (``5m``) and as ms."""

import json
import re
from collections.abc import Callable
from difflib import get_close_matches
from typing import Annotated, Any, get_args

from pydantic import BeforeValidator, Field, SecretStr
from pydantic.fields import FieldInfo

from flows.support.logs import MASK

PREFIX = "RALM_"
_SECRET_OPTIONS = ("password", "secret", ".pem", "private.key", "oauthbearer.config")
_DURATION_TEXT = "a duration such as 250ms, 5s, 5m, 1h or 7d (a bare number is seconds)"
_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_WRITTEN = re.compile(r"(\d{1,16}(?:\.\d{1,6})?)\s*(ms|s|m|h|d)?", re.ASCII)
LONGEST = 36_500 * _UNITS["d"]
"""The longest duration, ms: a hundred years."""


def setting(group: str, default: Any, text: str) -> Any:
    """A field of the settings.

    Args:
        group: commands take settings by group.
        default: as a person writes it.
        text: what it is, a few words for ``--help`` and the README.
    """
    open_ = not isinstance(default, tuple)  # a list may hold passwords: see is_masked
    return Field(default, description=text, json_schema_extra={"group": group}, repr=open_)


def duration(group: str, default: str, text: str) -> Any:
    """A field that is a duration."""
    return setting(group, milliseconds(default), text)


def flag(name: str) -> str:
    """A setting's flag.

    >>> flag("state_dir"), variable("state_dir")
    ('--state-dir', 'RALM_STATE_DIR')
    """
    return f"--{name.replace('_', '-')}"


def variable(name: str) -> str:
    """A setting's environment variable."""
    return PREFIX + name.upper()


def group_of(field: FieldInfo) -> str:
    """The group of a field."""
    extra = field.json_schema_extra
    return str(extra["group"]) if isinstance(extra, dict) else ""


def is_duration(field: FieldInfo) -> bool:
    """Whether a field is a duration."""
    return any(isinstance(mark, DurationMark) for mark in field.metadata)


def is_list(field: FieldInfo) -> bool:
    """Whether a field holds several values."""
    return isinstance(field.default, tuple)


def is_masked(field: FieldInfo) -> bool:
    """Whether a field may hold a secret; lists are options for the Kafka client, among which are passwords."""
    return isinstance(field.default, SecretStr) or is_list(field)


def holds_secret(option: str) -> bool:
    """Whether an option of the Kafka client, by its name, holds what nobody else may know.

    >>> holds_secret("ssl.key.pem"), holds_secret("debug")
    (True, False)
    """
    return any(part in option for part in _SECRET_OPTIONS)


def shown_value(field: FieldInfo, value: Any) -> str:
    """A value as TOML; secrets are masked."""
    if isinstance(value, SecretStr):
        return json.dumps(MASK if value.get_secret_value() else "")
    if isinstance(value, tuple):
        return json.dumps([f"{part.partition('=')[0]}={MASK}" for part in value], ensure_ascii=False)
    return plain_value(field, value)


def plain_value(field: FieldInfo, value: Any) -> str:
    """A value as TOML, secrets as they are."""
    if isinstance(value, SecretStr):
        return json.dumps(value.get_secret_value(), ensure_ascii=False)
    if is_duration(field):
        return json.dumps(duration_text(value))
    return json.dumps(value, ensure_ascii=False)


def allowed(field: FieldInfo) -> str:
    """What a field may be, for people."""
    if is_duration(field):
        return ", ".join([_DURATION_TEXT, *_bounds(field, duration_text)])
    if field.annotation in (int, float):
        return ", ".join(["a whole number" if field.annotation is int else "a number", *_bounds(field, str)])
    if is_list(field):
        return "a list of NAME=VALUE"
    choices = get_args(field.annotation)
    return "one of " + ", ".join(choices) if choices else "text"


def _bounds(field: FieldInfo, written: Callable[[int], str]) -> list[str]:
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    return [
        f"{word} {written(getattr(mark, kind))}"
        for mark in field.metadata
        for kind, word in words.items()
        if hasattr(mark, kind)
    ]


def metavar(field: FieldInfo) -> str:
    """What stands for the value in a command's help."""
    if is_list(field):
        return "NAME=VALUE"
    if is_duration(field):
        return "DURATION"
    if field.annotation in (int, float):
        return "NUMBER"
    return "|".join(get_args(field.annotation)) or "TEXT"


def nearest(name: str, names: list[str]) -> str:
    """``; did you mean X?`` for a name that is not known, or nothing."""
    close = get_close_matches(name, names, 1)
    return f"; did you mean {close[0]}?" if close else ""


def milliseconds(value: Any) -> int:
    """Read a duration: ``250ms``, ``5s``, ``5m``, ``1h``, ``7d``, or seconds as a bare number.

    >>> milliseconds("5m"), milliseconds("0.5s"), milliseconds(2)
    (300000, 500, 2000)

    Raises:
        ValueError: when it is none, or longer than a hundred years.
    """
    match = None if isinstance(value, bool) else _WRITTEN.fullmatch(str(value).strip())
    if match is None:
        msg = "not a duration"
        raise ValueError(msg)
    read = round(float(match[1]) * _UNITS[match[2] or "s"])
    if read > LONGEST:
        msg = "longer than a hundred years"
        raise ValueError(msg)
    return read


def duration_text(value: int) -> str:
    """Write a duration of so many ms as ``milliseconds`` reads it.

    >>> duration_text(300000), duration_text(1500), duration_text(0)
    ('5m', '1500ms', '0s')
    """
    for unit in ("d", "h", "m", "s"):
        if value % _UNITS[unit] == 0 and (value or unit == "s"):
            return f"{value // _UNITS[unit]}{unit}"
    return f"{value}ms"


class DurationMark:
    """Marks a field as a duration, for whoever writes its value."""


Duration = Annotated[int, BeforeValidator(milliseconds), DurationMark()]
PositiveDuration = Annotated[int, BeforeValidator(milliseconds), Field(ge=1), DurationMark()]
