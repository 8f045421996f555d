"""The compared models by name, each with its options as the experiment wants them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from ralm.encoders.both import Both
from ralm.encoders.encoder import EncoderRecipe
from ralm.encoders.learned import Learned
from ralm.encoders.spectral import Spectral
from ralm.models.activity import Activity
from ralm.models.chosen_prior import ChosenPrior, ChosenPriorLookalike
from ralm.models.encoded import EncodedConfig, EncodedLookalike
from ralm.models.factorisation import MatrixFactorisation
from ralm.models.item_knn import ItemKnn
from ralm.models.logistic import LogisticLookalike
from ralm.models.lookalike_model import LookalikeModel
from ralm.models.model import Model
from ralm.models.popularity import Popularity
from ralm.models.yahoo import YahooLookalike
from ralm.models.youtube_dnn import YouTubeDnn
from ralm.towers.training_config import PAPER, TrainingConfig

NEIGHBOUR_WEIGHTS = (0.0, 0.05, 0.1, 0.2, 0.5, 1.0)
"""lambda, to choose from; beside a cosine that is compared between users it must be smaller than within one user."""
MAIN_GROUP = "main"
"""The group of the models that are compared with one another; each other group is a comparison of variants."""
BASELINES, TOWERS, OURS = "baselines", "towers", "ours"
"""The families: what others have, what stands upon the paper's towers, and the encoders of this project."""


@dataclass(frozen=True)
class CatalogueEntry:
    """A model of the experiment.

    Attributes:
        make: makes it, untrained.
        group: `MAIN_GROUP`, or of which comparison it is: ``merge``, ``k``, ``clustering``, ``loss``, ...
        description: one line, for the table and the help.
        family: one of the families, or nothing; what is not ours is a rival of ours.
        has_curve: whether it is asked for cold items as well, although it is neither of the main group nor ours.
    """

    make: Callable[[], Model]
    group: str
    description: str
    family: str = ""
    has_curve: bool = False


def _baseline(make: Callable[[], Model], description: str) -> CatalogueEntry:
    return CatalogueEntry(make, MAIN_GROUP, description, BASELINES)


def _ralm(group: str, description: str, config: TrainingConfig | None = None, **changes: Any) -> CatalogueEntry:
    changed = replace(config or TrainingConfig(), **changes)
    return CatalogueEntry(lambda: LookalikeModel(changed), group, description, TOWERS)


def _printed(description: str, *, has_curve: bool = False, **changes: Any) -> CatalogueEntry:
    return replace(_ralm("paper", f"RALM as printed, {description}", PAPER, **changes), has_curve=has_curve)


def _youtube(group: str, description: str, config: TrainingConfig | None = None, **changes: Any) -> CatalogueEntry:
    changed = replace(config or TrainingConfig(), **changes)
    return CatalogueEntry(lambda: YouTubeDnn(changed), group, description, TOWERS)


def _encoded(group: str, description: str, encoder: EncoderRecipe, **changes: Any) -> CatalogueEntry:
    config = EncodedConfig(encoder, **changes)
    return CatalogueEntry(lambda: EncodedLookalike(config), group, description, OURS)


