"""A partition's tombstones on their way to the centroids topic, and the older models whose centroids they take back."""

from collections.abc import Iterable


class Tombstones:
    """What was sent in an epoch has been delivered by the second snapshot after it: then the stores may forget it.

    Args:
        unacked: the items of tombstones that processes before this one may not have delivered.
        older: the older models whose centroids may be in the topic, the newest first. That one is kept, for who still
            uses it; the centroids of the others are taken back.

    Attributes:
        older: those of them whose centroids may still be there.
    """

    def __init__(self, unacked: Iterable[str], older: Iterable[str]) -> None:
        self.older = tuple(older)
        self._unsent = list(unacked)
        self._sent: list[str] = []
        self._settling: list[str] = []
        self._models_sent = self._models_settling = False

    def sent(self, item_ids: Iterable[str]) -> None:
        """Note that those of items are handed on."""
        self._sent += item_ids

    def sent_unacked(self) -> None:
        """Note that those of processes before this one are handed on; before, none of them is on its way."""
        self._sent += self._unsent
        self._unsent = []

    def sent_of_models(self) -> None:
        """Note that those of all but the newest older model are handed on."""
        self._models_sent = True

    def delivered(self) -> list[str]:
        """At a snapshot: the items of those that have been delivered, and of which none has been sent since."""
        if self._models_settling:
            self.older = self.older[:1]
        later = {*self._sent, *self._unsent}
        found = [item for item in self._settling if item not in later]
        self._settling, self._sent = self._sent, []
        self._models_settling, self._models_sent = self._models_sent, False
        return found
