"""Text whose lines are no rows of columns: rows under heads, a user and the items after it, blanks between columns."""

import re

_LOOKED_AT = 200
HEAD = re.compile(r"[^\s,;|\t:]+:")
"""A line that says of which item, or user, the rows below it are."""
_UNIT = "\x1f"
_RUNS = re.compile(r"[ \t]+")
_ENDS = ",;\t|\x01"


def as_columns(text: str) -> tuple[str, str] | None:
    r"""Text with a row in each line and what separates its columns; None if it is that already.

    A head, ``17:``, becomes the last column of the rows below it, and its own line is gone, so that a row's number is
    not its line's. Of a line that has a different number of words from others, all words after the first are one cell.

    >>> as_columns("1:\n30,5,2005-01-01\n31,4,2005-01-02\n2:\n30,3,2005-01-03")
    ('30,5,2005-01-01,1\n31,4,2005-01-02,1\n30,3,2005-01-03,2', ',')
    >>> as_columns("u1 i1 4\nu2 i3 5"), as_columns("7 1 2 3\n8 2"), as_columns("a,b\n1,2"), as_columns("some text")
    (('u1\x1fi1\x1f4\nu2\x1fi3\x1f5', '\x1f'), ('7\x1f1 2 3\n8\x1f2', '\x1f'), None, None)
    """
    first = [line for line in text.split("\n", _LOOKED_AT)[:_LOOKED_AT] if line.strip()]
    if len(first) <= 1:
        return None
    if HEAD.fullmatch(first[0].strip()) and not HEAD.fullmatch(first[1].strip()):
        return _under_heads(text, max(_ENDS, key=first[1].count))
    if any(sign in line for line in first for sign in _ENDS) or any("::" in line for line in first):
        return None
    counts = {len(line.split()) for line in first}
    if counts == {1}:
        return None
    if len(counts) == 1:
        return "\n".join(_RUNS.sub(_UNIT, line.strip()) for line in text.split("\n")), _UNIT
    if all(any(sign.isdigit() for sign in word) for line in first for word in line.split()):
        split = (line.strip().split(None, 1) for line in text.split("\n") if line.strip())
        return "\n".join(f"{word}{_UNIT}{''.join(rest)}" for word, *rest in split), _UNIT
    return None


def _under_heads(text: str, separator: str) -> tuple[str, str]:
    head, rows = "", []
    for line in text.split("\n"):
        if HEAD.fullmatch(line.strip()):
            head = line.strip()[:-1]
        elif line.strip():
            rows.append(f"{line}{separator}{head}")
    return "\n".join(rows), separator
