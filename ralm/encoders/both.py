"""Two encoders side by side: the trained one tells tastes apart, the closed form steadies what it knows little of.

How much the closed form counts depends on the data (histories of a few items say little to it), so its weight is chosen
on a part of the clicks that is held out, by encoders that were fitted on the rest.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from ralm.encoders.encoder import TableEncoder
from ralm.encoders.held_out_clicks import HeldOutClicks
from ralm.encoders.histories import Histories
from ralm.encoders.learned import Learned
from ralm.encoders.profiles import Profiles
from ralm.encoders.spectral import Spectral
from ralm.features import Interactions
from ralm.progress import Report, silent


@dataclass(frozen=True)
class Both:
    """Options of both halves, and how they are weighed.

    Attributes:
        learned: the trained half, of weight 1.
        spectral: the closed form.
        weights: of the closed form, to choose from; in a cosine it counts with its square.
        trial_steps: of the training that the choice is made by; the order of the weights shows early.
    """

    learned: Learned = field(default_factory=Learned)
    spectral: Spectral = field(default_factory=Spectral)
    weights: tuple[float, ...] = (1.0, 0.7, 0.5, 0.0)
    trial_steps: int = 150

    def fit(self, clicks: Interactions, profiles: Profiles, rng_seed: int = 0, report: Report = silent) -> TableEncoder:
        """Choose the weight, then fit both halves on all clicks.

        Raises:
            ValueError: when there are too few clicks to fit either half.
        """
        weight = self._chosen(clicks, profiles, rng_seed, report) if len(self.weights) > 1 else self.weights[0]
        report(f"spectral weighs {weight:g}", 1, 1, float("nan"))
        learned, spectral = self._halves(self.learned, clicks, profiles, rng_seed, report)
        return TableEncoder((*learned.parts, *spectral.weighted(weight).parts)) if weight else learned

    def _halves(
        self, learned: Learned, clicks: Interactions, profiles: Profiles, rng_seed: int, report: Report
    ) -> tuple[TableEncoder, TableEncoder]:
        return (
            learned.fit(clicks, profiles, rng_seed, report),
            self.spectral.fit(clicks, profiles, rng_seed, report),
        )

    def _chosen(self, clicks: Interactions, profiles: Profiles, rng_seed: int, report: Report) -> float:
        """The weight that tells held-out clickers from others best; the first where too little can be held out."""
        trial = replace(self.learned, steps=min(self.trial_steps, self.learned.steps))
        held_out = HeldOutClicks.of(clicks, np.random.default_rng(rng_seed))
        try:
            halves = self._halves(trial, held_out.train, profiles, rng_seed, report)
        except ValueError:  # too little is left to fit them on
            return self.weights[0]
        histories = Histories.of_clicks(held_out.train)
        vectors = [half.encode(histories, profiles) for half in halves]
        values = [
            held_out.value(np.concatenate([vectors[0], np.float32(weight) * vectors[1]], axis=1))
            for weight in self.weights
        ]
        return self.weights[int(np.argmax(np.nan_to_num(values, nan=-1.0)))]
