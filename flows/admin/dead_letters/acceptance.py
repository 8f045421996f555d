"""Whether a dead letter would be accepted now: the checks of the flow, with the present settings."""

from collections.abc import Callable
from typing import Final

from flows.config.settings import Settings
from flows.kafka.topics import TopicNames
from flows.messages.codec import decode_candidate, decode_click, decode_request
from flows.messages.dead_letter import DeadLetter
from flows.messages.decode import Decoder

_KEY_IN_VALUE: Final[dict[str, Callable[[bytes | None], str]]] = {
    "clicks": lambda value: decode_click(value).item_id,
    "requests": lambda value: decode_request(value).user_id,
    "candidates": lambda value: decode_candidate(value).item_id,
}


class Acceptance:
    """Checks letters of the topics that they can be redriven to: clicks, requests and candidates.

    Args:
        settings: the settings.
        now: wall clock, ms since the epoch.
        set_key: give a letter that was refused for its key the key that its value says.

    Attributes:
        kinds: what each of these topics is in the contract, by its name.
    """

    def __init__(self, settings: Settings, now: Callable[[], int], *, set_key: bool = False) -> None:
        names = TopicNames.of(settings)
        self.kinds = {names.clicks: "clicks", names.requests: "requests", names.candidates: "candidates"}
        self._decoder, self._now, self._set_key = Decoder(settings, tell=False), now, set_key

    def key(self, letter: DeadLetter) -> bytes | None:
        """The key with which a letter of one of the topics is redriven.

        Raises:
            InvalidMessage: when it would be refused again.
        """
        kind, key = self.kinds[letter.topic], letter.key
        if self._set_key and letter.reason in ("null_key", "key_mismatch"):
            key = _KEY_IN_VALUE[kind](letter.value).encode()
        invalid = self._decoder.check(kind, letter.original(key), self._now())
        if invalid is not None:
            raise invalid
        return key
