"""Asks the broker for its topics and their offsets, or says why it does not answer."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec, TopicDescription, TopicMetadata

from flows.kafka.errors import is_lasting, is_missing, no_broker, no_topic, refusal_advice
from flows.kafka.outage_log import outage_log
from flows.support.errors import RalmError

ASK_TIMEOUT_S = 15.0
"""How long an answer of the broker may take."""
_ASK_AGAIN_S = 1.0
_RETRY_S = 0.1
_NO_ID = "AAAAAAAAAAAAAAAAAAAAAA"
"""Sixteen zero bytes, which a broker says that knows topics by their names only."""
EARLIEST: OffsetSpec = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
_LATEST: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class TopicIdentity:
    """By what a topic differs from another one of its name.

    Attributes:
        topic_id: its id; empty where the broker gives none.
        partitions: how many it has; 0 where there is no such topic.
    """

    topic_id: str = ""
    partitions: int = 0


def topic_id_of(described: TopicDescription) -> str:
    """The id of a topic, empty where the broker gives none."""
    topic_id = str(described.topic_id)
    return "" if topic_id == _NO_ID else topic_id


class BrokerProbe:
    """Asks the broker through a client of its own, so that no answer waits behind a fetch that the broker holds.

    The client library goes on for ever with a wrong password or certificate, and says only that time was up; the
    reason comes through its error callback, which this listens to.

    Args:
        config: librdkafka's settings, a consumer's or producer's too.
        timeout_s: how long an answer may take.
        on_error: called with each of the client's errors.
    """

    def __init__(
        self,
        config: dict[str, Any],
        timeout_s: float = ASK_TIMEOUT_S,
        on_error: Callable[[KafkaError], None] = lambda _: None,
    ) -> None:
        self.servers = str(config["bootstrap.servers"])
        self._timeout = timeout_s
        self._on_error = on_error
        self._error: KafkaError | None = None
        # Without a log: the errors come here, and the library complains there of a consumer's settings.
        quiet: dict[str, Any] = {"log_level": 0, "error_cb": self._heard}
        self.admin = AdminClient({**config, **quiet})

    def list_topics_or_explain(self, stopped: Callable[[], bool] = lambda: False) -> dict[str, TopicMetadata]:
        """All topics of the broker, by name.

        A refused certificate or password ends the wait after a second or two; of several brokers another may take us.

        Args:
            stopped: says not to wait any longer.

        Raises:
            RalmError: when there is no answer; says why, and what to do.
        """
        deadline = time.monotonic() + self._timeout
        while True:
            left = deadline - time.monotonic()
            try:
                # Of all topics: to ask for one by name may make it.
                topics = self.admin.list_topics(timeout=max(0.1, min(_ASK_AGAIN_S, left))).topics
            except KafkaException as error:
                self.admin.poll(0)
                if self._refusal() is not None or left <= _ASK_AGAIN_S or stopped():
                    raise RalmError(self._explain(error.args[0])) from error
            else:
                outage_log.answered()
                return topics

    def partitions(self, *topics: str) -> dict[str, list[int]]:
        """The partitions of topics, by topic.

        Raises:
            RalmError: when the broker does not answer, or does not have a topic.
        """
        found = self.list_topics_or_explain()
        missing = [name for name in topics if name not in found or found[name].error or not found[name].partitions]
        if missing:
            raise RalmError(no_topic(self.servers, missing))
        return {name: sorted(found[name].partitions) for name in topics}

    def identities(self, topics: Iterable[str]) -> dict[str, TopicIdentity]:
        """The identity of each topic; those of which the broker does not say whether they exist are left out."""
        asked = list(topics)
        found = {}
        for name, answer in (
            self.admin.describe_topics(TopicCollection(asked), request_timeout=self._timeout).items() if asked else ()
        ):
            try:
                described = answer.result(self._timeout + 5.0)
            except KafkaException as error:
                if is_missing(error.args[0]):
                    found[name] = TopicIdentity()
            except TimeoutError:
                pass
            else:
                found[name] = TopicIdentity(topic_id_of(described), len(described.partitions))
        return found

    def offsets(self, topic: str, partitions: Iterable[int], spec: OffsetSpec) -> dict[int, int]:
        """An offset of each partition, asked for at once; ends are those of committed messages.

        Args:
            topic: its name.
            partitions: which.
            spec: which offset; of a time there may be none, which is -1.

        Raises:
            RalmError: when the broker does not say.
        """
        deadline = time.monotonic() + self._timeout
        offsets, failed = self._offsets(topic, partitions, spec, self._timeout)
        while failed:
            left = deadline - time.monotonic()
            partition, error = next(iter(failed.items()))
            # A topic that was just made is not known to every broker yet.
            passes = error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART or not is_lasting(error)
            if not passes or left <= 0:
                msg = (
                    f"{topic}[{partition}]: the broker at {self.servers} does not say what it has within "
                    f"{self._timeout:g} s: {error.str()}. Has the partition a leader? Start again once it has."
                )
                raise RalmError(msg)
            time.sleep(_RETRY_S)  # a leader that was named a moment ago, or has moved, is not found at once
            found, failed = self._offsets(topic, failed, spec, max(_RETRY_S, left))
            offsets |= found
        return offsets

    def _offsets(
        self, topic: str, partitions: Iterable[int], spec: OffsetSpec, timeout_s: float
    ) -> tuple[dict[int, int], dict[int, KafkaError]]:
        """Offsets, and the errors of the partitions that have none."""
        asked = self.admin.list_offsets(
            {TopicPartition(topic, partition): spec for partition in partitions},
            isolation_level=IsolationLevel.READ_COMMITTED,
            request_timeout=timeout_s,
        )
        offsets, failed = {}, {}
        for place, answer in asked.items():
            try:
                offsets[place.partition] = int(answer.result().offset)
            except KafkaException as error:
                failed[place.partition] = error.args[0]
        return offsets, failed

    def bounds(self, topic: str, partitions: Iterable[int]) -> dict[int, tuple[int, int]]:
        """The first offset and the end of each partition.

        Raises:
            RalmError: when the broker does not say.
        """
        asked = list(partitions)
        first = self.offsets(topic, asked, EARLIEST)
        end = self.offsets(topic, asked, _LATEST)
        return {partition: (first[partition], end[partition]) for partition in asked}

    def _heard(self, error: KafkaError) -> None:
        """Keep an error: a refusal over anything else, the last over earlier ones."""
        if error.code() != KafkaError._ALL_BROKERS_DOWN and self._refusal() is None:  # noqa: SLF001 (public)
            self._error = error
        outage_log.error(error)
        self._on_error(error)

    def _refusal(self) -> str | None:
        return None if self._error is None else refusal_advice(self._error)

    def _explain(self, error: KafkaError) -> str:
        why, advice = (self._error or error).str(), self._refusal()
        if advice is not None:
            return f"the broker at {self.servers} and this client cannot agree: {why}\n{advice}"
        return no_broker(self.servers, self._timeout, why)
