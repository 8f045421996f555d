"""The headers of answers and centroids: version, model, content type and, if asked for, those of CloudEvents.

CloudEvents 1.0 in the binary mode of its Kafka binding: ``ce_id`` and ``ce_source`` together tell a repeated message.
"""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from flows.config.groups import EventSettings
from flows.messages.batches import Headers
from flows.messages.codec import SCHEMA_VERSION

EventKind: TypeAlias = Literal["scores", "centroids"]
CONTENT_TYPE: Final = "content-type"
JSON: Final = b"application/json"
_CONTENT_TYPES: dict[EventKind, bytes] = {"scores": JSON, "centroids": b"application/msgpack"}


@dataclass(frozen=True)
class EventHeaders:
    """Makes the headers of one kind of message of one model.

    Attributes:
        kind: the kind of the messages.
        model_version: the bundle that makes them.
        source: of CloudEvents, a URI; None: without their headers.
    """

    kind: EventKind
    model_version: str
    source: str | None = None

    @classmethod
    def by_settings(cls, kind: EventKind, model_version: str, options: EventSettings) -> "EventHeaders":
        """With the headers of CloudEvents if the settings ask for them."""
        return cls(kind, model_version, options.cloudevents_source if options.cloudevents else None)

    def of(self, event_id: str, subject: str) -> Headers:
        """The headers of a message.

        >>> EventHeaders("scores", "5f2c").of("r-1", "u-1")
        [('schema_version', b'1'), ('model_version', b'5f2c'), ('content-type', b'application/json')]

        Args:
            event_id: what makes it the same message when it comes again.
            subject: the user of an answer, the item of centroids.
        """
        headers: Headers = [
            ("schema_version", SCHEMA_VERSION.encode()),
            ("model_version", self.model_version.encode()),
            (CONTENT_TYPE, _CONTENT_TYPES[self.kind]),
        ]
        if self.source is None:
            return headers
        return [
            *headers,
            ("ce_specversion", b"1.0"),
            ("ce_id", event_id.encode()),
            ("ce_type", f"ralm.{self.kind}.v{SCHEMA_VERSION}".encode()),
            ("ce_source", self.source.encode()),
            ("ce_subject", subject.encode()),
        ]
