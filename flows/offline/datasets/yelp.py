"""Yelp, as librahu's heterogeneous-network data sets for recommendation have it: ratings without times, compliments.

Assumed of its own files: no header, tabs between columns; ``user_business.dat`` is user, business, rating; the others
(``user_compliment.dat``, ``business_category.dat``, ``business_city.dat``) are id, value, and a weight that is always
1 and is not used; an id's several values stand in several rows. A user is one who rated or has compliments.

There are no times. The clicks are in a random order that is always the same, so that holding out the latest clicks of
each user holds out random ones; a cut by time is refused.
"""

from pathlib import Path

from flows.offline.datasets.assemble import (
    CATEGORIES,
    Columns,
    Known,
    assemble,
    both,
    grouped,
    known,
    mentioned,
    prefixed,
)
from flows.offline.datasets.layout import Dataset
from flows.offline.datasets.origin import Origin
from flows.offline.datasets.tables import Table

ORIGIN = Origin(
    name="yelp",
    home="https://github.com/librahu/HIN-Datasets-for-Recommendation-and-Network-Embedding",
    files=("user_business.dat", "user_compliment.dat", "business_category.dat", "business_city.dat"),
    prefix="yelp_hin",
    tables=("events", "items", "user_compliments"),
    inside="Yelp",
)
_CITY = "city:"
_LEAST_RATING = 4.0
"""A click is a rating of 4 or more."""


def bring(downloads: Path, folder: Path | None) -> Dataset:
    """Read it from the folder that the user named.

    Raises:
        ConfigError: when files are absent.
        RalmError: naming the file, the row and the field that is wrong.
    """
    del downloads
    place = ORIGIN.folder(folder)
    if ORIGIN.is_converted(place):
        events, table, compliments = (ORIGIN.table(place, name) for name in ORIGIN.tables)
        values = both(table.text("category_id"), prefixed(_CITY, table.text("city_id")))
        items = known(table, "item_id", {CATEGORIES: ("multivalent", values)})
    else:
        events = ORIGIN.lines(place, "user_business.dat", ("user_id", "item_id", "rating"), "\t")
        compliments = ORIGIN.lines(place, "user_compliment.dat", ("user_id", "compliment_id", "weight"), "\t")
        items = _items(place, events)
    users = mentioned((events, "user_id"), (compliments, "user_id"))
    fields: Columns = {"compliments": ("multivalent", grouped(users, compliments, "user_id", "compliment_id"))}
    return assemble(
        ORIGIN.name,
        events,
        users=Known("all files", users, fields),
        items=items,
        times=None,
        least_rating=_LEAST_RATING,
    )


def _items(place: Path, events: Table) -> Known:
    categories = ORIGIN.lines(place, "business_category.dat", ("item_id", "category_id", "weight"), "\t")
    cities = ORIGIN.lines(place, "business_city.dat", ("item_id", "city_id", "weight"), "\t")
    ids = mentioned((events, "item_id"), (categories, "item_id"), (cities, "item_id"))
    values = both(grouped(ids, categories, "item_id", "category_id"), grouped(ids, cities, "item_id", "city_id", _CITY))
    return Known("all files", ids, {CATEGORIES: ("multivalent", values)})
