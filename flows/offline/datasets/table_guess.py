"""Guesses which tables of a folder have the events, the users and the items, and which columns have their ids."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from flows.offline.datasets.assemble import written_otherwise
from flows.offline.datasets.cell_lists import label_in, separator_in, with_lists
from flows.offline.datasets.draft import KEYS, Draft, as_toml
from flows.offline.datasets.event_shapes import labelled, looked_up, one_item_each
from flows.offline.datasets.key_guess import both_keys, id_columns, is_matrix, keys_with_cells, named_keys
from flows.offline.datasets.reading import MISSING
from flows.offline.datasets.roles import is_called_like, rank
from flows.offline.datasets.survey import Look
from flows.offline.datasets.tables import holds_lists
from flows.offline.datasets.words import Text, among, as_words
from flows.support.errors import RalmError

TABLE_WORDS = {
    "events": ("event", "click", "interaction", "rating", "log", "order", "transaction", "view", "purchase", "play"),
    "users": ("user", "customer", "member", "people", "person", "account", "visitor", "client", "reader"),
    "items": ("item", "product", "article", "movie", "film", "book", "catalog", "content", "goods", "song", "video"),
}
_LEAST_USERS = 20
_NEARLY = 0.9
"""Of the rows of a table of users or items, so many have an id of their own, but for mistakes."""
_SHARED = 0.5
"""A table has so many of the ids that events name, or is another's."""
_LONG_ID = 5
_ALIKE = 4
"""Of the ranks of names, the last that may be one of ids where another table lists them."""
_FIELDS = ("property", "attribute", "feature", "field", "key")
_VALUES = ("value", "val")


def guess_tables(draft: Draft, looks: list[Look]) -> dict[str, Look]:
    """Which table is which, by ``events``, ``users`` and ``items``; the columns of ids are named in the draft."""
    tables: dict[str, Look] = {}
    events = _named(draft, looks) or _joined(draft, looks) or _by_values(draft, looks)
    if events is not None:
        tables["events"] = events
    for kind in KEYS:
        others = [look for look in looks if not any(look.table.file == one.table.file for one in tables.values())]
        others = [look for look in others if look.table.file not in _joined_files(draft)]
        found = _key_table(draft, events, others, kind)
        if found is None and kind == "items":
            found = _long_table(draft, events, others)
        if found is not None:
            tables[kind] = found
    _say_how_written(draft, tables)
    return tables


def _named(draft: Draft, looks: list[Look]) -> Look | None:
    """The table of events where names tell its users and items."""
    both = [look for look in looks if len(named_keys(look)) == len(KEYS)]
    if not both:
        return None
    look = max(both, key=lambda look: (is_called(look, "events"), len(look.table)))
    keys = named_keys(look)
    keys = {role: _in_other_tables(look, column, role, looks) for role, column in keys.items()}
    look = _spread(draft, look, keys["item_id"])
    for role, column in keys.items():
        draft.name(look, role, column)
    return look


def _in_other_tables(look: Look, column: str, role: str, looks: list[Look]) -> str:
    """Of columns that are called alike, the one whose ids another table lists."""
    names = [name for name in look.like(role) if rank(name, role) <= max(rank(column, role), _ALIKE)]
    listed = [
        other.table.distinct(name)
        for other in looks
        if other is not look
        for name in names
        if name in other.columns and other.columns[name].distinct >= _NEARLY * other.columns[name].rows
    ]
    if len(names) == 1 or not listed:
        return column

    def share(name: str) -> float:
        if look.columns[name].type == "list":
            return 0.0
        ids = look.table.distinct(name)
        return round(max(float(np.mean(among(ids, known))) for known in listed), 1)

    best = max(names, key=lambda name: (share(name), name == column))
    return best if share(best) > share(column) else column


