"""Users and items of other shapes than a row for each: names and values in rows of their own, or several rows."""

from collections.abc import Collection
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flows.offline.datasets.assemble import join_values
from flows.offline.datasets.tables import Table, holds_lists
from flows.offline.datasets.words import as_words
from flows.support.errors import RalmError
from ralm.encoders.profiles import SEPARATOR

MOST_FIELDS = 100
"""A table whose rows name fields may name so many, unless those that are wanted are said."""


def with_fields_of_rows(table: Table, fields: str, values: str, wanted: Collection[str] | None) -> Table:
    """A table whose rows each name a field and its value, with a column for each field; the others are empty there.

    Args:
        table: the table.
        fields: the column that names the fields.
        values: the column that has their values.
        wanted: the fields that are taken; None takes all.

    Raises:
        RalmError: when there is no such column, or too many fields.
    """
    for name in (fields, values):
        if name not in table.columns:
            msg = f"data.toml says that {table.file} has its fields in rows ([long]), but it has no column {name!r}"
            raise RalmError(msg)
    named = table.strings(fields)
    there = [name for name in pc.unique(named).to_pylist() if name and (wanted is None or name in wanted)]
    if len(there) > MOST_FIELDS:
        msg = (
            f"{table.file}: {fields} names {len(there):,} fields; the most is {MOST_FIELDS}: keep those that tell most"
        )
        raise RalmError(msg)
    said = table.strings(values)
    rest = {name: column for name, column in table.columns.items() if name not in (fields, values)}
    made = {name: pc.if_else(pc.equal(named, name), said, "") for name in there}
    return replace(table, columns={**{name: c for name, c in rest.items() if name not in made}, **made})


def one_row_each(table: Table, key: str, several: Collection[str]) -> Table:
    """One row for each id: of some columns the different values together, of the others the last that is there.

    Args:
        table: the table.
        key: its column of ids.
        several: the columns of which an id may have several values.
    """
    encoded = table.ids(key).dictionary_encode()
    ids, places = np.unique(as_words(encoded.dictionary.to_pylist()), return_inverse=True)
    rows = places[encoded.indices.to_numpy()]
    if len(ids) == len(rows):
        return table
    columns = {}
    for name, column in table.columns.items():
        strings = table.strings(name)
        there = np.flatnonzero(pc.not_equal(strings, "").to_numpy(zero_copy_only=False))
        if name in {table.real(each) for each in several}:
            words = [text.split(SEPARATOR) for text in strings.take(pa.array(there)).to_pylist()]
            owners = np.repeat(rows[there], [len(each) for each in words])
            pairs = sorted(set(zip(owners.tolist(), (word for each in words for word in each if word), strict=True)))
            values = as_words([word for _, word in pairs])
            texts = join_values(np.array([owner for owner, _ in pairs], np.int64), values, len(ids))
            columns[name] = pa.array(texts.tolist(), pa.string())
            continue
        last = np.full(len(ids), -1)
        last[rows[there]] = there  # of those of one id, the last
        taken = (strings if holds_lists(column) else column).take(pa.array(last, mask=last < 0))
        columns[name] = taken.fill_null("") if pa.types.is_string(taken.type) else taken
    first = np.full(len(ids), len(rows))
    np.minimum.at(first, rows, np.arange(len(rows)))
    kept = np.arange(len(table)) if table.kept is None else table.kept
    note = f"{table.file}: {len(rows):,} rows are of {len(ids):,} {table.real(key)}, and are put together for each"
    return replace(table, columns=columns, kept=kept[first], notes=(*table.notes, note))
