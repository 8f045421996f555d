"""Guesses what columns of users are fit for."""

from flows.offline.datasets.kinds import kind_of
from flows.offline.datasets.survey import ColumnFacts, Look, is_free_text

_MOST_NUMBERS = 1000
"""More rows that each have a whole number of their own are numbered."""


def guessed_kind(users: Look, name: str, facts: ColumnFacts) -> tuple[str, str]:
    """The kind of a user field, and what a person should know of it."""
    if facts.type == "unreadable":
        return "ignore", "its values cannot be read as text"
    if not facts.distinct or (facts.distinct == 1 and not facts.missing):
        return "ignore", "it is the same for all" if facts.distinct else "it is empty"
    if set(name) & set("./\\") or name in ("id", "file", "items", "categories"):
        return "ignore", "a field cannot be called so"
    kind = kind_of(users.table, name)
    if kind == "continuous" and any(word in name.lower() for word in ("zip", "post", "code", "plz", "_id")):
        kind = "categorical"
    why = _too_telling(kind, facts)
    return ("ignore", why) if why else (kind, "")


def _too_telling(kind: str, facts: ColumnFacts) -> str:
    """Why a column is no field, although its values could be one; empty if it is one."""
    if kind == "continuous":
        if facts.is_unique and facts.type == "whole number" and facts.rows > _MOST_NUMBERS:
            return f"an identifier in disguise: {facts.distinct:,} different whole numbers"
        if facts.missing * 2 > facts.rows:
            return f"a continuous field, of which {facts.missing:,} values are missing: fill them in to use it"
        return ""
    if facts.type != "list" and facts.is_identifying:
        return f"an identifier in disguise: {facts.distinct:,} different values in {facts.rows:,} rows"
    return f"free text of up to {facts.longest:,} characters" if is_free_text(facts) else ""