def _spread(draft: Draft, look: Look, column: str) -> Look:
    """A table of events with a row for each item, if a column has lists of them in its cells."""
    table = look.table
    if not holds_lists(table.columns[column]):
        separator = separator_in(table.strings(column), ids=True)
        if separator is None:
            return look
        draft.lists[draft.called(look, column, "item_id")] = separator
        table = with_lists(table, {column: separator})
    label = label_in(table.columns[column])
    table = one_item_each(replace(table, aliases={"item_id": column}))
    if label:
        draft.top["labels"] = label
        draft.note(f"{column} names what was shown, each with {label} or not: those with it are the clicks (labels)")
        table = labelled(table, label)
    return look.of(replace(table, aliases={}, notes=()))


def _joined(draft: Draft, looks: list[Look]) -> Look | None:
    """The lines of orders, whose users are in the table of the orders, by a column that both have."""
    found = []
    for lines in looks:
        item = lines.first_like("item_id")
        for orders in looks:
            user = orders.first_like("user_id")
            if orders is lines or item is None or user is None or user in lines.columns or lines.names or orders.names:
                continue
            for column in orders.columns:
                if column not in lines.columns or column in (user, item) or not orders.columns[column].is_unique:
                    continue
                ids = _distinct(lines, column)
                share = float(np.mean(among(ids, _distinct(orders, column)))) if len(ids) else 0.0
                if share >= _NEARLY:
                    found.append((len(lines.table), lines, orders, column, user, item))
    if not found:
        return None
    _, lines, orders, column, user, item = max(found, key=lambda one: one[0])
    draft.join = {"file": orders.said, "column": column}
    draft.note(
        f"{lines.called} names no users: whose each {column} is stands in {orders.called}, and is looked up there: "
        "look at [join]"
    )
    table = replace(looked_up(lines.table, orders.table, column), notes=())
    look = lines.of(table)
    draft.name(look, "user_id", user)
    draft.name(look, "item_id", item)
    draft.joined = orders
    return look


def _joined_files(draft: Draft) -> set[str]:
    return set() if draft.joined is None else {draft.joined.table.file}


def _by_values(draft: Draft, looks: list[Look]) -> Look | None:
    """The table of events where no name tells: the longest in which two columns could be users and items."""
    found = []
    for look in (look for look in looks if not is_matrix(look)):
        columns = both_keys(look, looks)
        if len(columns) == len(KEYS):
            many = look.columns[columns["user_id"]].distinct >= _LEAST_USERS
            found.append((many, len(look.table), look, columns))
        elif (cells := keys_with_cells(look, columns)) is not None:
            found.append((True, cells[0], look, cells[1]))
    if not found:
        return None
    _, _, look, columns = max(found, key=lambda one: one[:2])
    named = {role for role, column in named_keys(look).items() if columns.get(role) == column}
    others = [name for name in id_columns(look, looks) if name not in columns.values()]
    look = _spread(draft, look, columns["item_id"])
    for role, column in columns.items():
        draft.name(look, role, column)
    told = " and ".join(f"{columns[role]} is taken for the {kind}" for kind, role in KEYS.items() if role not in named)
    kinds = " or ".join(kind for kind, role in KEYS.items() if role not in named)
    instead = f", and not {', '.join(others[:9])}" if others else ""
    draft.note(f"{look.called}: nothing is called like {kinds}; by its values {told}{instead}: look at [columns]")
    return look


def _key_table(draft: Draft, events: Look | None, others: list[Look], kind: str) -> Look | None:
    """The table of users, or of items."""
    keyed = [(look, *found) for look in others if (found := _key(draft, events, look, kind))]
    if not keyed:
        return None
    look, key, _ = max(keyed, key=lambda one: (one[2], is_called(one[0], kind), len(one[0].table)))
    draft.name(look, KEYS[kind], key)
    return look


