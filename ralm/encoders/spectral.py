"""User vectors in closed form: regularised spectral embedding of the click matrix (Qin and Rohe, NIPS 2013).

``A = (D_u + mean D_u)^-1/4 X (D_i + mean D_i)^-1/4 ~ U S V^T`` (truncated SVD), ``z_u = unit(U sqrt(S))``.

X has a 1 for each pair of a user and an item of its history; D_u and D_i count the items of users and the users of
items. A history folds in: ``U sqrt(S) = A V / sqrt(S)``, and since the user's own degree only changes the length,

``z_u = unit( sum over the user's items j of e_j )``, ``e_j = (D_j + mean D_i)^-1/4 V_j / sqrt(S)``.

So it is a table of item vectors like any other. It knows nothing of profiles: a user without clicks has the direction
of the mean of all users.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, diags_array
from scipy.sparse.linalg import svds
from threadpoolctl import threadpool_limits

from ralm.encoders.encoder import EncoderPart, TableEncoder, direction_or_first_axis
from ralm.encoders.histories import Histories
from ralm.encoders.profiles import Profiles, ProfileWeights
from ralm.features import Interactions
from ralm.progress import Report, silent

_LEAST_VALUE = 1e-6
"""Singular values below this share of the greatest are rounding errors, and so are their vectors."""


@dataclass(frozen=True)
class Spectral:
    """Options of the closed form.

    Attributes:
        dim: singular vectors; 32 does best on cold items, 64 where vectors follow the clicks of a stream.
    """

    dim: int = 32

    def fit(self, clicks: Interactions, profiles: Profiles, rng_seed: int = 0, report: Report = silent) -> TableEncoder:
        """Factorise; ``rng_seed`` fixes where the iteration starts, which moves nothing but the last digits.

        Raises:
            ValueError: when there are fewer than 2 users with clicks, or than 2 items.
        """
        histories = Histories.of_clicks(clicks)
        ones = np.ones(len(histories.items))
        matrix = csr_array((ones, histories.items, histories.start), (clicks.users, clicks.items))  # X, float64 (U, I)
        users, items = (int((matrix.sum(axis=axis) > 0).sum()) for axis in (1, 0))
        if users < 2 or items < 2:
            msg = f"an encoder needs clicks of 2 users on 2 items; those to learn from are of {users} on {items}"
            raise ValueError(msg)
        report("spectral", 0, 1, float("nan"))
        with threadpool_limits(1):
            table = self._table(matrix, np.random.default_rng(rng_seed))
            summed = matrix @ table  # (U, h)
        length = np.linalg.norm(summed, axis=1, keepdims=True)
        mean = (summed / np.maximum(length, 1e-12)).mean(axis=0)  # (h)
        report("spectral", 1, 1, float("nan"))
        part = EncoderPart(
            table.astype(np.float32),
            ProfileWeights.none(table.shape[1]),
            direction_or_first_axis(mean),
            power=0.0,
        )
        return TableEncoder((part,))

    def _table(self, matrix: csr_array, rng: np.random.Generator) -> NDArray[np.float64]:
        """e_j, float64[I, h]."""
        of_users, of_items = (_damped(matrix.sum(axis=axis)) for axis in (1, 0))  # (U), (I)
        scaled = (diags_array(of_users) @ matrix @ diags_array(of_items)).tocsr()  # A
        most = min(scaled.shape)
        if self.dim < most:
            _, values, right = svds(scaled, k=self.dim, v0=rng.random(most), return_singular_vectors="vh")
        else:
            _, values, right = np.linalg.svd(scaled.toarray(), full_matrices=False)
        order = np.argsort(-values)[: self.dim]
        order = order[values[order] > _LEAST_VALUE * values.max()]
        table: NDArray[np.float64] = of_items[:, None] * right[order].T / np.sqrt(values[order])  # (I, h)
        table[matrix.sum(axis=0) == 0] = 0  # nobody clicked these: what they have is rounding
        return table


def _damped(degrees: NDArray[np.float64]) -> NDArray[np.float64]:
    """``(D + mean D)^-1/4``, the mean over what has any."""
    damped: NDArray[np.float64] = (degrees + degrees[degrees > 0].mean()) ** -0.25
    return damped
