"""The compared models by name, each with its options as the experiment wants them."""

from collections.abc import Callable
from dataclasses import dataclass

from ralm.models.activity import Activity
from ralm.models.factorisation import MatrixFactorisation
from ralm.models.item_knn import ItemKnn
from ralm.models.logistic import LogisticLookalike
from ralm.models.model import Model
from ralm.models.popularity import Popularity
from ralm.models.yahoo import YahooLookalike


@dataclass(frozen=True)
class Entry:
    """A model of the experiment.

    Attributes:
        make: makes it, untrained.
        group: ``main``, or of which comparison it is: ``merge``, ``k``, ``clustering``, ``activation``, ``loss``, ...
        what: one line, for the table and the help.
    """

    make: Callable[[], Model]
    group: str
    what: str


CATALOGUE: dict[str, Entry] = {
    "activity": Entry(Activity, "main", "users by their clicks: the control"),
    "popularity": Entry(Popularity, "main", "items by their seeds"),
    "item-knn": Entry(ItemKnn, "main", "cosine of items over their clickers"),
    "matrix-factorisation": Entry(MatrixFactorisation, "main", "ALS on clicks"),
    "lr": Entry(LogisticLookalike, "main", "a logistic regression for each item"),
    "yahoo": Entry(YahooLookalike, "main", "LSH candidates, then weights of features"),
}
