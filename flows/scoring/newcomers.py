"""Users whom the bundle does not know, by the profiles that come with their requests."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from flows.messages.types import Request
from monitoring import metrics
from ralm.features import Floats, Ints
from state.bundle.bundle import Bundle


class Newcomers:
    """Encodes users from their profiles alone, where the bundle's encoder makes something of profiles.

    Args:
        bundle: the encoder, and what its fields are coded as.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle

    def vectors(
        self, requests: Sequence[Request], rows: Ints, expired: NDArray[np.bool_]
    ) -> tuple[Floats, NDArray[np.bool_]]:
        """The vectors of those who have none in the bundle.

        A profile of which the bundle knows no value says nothing of its user, who stays unknown.

        Args:
            requests: B of them.
            rows: of their users in the bundle, int64[B]; -1: it does not know them.
            expired: those that are not answered, bool[B].

        Returns:
            float32[B, h], zeros where there is none, and who has one, bool[B].
        """
        given = np.array([request.profile is not None for request in requests], bool) & ~expired
        vectors, made = np.zeros((len(requests), self._bundle.form.dim), np.float32), np.zeros(len(requests), bool)
        metrics.PROFILES.labels("known_user").inc(int((given & (rows >= 0)).sum()))
        asked = np.flatnonzero(given & (rows < 0))
        if not len(asked):
            return vectors, made
        encoder = self._bundle.encoder
        if encoder is not None and self._bundle.is_profiled:
            coded = self._bundle.fields.coded([requests[place].profile or {} for place in asked.tolist()])
            metrics.PROFILE_VALUES_UNKNOWN.inc(coded.unknown)
            part = encoder.profile_part(coded.profiles)  # P_u, (n, h)
            nothing = np.zeros(len(asked), np.int64)
            found = encoder.finish(np.zeros(part.shape), nothing, part)
            usable = coded.known > 0
            vectors[asked[usable]], made[asked[usable]] = found[usable], True
        metrics.PROFILES.labels("used").inc(int(made.sum()))
        metrics.PROFILES.labels("useless").inc(len(asked) - int(made.sum()))
        return vectors, made
