"""Amazon, as librahu's heterogeneous-network data sets for recommendation have it: ratings, categories and brands.

Its own files have no header: ``user_item.dat`` is user, item, rating, seconds since the epoch, with tabs between them;
``item_category.dat`` and ``item_brand.dat`` are item and value, with a comma, an item's several categories in several
rows. Nothing is known of users: they are those who rated.

Times are whole days, so that the order of clicks within a day is arbitrary (here: by user, then item), and neither
what a user had clicked earlier on the same day nor anything finer than a day can be told. The categories are nearly
the same for all items (most are ``0|1``); brands tell more of them apart, hence a brand is a category as well,
``brand:ID``.
"""

from pathlib import Path

from flows.offline.datasets.assemble import CATEGORIES, Known, assemble, both, grouped, known, mentioned, prefixed
from flows.offline.datasets.layout import Dataset
from flows.offline.datasets.origin import Origin
from flows.offline.datasets.tables import Table
from flows.offline.datasets.times import milliseconds

ORIGIN = Origin(
    name="amazon",
    home="https://github.com/librahu/HIN-Datasets-for-Recommendation-and-Network-Embedding",
    files=("user_item.dat", "item_category.dat", "item_brand.dat"),
    prefix="amazon_hin",
    tables=("events", "items"),
    inside="Amazon",
)
_EVENTS = ("user_id", "item_id", "rating", "timestamp")
_BRAND = "brand:"
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
        events, table = ORIGIN.table(place, "events"), ORIGIN.table(place, "items")
        values = both(table.text("category_id"), prefixed(_BRAND, table.text("brand_id")))
        items = known(table, "item_id", {CATEGORIES: ("multivalent", values)})
    else:
        events = ORIGIN.lines(place, "user_item.dat", _EVENTS, "\t")
        items = _items(place, events)
    return assemble(
        ORIGIN.name,
        events,
        users=Known(events.file, mentioned((events, "user_id")), {}),
        items=items,
        times=milliseconds(events, "timestamp", "s"),
        least_rating=_LEAST_RATING,
    )


def _items(place: Path, events: Table) -> Known:
    categories = ORIGIN.lines(place, "item_category.dat", ("item_id", "category_id"), ",")
    brands = ORIGIN.lines(place, "item_brand.dat", ("item_id", "brand_id"), ",")
    ids = mentioned((events, "item_id"), (categories, "item_id"), (brands, "item_id"))
    values = both(
        grouped(ids, categories, "item_id", "category_id"), grouped(ids, brands, "item_id", "brand_id", _BRAND)
    )
    return Known("all files", ids, {CATEGORIES: ("multivalent", values)})
