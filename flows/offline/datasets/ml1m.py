"""MovieLens-1M (GroupLens, for research): ratings with times in seconds, users with a profile, films with genres.

GroupLens' own files have ``::`` between columns and are in Latin-1.
"""

from pathlib import Path

from flows.offline.datasets.assemble import CATEGORIES, assemble, known
from flows.offline.datasets.layout import Dataset
from flows.offline.datasets.origin import Origin
from flows.offline.datasets.times import milliseconds

ORIGIN = Origin(
    name="ml1m",
    home="https://grouplens.org/datasets/movielens/1m/",
    files=("ratings.dat", "users.dat", "movies.dat"),
    prefix="ml1m",
    tables=("events", "users", "items"),
    inside="ml-1m",
)
_COLUMNS = {
    "ratings.dat": ("user_id", "item_id", "rating", "timestamp"),
    "users.dat": ("user_id", "gender", "age", "occupation", "zip_code"),
    "movies.dat": ("item_id", "title", "genres"),
}
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
        events, users, items = (ORIGIN.table(place, table) for table in ORIGIN.tables)
    else:
        events, users, items = (
            ORIGIN.lines(place, file, _COLUMNS[file], "::", encoding="latin-1") for file in ORIGIN.files
        )
    fields = {
        "gender": ("categorical", users.text("gender")),
        "age": ("categorical", users.text("age")),  # seven bands, named by their lower ends
        "occupation": ("categorical", users.text("occupation")),
        "region": ("categorical", users.text("zip_code").astype("U1")),
    }
    return assemble(
        ORIGIN.name,
        events,
        users=known(users, "user_id", fields),
        items=known(items, "item_id", {CATEGORIES: ("multivalent", items.text("genres"))}),
        times=milliseconds(events, "timestamp", "s"),
        least_rating=_LEAST_RATING,
    )
