"""Amazon and Yelp, as librahu's heterogeneous-network data sets for recommendation have them.

Their own files have no header; an id's several values stand in several rows. Amazon: ``user_item.dat`` (user, item,
rating, seconds since the epoch), ``item_category.dat``, ``item_brand.dat``. Yelp: ``user_business.dat`` (user,
business, rating), ``business_category.dat``, ``business_city.dat``, ``user_compliment.dat``, the last three with a
weight that is always 1 and is not used. Users are those who rated or have compliments.

Amazon's times are whole days, so that the order of clicks within a day is arbitrary (here: by user, then item), and
neither what a user had clicked earlier on the same day nor anything finer than a day can be told. Its categories are
nearly the same for all items (most are ``0|1``); brands tell more of them apart, hence a brand is a category as well,
``brand:ID``. So is Yelp's city, ``city:ID``.

Yelp has no times. The clicks are in a random order that is always the same, so that holding out the latest clicks of
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
from flows.offline.datasets.source_files import LEAST_RATING, SourceFile, SourceFiles
from flows.offline.datasets.tables import Table
from flows.offline.datasets.times import times_ms

_HOME = "https://github.com/librahu/HIN-Datasets-for-Recommendation-and-Network-Embedding"
AMAZON = SourceFiles(
    name="amazon",
    home=_HOME,
    files=(
        SourceFile("user_item.dat", ("user_id", "item_id", "rating", "timestamp"), "\t"),
        SourceFile("item_category.dat", ("item_id", "category_id"), ","),
        SourceFile("item_brand.dat", ("item_id", "brand_id"), ","),
    ),
    tables=("amazon_hin_events", "amazon_hin_items"),
    inside="Amazon",
)
YELP = SourceFiles(
    name="yelp",
    home=_HOME,
    files=(
        SourceFile("user_business.dat", ("user_id", "item_id", "rating"), "\t"),
        SourceFile("business_category.dat", ("item_id", "category_id", "weight"), "\t"),
        SourceFile("business_city.dat", ("item_id", "city_id", "weight"), "\t"),
        SourceFile("user_compliment.dat", ("user_id", "compliment_id", "weight"), "\t"),
    ),
    tables=("yelp_hin_events", "yelp_hin_items", "yelp_hin_user_compliments"),
    inside="Yelp",
)
_MORE = {"amazon": "brand", "yelp": "city"}
"""What is a category of an item as well."""


def prepare(name: str, downloads: Path, folder: Path | None) -> Dataset:
    """Read one of them from the folder that the user named.

    Raises:
        ConfigError: when files are absent.
        RalmError: naming the file, the row and the field that is wrong.
    """
    del downloads
    source, more = (AMAZON if name == AMAZON.name else YELP), _MORE[name]
    converted, (events, *tables) = source.read(folder)
    if converted:
        table, *compliments = tables
        values = both(table.text("category_id"), prefixed(f"{more}:", table.text(f"{more}_id")))
        items = known(table, "item_id", {CATEGORIES: ("multivalent", values)})
    else:
        categories, others, *compliments = tables
        items = _items(events, categories, others, more)
    users = mentioned((events, "user_id"), *((table, "user_id") for table in compliments))
    fields: Columns = {}
    for table in compliments:
        fields["compliments"] = ("multivalent", grouped(users, table, "user_id", "compliment_id"))
    return assemble(
        name,
        events,
        users=Known("all files", users, fields),
        items=items,
        times=times_ms(events, "timestamp", "s") if source is AMAZON else None,
        least_rating=LEAST_RATING,
    )


def _items(events: Table, categories: Table, others: Table, more: str) -> Known:
    ids = mentioned((events, "item_id"), (categories, "item_id"), (others, "item_id"))
    values = both(
        grouped(ids, categories, "item_id", "category_id"),
        grouped(ids, others, "item_id", f"{more}_id", f"{more}:"),
    )
    return Known("all files", ids, {CATEGORIES: ("multivalent", values)})
