"""The look-alike ranker: users against the mean of an item's seeds, with vectors that follow the clicks or stand still.

``score = cosine(z_u, mean of the seeds' z) + g log(1 + seeds) + lambda nbr / (greatest nbr among the candidates)``

``nbr[u, i] = sum over the user's newest 20 items j of |S_i and S_j| / sqrt(|S_i| |S_j|)``: what vectors compress the
seed sets themselves still know, from bounded sketches (``ralm/sketch.py``).

A *session* outweighs a long history: ``z_u = unit((1 - w) z(all items) + w z(last 5 items))``, of who is asked for;
seeds stay as they are.

*Frozen* vectors are those of the clicks before the cut; *live* ones are made of all clicks before the request, and, of
seeds, before the window. Seed sets move in both.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits

from ralm.encoders.encoder import EncoderRecipe, unit
from ralm.encoders.histories import LAST_ITEMS, MOST_ITEMS, Histories
from ralm.encoders.profiles import Profiles
from ralm.features import Floats, Ints
from ralm.live_sketches import NEWEST_ITEMS, greatest_is_one
from ralm.progress import Report, silent
from ralm.protocol.stream.cut import StreamCut
from ralm.protocol.stream.rankers import Variant
from ralm.protocol.stream.window import AskedBatch, StreamWindow
from ralm.sketch import SKETCH_CAPACITY, SketchTable, hashes_of


@dataclass(frozen=True)
class LookalikeGrid:
    """The variants that validation chooses from.

    Attributes:
        priors: g.
        neighbours: lambda, of rows with neighbours; none: there are no such rows.
        recent: w, of rows in which the last items weigh more; none: there are no such rows.
    """

    priors: tuple[float, ...] = (0.1, 0.2)
    neighbours: tuple[float, ...] = (0.1, 0.2, 0.5, 1.0, 2.0)
    recent: tuple[float, ...] = (0.3, 0.6)


class LookalikeRanker:
    """Ranks by vectors of one encoder; on one numeric thread.

    Args:
        name: of the encoder; the rows are ``NAME frozen``, ``NAME live`` and ``NAME live, last 5``, the last two with
            neighbours as well.
        recipe: how it is learned.
        grid: what validation chooses from.
        frozen: whether the row of frozen vectors is made.

    Attributes:
        encoder, profiles: as fitted, and of whom.
        window: the present one.
        vectors: of all users as of its start, float32[users, h].
        means: of the candidates, float32[L, h], of length 1.
    """

    def __init__(
        self, name: str, recipe: EncoderRecipe, grid: LookalikeGrid | None = None, *, frozen: bool = True
    ) -> None:
        self.name = name
        self._recipe, self._grid, self._with_frozen = recipe, grid or LookalikeGrid(), frozen

    def fit(self, cut: StreamCut, rng_seed: int, report: Report = silent) -> None:
        """Fit the encoder on what is learned from.

        Raises:
            ValueError: when that is too little.
        """
        self.profiles = Profiles.of_clicks(cut.learned)
        with threadpool_limits(1):
            self.encoder = self._recipe.fit(cut.learned, self.profiles, rng_seed, report)
            self._frozen = self.encoder.encode(Histories.of_clicks(cut.learned), self.profiles)  # (U, h)
        self._hashes = hashes_of(np.arange(cut.learned.users, dtype=np.uint64))

    def open(self, window: StreamWindow) -> None:
        """Encode all users anew, average each item's seeds, and sketch every seed set."""
        self.window = window
        everybody = np.arange(window.log.users)
        with threadpool_limits(1):
            self.vectors = self.encode(
                everybody, window.log.histories(everybody, np.full(len(everybody), window.start))
            )
            self.means = self.seed_means(self.vectors)
            if self._with_frozen:
                self._frozen_means = self.seed_means(self._frozen)
        if self._grid.neighbours:
            users, items = window.log.seeds(window.start)
            self._sketches = SketchTable.of_seeds(users, items, self._hashes, window.log.items, SKETCH_CAPACITY)

    def ranked(self, asked: AskedBatch) -> Iterator[tuple[Variant, Floats]]:
        """Each row at each point of the grid."""
        window = self.window
        prior = np.log1p(window.counts[window.live]).astype(np.float32)
        users = asked.requests.users
        with threadpool_limits(1):
            targets = self.targets(users, asked.histories.newest(MOST_ITEMS))  # (R, h)
            last = self.encode(users, asked.histories.newest(LAST_ITEMS))
            live = targets @ self.means.T  # (R, L)
            leaning = {w: unit((1 - w) * targets + w * last) @ self.means.T for w in self._grid.recent}
            frozen = self._frozen[users] @ self._frozen_means.T if self._with_frozen else None
            near = self._neighbours(asked) if self._grid.neighbours else np.zeros_like(live)
        for g in self._grid.priors:
            if frozen is not None:
                yield Variant(f"{self.name} frozen", g), frozen + np.float32(g) * prior
            for w, cosines in {0.0: live, **leaning}.items():
                row, score = (
                    f"{self.name} live, last {LAST_ITEMS}" if w else f"{self.name} live",
                    cosines + np.float32(g) * prior,
                )
                yield Variant(row, g, recent=w), score
                for weight in self._grid.neighbours:
                    yield Variant(f"{row} + neighbours", g, weight, recent=w), score + np.float32(weight) * near

    def encode(self, users: Ints, histories: Histories) -> Floats:
        """The vectors of users by their histories, float32[B, h]."""
        return self.encoder.encode(histories, self.profiles.take(users))

    def targets(self, users: Ints, histories: Histories) -> Floats:
        """The vectors of users who are asked for."""
        return self.encode(users, histories)

    def seed_means(self, vectors: Floats) -> Floats:
        """The means of the candidates' seeds, brought to length 1, float32[L, h], from all users' vectors."""
        return unit(self.window.seeds[self.window.live] @ vectors)

    def _neighbours(self, asked: AskedBatch) -> Floats:
        """``nbr`` of each candidate, float32[R, L], the greatest of a user's allowed ones 1."""
        window, newest = self.window, asked.histories.newest(NEWEST_ITEMS)
        items, places = np.unique(newest.items, return_inverse=True)  # (J)
        similar = self._sketches.take(items).cosines(  # (J, L)
            self._sketches.take(window.live), window.counts[items], window.counts[window.live]
        )
        of_users = csr_array((np.ones(len(places)), places, newest.start), (newest.users, len(items)))
        return greatest_is_one((of_users @ similar).toarray(), asked.allowed)
