"""Would a dead letter be accepted now? The same checks as in the flow, with the present settings."""

from collections.abc import Callable

from confluent_kafka import Message

from flows.dead_letter_records import DeadLetter
from flows.decode import DecodeLimits, Decoder, check_key
from flows.messages import MAX_IDENTIFIER_BYTES, Reject, decode_candidate, decode_click, decode_request
from flows.settings import Settings
from flows.topics import TopicNames


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
        names, s = TopicNames.of(settings), settings
        self.candidates = names.candidates
        limits = DecodeLimits(s.max_message_bytes, s.max_future, s.dead_letter_max_bytes, s.max_candidates)
        self._decoder = Decoder(limits)
        self._now = now
        self._set_key = set_key
        self._checks: dict[str, Callable[[Message], object]] = {
            names.clicks: lambda message: self._decoder.check_click(message, self._now()),
            names.requests: self._decoder.check_request,
            names.candidates: self._candidate,
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

    def _candidate(self, message: Message) -> None:
        self._decoder.check_form(message)
        value, key = message.value(), message.key()
        if value is not None:
            check_key(message, decode_candidate(value).item_id)
        elif key is None:
            raise Reject("null_key", "a tombstone without a key retires nothing")
        elif not 0 < len(key) <= MAX_IDENTIFIER_BYTES:
            raise Reject("bad_identifier", f"the key has {len(key)} bytes; it must have 1 to {MAX_IDENTIFIER_BYTES}")