def _key(draft: Draft, events: Look | None, look: Look, kind: str) -> tuple[str, int] | None:
    """The column that tells a table's users or items apart, and how sure that is; None if it has none.

    Values tell more than names: a column that has what the events name, each once.
    """
    role = KEYS[kind]
    ids = None if events is None else _ids_of(draft, events, role)
    if events is not None and ids is not None and (found := _shared_key(draft, events, look, kind, ids)):
        return found
    named = look.first_like(role)
    if named is not None and look.columns[named].is_unique:
        strangers = ids is not None and not among(ids, _distinct(look, named)).any()
        return None if strangers else (named, 1)
    found = _key_by_file(look, kind, named)
    return None if found and ids is not None and not among(ids, _distinct(look, found[0])).any() else found


def _shared_key(draft: Draft, events: Look, look: Look, kind: str, ids: Text) -> tuple[str, int] | None:
    """The column that has what the events name, each once."""
    role, other = KEYS[kind], next(KEYS[each] for each in KEYS if each != kind)
    column, is_telling, shared = draft.column(events, role), _is_telling(ids), []
    for place, (name, facts) in enumerate(look.columns.items()):
        if facts.distinct < _NEARLY * facts.rows or facts.type not in ("text", "whole number", "number"):
            continue
        alike = rank(name, role) or name == column or _is_plain_key(look, name, kind, column, is_telling)
        alike = alike or (is_called(look, kind) and "id" in name.lower())
        told = alike or (is_telling and not rank(name, other)) or (look.names and place == 0)
        share = float(np.mean(among(ids, _distinct(look, name)))) if told else 0.0
        if not look.names or is_telling or share >= _NEARLY:
            shared.append((round(share, 1), -(rank(name, role) or 9), -place, name))
    best = max(shared, default=(0.0, 0, 0, ""))
    if best[0] >= _SHARED:
        return best[3], 2
    return (best[3], 1) if best[0] > 0 and is_called_like(look.path.stem, column) else None


def _is_plain_key(look: Look, name: str, kind: str, column: str, is_telling: bool) -> bool:
    """Whether a column is called no more than ``id``, in a file that is called like what has those ids, if any may."""
    if name.lower().strip("#_") != "id" or look.columns[name].missing:
        return False
    return is_telling or is_called(look, kind) or is_called_like(look.path.stem, column)


def _key_by_file(look: Look, kind: str, named: str | None) -> tuple[str, int] | None:
    """The column of ids of a table whose file is called like users, or like items."""
    if named is None and is_called(look, kind) and not is_called(look, next(each for each in KEYS if each != kind)):
        named = next((name for name, facts in look.columns.items() if "id" in name.lower() and facts.is_unique), None)
        return None if named is None else (named, 0)
    few = named is not None and look.columns[named].distinct >= _NEARLY * look.columns[named].rows
    return (named, 0) if named is not None and few and is_called(look, kind) else None


def _long_table(draft: Draft, events: Look | None, others: list[Look]) -> Look | None:
    """A table of items with several rows for each: names of properties and their values, or categories."""
    ids = None if events is None else _ids_of(draft, events, "item_id")
    for look in sorted(others, key=lambda one: -len(one.table)):
        key = look.first_like("item_id")
        if key is None or ids is None or look.first_like("user_id"):
            continue
        if float(np.mean(among(ids, _distinct(look, key)))) < _SHARED:
            continue
        if _has_properties(draft, look) or _has_categories(draft, look, key):
            draft.name(look, "item_id", key)
            return look
    return None


def _has_properties(draft: Draft, look: Look) -> bool:
    """Whether a table's rows name properties, of which one has categories or titles."""
    fields, values = (
        next((name for name in look.columns if name.lower() in words), None) for words in (_FIELDS, _VALUES)
    )
    if fields is None or values is None:
        return False
    names = _distinct(look, fields).tolist()
    for role in ("categories", "title"):
        name = min((name for name in names if rank(name, role)), key=lambda name: rank(name, role), default=None)
        if name is not None:
            draft.long["items"] = [fields, values]
            draft.names.setdefault(role, []).append(name)
            draft.note(f"{look.called}: of its {len(names):,} properties {name} is taken for the {role}")
    if "items" not in draft.long:
        return False
    draft.taken[look.table.file, fields] = "names of properties"
    draft.taken[look.table.file, values] = "values of properties"
    return True


