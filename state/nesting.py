"""How deep JSON from outside may be nested: a fixed number, whatever the stack has left when it is decoded.

Decoders recurse, so that without a bound of ours the same text could be taken from one place and refused from another,
or by another version of Python.
"""

import json
import re
from typing import Any, Final

import numpy as np

MAX_DEPTH: Final = 100
"""Objects and lists within each other; ours have three. A decoder has room for several times as many."""
_TEXT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_OTHERS = bytes(set(range(256)) - set(b"[]{}"))


class NestedTooDeepError(ValueError):
    """Objects and lists lie within each other more than ``MAX_DEPTH`` deep."""

    def __init__(self) -> None:
        super().__init__(f"it is nested more than {MAX_DEPTH} deep")


def check_depth(text: bytes | str) -> None:
    """See that JSON (or TOML) is not nested too deep, before it is decoded; brackets within its texts do not count.

    >>> check_depth(b"[" * 100 + b"]" * 100)
    >>> check_depth('["' + "[" * 1000 + '"]')

    Raises:
        NestedTooDeepError: when it is.
    """
    if len(text) <= MAX_DEPTH:  # a level has a bracket of its own
        return
    content = text if isinstance(text, bytes) else text.encode(errors="replace")
    if content.count(b"[") + content.count(b"{") <= MAX_DEPTH:
        return
    brackets = np.frombuffer(_TEXT.sub(b"", content).translate(None, _OTHERS), np.uint8)
    steps = np.where((brackets == ord("[")) | (brackets == ord("{")), 1, -1)
    if len(steps) and int(np.cumsum(steps).max()) > MAX_DEPTH:
        raise NestedTooDeepError


def json_of(text: bytes | str, **options: Any) -> Any:
    """What JSON says that is not nested too deep.

    Args:
        text: as UTF-8, if it is bytes.
        options: of ``json.loads``.

    Raises:
        ValueError: when it is no JSON, or is nested too deep.
    """
    check_depth(text)
    return json.loads(text.decode() if isinstance(text, bytes) else text, **options)
