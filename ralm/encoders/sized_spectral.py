"""The closed form with as many dimensions as tell held-out clickers best.

Fewer say more of items that have few seeds yet, more of those with many; which counts more depends on the data.
"""

from dataclasses import dataclass

import numpy as np

from ralm.encoders.encoder import TableEncoder
from ralm.encoders.held_out_clicks import HeldOutClicks
from ralm.encoders.histories import Histories
from ralm.encoders.profiles import Profiles
from ralm.encoders.spectral import Spectral
from ralm.features import Interactions
from ralm.progress import Report, silent


@dataclass(frozen=True)
class SizedSpectral:
    """Options.

    Attributes:
        dims: numbers of dimensions to choose from; the first where too little can be held out.
    """

    dims: tuple[int, ...] = (32, 64)

    def fit(self, clicks: Interactions, profiles: Profiles, rng_seed: int = 0, report: Report = silent) -> TableEncoder:
        """Choose the dimensions by encoders that were fitted on a part of the clicks, then fit on all.

        Raises:
            ValueError: when there are fewer than 2 users with clicks, or than 2 items.
        """
        dim = self._chosen(clicks, profiles, rng_seed) if len(self.dims) > 1 else self.dims[0]
        return Spectral(dim).fit(clicks, profiles, rng_seed, report)

    def _chosen(self, clicks: Interactions, profiles: Profiles, rng_seed: int) -> int:
        held_out = HeldOutClicks.of(clicks, np.random.default_rng(rng_seed))
        histories = Histories.of_clicks(held_out.train)
        values = []
        for dim in self.dims:
            try:
                encoder = Spectral(dim).fit(held_out.train, profiles, rng_seed)
            except ValueError:  # too little is left to fit it on
                return self.dims[0]
            values.append(held_out.value(encoder.encode(histories, profiles)))
        return self.dims[int(np.argmax(np.nan_to_num(values, nan=-1.0)))]