def _has_categories(draft: Draft, look: Look, key: str) -> bool:
    """Whether a table has a row for each category of an item."""
    category = next(
        (name for name in look.like("categories") if look.columns[name].distinct * 2 <= len(look.table)), None
    )
    if category is None:
        return False
    draft.top["repeated"] = "merge"
    draft.name(look, "categories", category)
    draft.note(f"{look.called} has several rows for each {key}: their {category} are taken together (repeated)")
    return True


def _ids_of(draft: Draft, events: Look, role: str) -> Text | None:
    column = draft.column(events, role)
    try:
        ids = _distinct(events, column)
    except RalmError:
        return None
    if len(ids) and events.columns[column].type == "list":
        ids = np.unique(as_words("|".join(ids.tolist()).split("|")))
    return ids if len(ids) else None


def _distinct(look: Look, column: str) -> Text:
    ids = look.table.distinct(column)
    named: Text = ids[ids != ""]
    return named


def _say_how_written(draft: Draft, tables: dict[str, Look]) -> None:
    for kind, look in tables.items():
        if look.names:
            draft.headless[kind] = list(look.names)
            draft.note(
                f"{look.called}: its first line has values, and no names of columns, which are called "
                f"{look.names[0]} to {look.names[-1]} here: look at [names]"
            )
    marks = sorted({mark for look in tables.values() for mark in look.marks})
    if marks:
        draft.top["missing"] = [*MISSING, *marks]
        worded = [name for look in tables.values() for name in look.worded]
        too = f", and so it does in {', '.join(worded)}" if worded else ""
        draft.note(f"{', '.join(marks)} among numbers stands for no value{too}: look at missing")


def say_unused(draft: Draft, looks: list[Look], tables: dict[str, Look]) -> None:
    """Say of each table that is not used why, and how it could be."""
    used = {look.table.file for look in tables.values()} | _joined_files(draft)
    for look in looks:
        if look.table.file in used:
            continue
        words = "it is neither events, nor users, nor items"
        if len(named_keys(look)) == len(KEYS) and "events" in tables:
            files = [each for one in (tables["events"], look) for each in _listed(one.said)]
            words = f"it has users and items too; if its rows are events as well, say events = {as_toml(files)}"
            words += "".join(f", {role} = {as_toml(names)}" for role, names in _names_with(draft, look))
        elif role := next((role for role in KEYS.values() if look.first_like(role)), None):
            words += f" (a table of these has one row for each {look.first_like(role)})"
            words += _why_strange(draft, tables.get("events"), look, role)
        draft.note(f"{look.called} is not used: {words}")


def _why_strange(draft: Draft, events: Look | None, look: Look, role: str) -> str:
    """What to add of a table none of whose ids the events name, where they are there but for how they are written."""
    ids, key = None if events is None else _ids_of(draft, events, role), look.first_like(role)
    known = _distinct(look, key) if key else None
    if ids is None or known is None or among(ids, known).any():
        return ""
    return f": of events {str(ids[0])!r} is not in it{written_otherwise(str(ids[0]), known)}"


def _names_with(draft: Draft, look: Look) -> Iterator[tuple[str, list[str]]]:
    """What ``[columns]`` must say beside what it says for the events, so that another table is of them too."""
    for role in (*KEYS.values(), "timestamp"):
        name, names = look.first_like(role), draft.names.get(role, [])
        if name is not None and names and name not in names:
            yield role, [*names, name]


def is_called(look: Look, kind: str) -> bool:
    """Whether a table's file is called like events, users or items."""
    stem = look.path.stem.lower()
    return any(word in stem for word in TABLE_WORDS[kind])


def _listed(said: str | list[str]) -> list[str]:
    return [said] if isinstance(said, str) else said


def _is_telling(ids: Text) -> bool:
    """Whether ids are of a kind that no others are by chance, as small numbers would be."""
    words = ids[:100].tolist()
    return sum(len(word) >= _LONG_ID or not word.isdigit() for word in words) * 2 > len(words)