CATALOGUE: dict[str, CatalogueEntry] = {
    "activity": _baseline(Activity, "users by their clicks: the control"),
    "popularity": _baseline(Popularity, "items by their seeds"),
    "item-knn": _baseline(ItemKnn, "cosine of items over their clickers"),
    "matrix-factorisation": _baseline(MatrixFactorisation, "ALS on clicks"),
    "lr": _baseline(LogisticLookalike, "a logistic regression for each item"),
    "yahoo": _baseline(YahooLookalike, "LSH candidates, then weights of features"),
    "youtube-dnn": _youtube("main", "the user tower with concatenation, and a vector for each item", merge="concat"),
    "ralm-average": _ralm("main", "RALM with the mean of all seeds", clusters=1),
    "ralm": _ralm("main", "RALM with a softmax, logQ and a prior: global and local attention over 20 clusters"),
    "spectral": _encoded("main", "vectors in closed form, and the mean of the seeds", Spectral()),
    "learned": _encoded("main", "a linear encoder trained on what is served, and the mean of the seeds", Learned()),
    "both": _encoded("main", "the two encoders side by side, and the mean of the seeds", Both()),
    "learned-leak": _encoded(
        "encoder", "the linear encoder trained with the item in its seeds' histories", Learned(leave_out=False)
    ),
    "learned-attention": _encoded(
        "encoder", "the linear encoder with count-weighted local attention", Learned(), alpha=0.5, beta=0.5
    ),
    "spectral-neighbours": _encoded(
        "neighbours", "the closed form, and the overlaps of seed sets", Spectral(), neighbours=NEIGHBOUR_WEIGHTS
    ),
    "both-neighbours": _encoded(
        "neighbours",
        "both encoders, and the overlaps of seed sets",
        Both(),
        neighbours=NEIGHBOUR_WEIGHTS,
        trial=Both(Learned(steps=Both().trial_steps), weights=(1.0,)),
    ),
    "learned-unweighted": _encoded(
        "encoder",
        "the linear encoder with local attention that does not count seeds",
        Learned(),
        alpha=0.5,
        beta=0.5,
        counted=False,
    ),
    "both-prior": _encoded("encoder", "both encoders, and 0.1 log(1 + seeds)", Both(), prior=0.1),
    "both-prior-2": _encoded("encoder", "both encoders, and 0.2 log(1 + seeds)", Both(), prior=0.2),
    "both-prior-chosen": CatalogueEntry(
        lambda: ChosenPriorLookalike(ChosenPrior()),
        "encoder",
        "both encoders, and g log(1 + seeds), g from 0.1 to 0.2 by precision on the latest clicks of all",
        OURS,
    ),
    "both-prior-chosen-users": CatalogueEntry(
        lambda: ChosenPriorLookalike(ChosenPrior(by_time=False)),
        "encoder",
        "the same, by precision on each user's last clicks",
        OURS,
    ),
    "ralm-global": _ralm("attention", "RALM with global attention only", alpha=1.0, beta=0.0),
    "ralm-local": _ralm("attention", "RALM with local attention only", alpha=0.0, beta=1.0),
    "youtube-dnn-merge": _youtube("merge", "YouTube DNN with attention merge"),
    "youtube-dnn-m128": _youtube(
        "merge", "YouTube DNN with fields of 128 in place of 32", merge="concat", field_dim=128
    ),
    "youtube-dnn-merge-m128": _youtube("merge", "YouTube DNN with attention merge, fields of 128", field_dim=128),
    "ralm-concat": _ralm("merge", "RALM upon a user tower with concatenation", merge="concat"),
    "ralm-k5": _ralm("k", "RALM with 5 clusters", clusters=5),
    "ralm-k10": _ralm("k", "RALM with 10 clusters", clusters=10),
    "ralm-k50": _ralm("k", "RALM with 50 clusters", clusters=50),
    "ralm-k100": _ralm("k", "RALM with 100 clusters", clusters=100),
    "ralm-unclustered": _ralm("k", "RALM with every seed for itself", clusters=0),
    "ralm-once": _ralm("clustering", "RALM clustered once, before the first epoch", recluster=0),
    "ralm-prelu": _ralm("activation", "RALM with PReLU and dropout", activation="prelu", dropout=0.1),
    "ralm-sigmoid": _ralm("loss", "RALM with a sigmoid of learned scale and shift", loss="learned"),
    "ralm-plain": _ralm("loss", "RALM with the paper's sigmoid of the cosine", loss="plain"),
    "ralm-items-only": _ralm("loss", "RALM with the softmax over items alone", among_users=0.0),
    "ralm-no-logq": _ralm("loss", "RALM without logQ correction", logq=False),
    "ralm-no-prior": _ralm("loss", "RALM whose score knows nothing of how many seeds an item has", prior=False),
    "ralm-near": _ralm("loss", "RALM that learns only from users as just before the click", far=0.0),
    "ralm-temperature": _ralm("loss", "RALM with a local attention of temperature 0.1", local_temperature=0.1),
    "ralm-seed-dropout": _ralm("loss", "RALM that learns with a fifth of the seeds left out", seed_dropout=0.2),
    "ralm-paper": _printed("one negative for a positive", has_curve=True),
    "ralm-paper-average": _printed("one negative, the mean of all seeds", clusters=1),
    "ralm-paper-prelu": _printed("one negative, PReLU", has_curve=True, activation="prelu"),
    "ralm-paper-prelu-average": _printed("one negative, PReLU, the mean of all seeds", activation="prelu", clusters=1),
    "ralm-paper-10": _printed("ten negatives for a positive", lookalike_negatives=10),
    "ralm-paper-10-average": _printed("ten negatives, the mean of all seeds", lookalike_negatives=10, clusters=1),
    "ralm-paper-10-prelu": _printed("ten negatives, PReLU", lookalike_negatives=10, activation="prelu"),
    "ralm-paper-10-prelu-average": _printed(
        "ten negatives, PReLU, the mean of all seeds", lookalike_negatives=10, activation="prelu", clusters=1
    ),
    "youtube-dnn-paper": _youtube("paper", "YouTube DNN as printed", PAPER, merge="concat"),
}
