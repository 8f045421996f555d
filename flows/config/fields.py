"""One setting: its description, its type and how it is written; durations as text (``5m``) and as ms."""

import json
import re
from collections.abc import Callable
from dataclasses import fields
from difflib import get_close_matches
from typing import Annotated, Any, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, Field, SecretStr, create_model
from pydantic.fields import FieldInfo

from flows.support.logs import MASK

PREFIX = "RALM_"
_LONG = 200
"""A longer text is cut where it is shown."""
_DURATION_TEXT = "a duration such as 250ms, 5s, 5m, 1h or 7d (a bare number is seconds)"
_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_WRITTEN = re.compile(r"(\d{1,16}(?:\.\d{1,6})?)\s*(ms|s|m|h|d)?", re.ASCII)
LONGEST = 36_500 * _UNITS["d"]
"""The longest duration, ms: a hundred years."""


GREATEST_COUNT = 2**31 - 1
"""Greatest of the counts that nothing else bounds: libraries take them as 32-bit numbers."""
M = TypeVar("M", bound=BaseModel)


def setting(default: Any, text: str, **bounds: Any) -> Any:
    """A field of the settings.

    Args:
        default: the value if none is given.
        text: the description, for ``--help`` and docs/settings.md.
        bounds: ``ge``, ``gt``, ``le`` and ``lt``.
    """
    open_ = not isinstance(default, tuple)  # a list may hold passwords: see is_masked
    return Field(default, description=text, repr=open_, **bounds)


def duration(default: str, text: str) -> Any:
    """A field that is a duration."""
    return setting(parse_duration(default), text)


def with_fields_of(config: type, prefix: str, without: tuple[str, ...]) -> Callable[[type[M]], type[M]]:
    """Add a setting for each field of a dataclass to a model.

    Args:
        config: a dataclass; the metadata of its fields hold ``text``, the description, and bounds as for ``setting``.
        prefix: put before each field's name.
        without: fields that are left out.
    """

    def add(model: type[M]) -> type[M]:
        made: dict[str, Any] = {}
        for field in fields(config):
            if field.name not in without:
                kind = Annotated[field.type, NO_BOOL] if field.type in (int, float) else field.type
                bounds: dict[str, Any] = {"le": GREATEST_COUNT} if field.type is int else {}
                made[prefix + field.name] = (kind, setting(field.default, **bounds, **field.metadata))
        return create_model(model.__name__, __base__=model, __doc__=model.__doc__, __module__=model.__module__, **made)

    return add


def flag(name: str) -> str:
    """A setting's flag.

    >>> flag("state_dir"), variable("state_dir")
    ('--state-dir', 'RALM_STATE_DIR')
    """
    return f"--{name.replace('_', '-')}"


def variable(name: str) -> str:
    """A setting's environment variable."""
    return PREFIX + name.upper()


def is_duration(field: FieldInfo) -> bool:
    """Whether a field is a duration."""
    return any(isinstance(mark, DurationMark) for mark in field.metadata)


def is_list(field: FieldInfo) -> bool:
    """Whether a field holds several values."""
    return isinstance(field.default, tuple)


def is_masked(field: FieldInfo) -> bool:
    """Whether a field may hold a secret; lists are options for the Kafka client, among which are passwords."""
    return isinstance(field.default, SecretStr) or is_list(field)


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
        return json.dumps(format_duration(value))
    return json.dumps(value, ensure_ascii=False)


def allowed(field: FieldInfo) -> str:
    """The values that a field allows."""
    if field.annotation is bool:
        return "true or false"
    if is_duration(field):
        bounds = _bounds(field, format_duration)
        bounded = any(bound.startswith(("at most", "below")) for bound in bounds)
        return ", ".join([_DURATION_TEXT, *bounds, *([] if bounded else [f"at most {format_duration(LONGEST)}"])])
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
    """The placeholder of the value in a command's help."""
    if is_list(field):
        return "NAME=VALUE"
    if is_duration(field):
        return "DURATION"
    if field.annotation in (int, float):
        return "NUMBER"
    if field.annotation is bool:
        return "true|false"
    return "|".join(get_args(field.annotation)) or "TEXT"


def split_list(text: str) -> list[str]:
    """The parts of a comma-separated list.

    >>> split_list("a:1, b:2,")
    ['a:1', 'b:2']
    """
    return [part.strip() for part in text.split(",") if part.strip()]


def cut_short(text: str) -> str:
    """A text as it is shown: cut if it is long."""
    return text if len(text) <= _LONG else f"{text[:_LONG]}..."


def nearest(name: str, names: list[str]) -> str:
    """``; did you mean X?`` for a name that is not known, or nothing."""
    close = get_close_matches(name, names, 1)
    return f"; did you mean {close[0]}?" if close else ""


def parse_duration(value: Any) -> int:
    """Read a duration: ``250ms``, ``5s``, ``5m``, ``1h``, ``7d``, or seconds as a bare number.

    >>> parse_duration("5m"), parse_duration("0.5s"), parse_duration(2)
    (300000, 500, 2000)

    Raises:
        ValueError: if the text is not a duration, or longer than a hundred years.
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


def format_duration(value: int) -> str:
    """Write a duration of so many ms as ``parse_duration`` reads it.

    >>> format_duration(300000), format_duration(1500), format_duration(0)
    ('5m', '1500ms', '0s')
    """
    for unit in ("d", "h", "m", "s"):
        if value % _UNITS[unit] == 0 and (value or unit == "s"):
            return f"{value // _UNITS[unit]}{unit}"
    return f"{value}ms"


def _no_bool(value: Any) -> Any:
    if isinstance(value, bool):
        msg = "true and false are not numbers"
        raise ValueError(msg)
    return value


class DurationMark:
    """Marks a field as a duration, for whoever writes its value."""


NO_BOOL = BeforeValidator(_no_bool)
"""Refuses true and false, which pydantic would take as 1 and 0."""


Duration = Annotated[int, BeforeValidator(parse_duration), DurationMark()]
PositiveDuration = Annotated[int, BeforeValidator(parse_duration), Field(ge=1), DurationMark()]
