"""Would a dead letter be accepted now? The same checks as in the flow, with the present settings."""

from collections.abc import Callable
from typing import Any

from flows.config.settings import Settings
from flows.kafka.topics import TopicNames
from flows.messages.batches import RawBatch, RawMessage
from flows.messages.codec import decode_candidate, decode_click, decode_request
from flows.messages.dead_letter import DeadLetter, reject_of
from flows.messages.decode import Decoded, Decoder


class Acceptance:
    """Checks messages of the topics that dead letters can go back to: clicks, requests and candidates.

    Args:
        settings: the settings.
        now: wall clock, ms since the epoch.
        set_key: give a letter that was refused for its key the key that its value says.

    Attributes:
        candidates: the topic of candidates, where only an item's last message counts.
    """

    def __init__(self, settings: Settings, now: Callable[[], int], *, set_key: bool = False) -> None:
        names = TopicNames.of(settings)
        self.candidates = names.candidates
        self._now = now
        self._set_key = set_key
        decoder = Decoder(settings, tell=False)
        self._checks: dict[str, Callable[[RawMessage], None]] = {
            names.clicks: lambda message: self._decode(decoder.clicks, message),
            names.requests: lambda message: self._decode(decoder.requests, message),
            names.candidates: lambda message: self._decode(decoder.candidates, message),
        }
        self._keys: dict[str, Callable[[bytes | None], str]] = {
            names.clicks: lambda value: decode_click(value).item_id,
            names.requests: lambda value: decode_request(value).user_id,
            names.candidates: lambda value: decode_candidate(value).item_id,
        }

    @property
    def topics(self) -> list[str]:
        """The topics that a letter can go back to."""
        return list(self._checks)

    def key(self, letter: DeadLetter) -> bytes | None:
        """The key that a letter of one of ``topics`` goes back with.

        Raises:
            Reject: when it is refused again.
        """
        key = letter.key
        if self._set_key and letter.reason in ("null_key", "key_mismatch"):
            key = self._keys[letter.topic](letter.value).encode()
        self._checks[letter.topic](letter.original(key))
        return key

    def _decode(self, decode: Callable[[RawBatch], Decoded[Any]], message: RawMessage) -> None:
        """Decode a message as the flow would now, in a batch of its own."""
        batch = RawBatch("dead letters", "", 0, [message], next_offset=0, idle=0, now=self._now())
        for letter in decode(batch).dead_letters:
            raise reject_of(letter.headers)
