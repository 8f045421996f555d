"""The paper's encoder: the user tower and the look-alike towers' shared layer (sections 5.2 and 5.3), as they are.

It is not inductive: a user's vector needs the towers, so in a stream it stays what it was when it was trained. The
paper's own score takes these vectors at whatever length they have (``ralm/towers``); here they have length 1, as the
contract wants.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from ralm.encoders.encoder import unit_or
from ralm.encoders.histories import Histories
from ralm.encoders.profiles import Profiles
from ralm.features import FeatureBatch, Floats, Interactions, Ints
from ralm.progress import Report, silent
from ralm.towers.training import Trained, train
from ralm.towers.training_config import PAPER, TrainingConfig


@dataclass(frozen=True)
class Paper:
    """Options: those of the towers' training; each fit has its own ``rng_seed`` instead of theirs."""

    config: TrainingConfig = field(default=PAPER)

    def fit(
        self, clicks: Interactions, profiles: Profiles, rng_seed: int = 0, report: Report = silent
    ) -> "PaperEncoder":
        """Train both towers.

        Raises:
            ValueError: when there are too few clicks or items, or a loss is not finite.
        """
        fields = {name: getattr(profiles, name) for name in ("categorical", "multivalent", "continuous")}
        trained = train(replace(clicks, **fields), replace(self.config, rng_seed=rng_seed), report)
        return PaperEncoder(trained, self.config.history_length, clicks.item_categories, profiles.means())


@dataclass(frozen=True)
class PaperEncoder:
    """Trained towers as an encoder.

    Attributes:
        trained: the towers.
        history: newest items of a user that are features.
        item_categories: int64[items, width], padded with 0.
        middle: what an unknown continuous field counts as, float32[c].
    """

    trained: Trained
    history: int
    item_categories: Ints
    middle: Floats

    @property
    def is_inductive(self) -> bool:
        """Never."""
        return False

    @property
    def dim(self) -> int:
        """The length h of the vectors."""
        return int(self.trained.towers.w_local.shape[0])

    def encode(self, histories: Histories, profiles: Profiles) -> Floats:
        """The vectors of U users, float32[U, h], each of length 1."""
        items = histories.newest(self.history).codes()  # (U, width)
        categories = np.concatenate([np.zeros_like(self.item_categories[:1]), self.item_categories])[items]
        features = FeatureBatch(
            {name: codes for name, (codes, _) in profiles.categorical.items()},
            {
                **{name: codes for name, (codes, _) in profiles.multivalent.items()},
                "items": items,
                "categories": categories.reshape(len(items), categories.shape[1] * categories.shape[2]),
            },
            np.where(np.isfinite(profiles.continuous), profiles.continuous, self.middle).astype(np.float32),
        )
        vectors = self.trained.vectors_of(features)
        return unit_or(vectors, np.eye(1, vectors.shape[1])[0])
