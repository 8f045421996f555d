"""The producer: it knows what became of each message, and says what to do about those that were not delivered."""

import math
import random
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any, Self, TypeAlias

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException, Message, ThrottleEvent

from flows.config.settings import Settings
from flows.kafka.config import producer_config
from flows.kafka.errors import (
    RIGHTS,
    delivery_advice,
    heals_anew,
    may_be_taken_later,
    not_taken,
    reach_of,
    too_long,
    waiting_for,
)
from flows.kafka.outage_log import outage_log
from flows.messages.batches import Headers
from flows.messages.codec import SCHEMA_VERSION
from flows.support.errors import RalmError
from flows.support.text import counted
from monitoring import metrics

_SLICE_S = 1.0
"""The longest that it waits between two signs of life; the health server allows 30 s."""
_FULL_S = 0.1
"""So long it waits for room while its queue is full."""
_WHY_TRIES = 10
"""So often it waits as long for the client to say why it cannot go on; on a busy machine that may come late."""
_GRACE_S = 5.0
"""So long after the delivery timeout the client must have said what became of a message."""
_REFUSED_S = 300.0
"""So long a flow sends a message again that the broker refuses for what passes, such as a right that was taken away."""
_AGAIN_S = 1.0
"""So long it waits at first until it sends such a message again; then twice as long each time, up to the next."""
_AGAIN_MOST_S = 5.0
"""Short, so that it goes on within seconds: what is tried meanwhile is a single message."""
_JITTER = 0.2
"""By so much of itself a wait is shorter, at random, so that processes do not all come at once."""
# The names with an underscore are the public ones of the library.
_GIVEN_UP = (KafkaError._FATAL, KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT)  # noqa: SLF001
"""Codes of messages that a client has dropped, since it cannot go on; it may say so before it says why."""
_raise_pending = partial(int)
"""Raises the exception that is pending, if any. The client reports deliveries while its own fatal error is pending, and
code of ours that runs then can lose it, and with it why the client cannot go on. The interpreter looks for one after
each call that it does not specialise, such as that of a partial, and raises SystemError with it as the cause."""
_SCHEMA_HEADERS: Headers = [("schema_version", SCHEMA_VERSION.encode())]


@dataclass(frozen=True)
class ProducerRecord:
    """A message to send; None is no key, or no value.

    Attributes:
        topic: where it goes.
        key: its key.
        value: its value.
        headers: its headers; None is our schema version alone.
        partition: where it goes; -1 leaves it to the key.
    """

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers | None = None
    partition: int = -1


OnDelivery: TypeAlias = Callable[[ProducerRecord, Message], None]
"""Called for each message that the broker has taken, from ``send``, ``poll`` and ``flush``."""


@dataclass(frozen=True)
class SinkRole:
    """What a producer is to a flow; a tool's is nothing.

    Attributes:
        kind: what the topic is in the contract; the metrics count by it.
        retry: what an error adds: what becomes of the messages that were not delivered.
        beat: called as a sign of life while it waits for the broker.
    """

    kind: str | None = None
    retry: str = ""
    beat: Callable[[], None] = lambda: None


class Producer:
    """Sends messages and knows what became of each; after a failure it sends no more.

    The client numbers messages, so that a retry makes no second copy, and gives up for good ("fatal") when its numbers
    and the broker's memory do not fit: after a broker that has lost data, or when it may not have a number. A flow's
    producer then goes on with a new client, which sends what was not delivered once more: at least once allows that.

    Args:
        config: librdkafka's settings.
        timeout_s: seconds until undelivered messages raise.
        on_delivery: called for each message that the broker has taken.
        role: what it is to a flow.
        clock: seconds that only go forward.

    Attributes:
        delivered: messages that the broker has taken.
        failed: messages that it has not taken, after all retries.
    """

    def __init__(
        self,
        config: dict[str, Any],
        timeout_s: float,
        on_delivery: OnDelivery | None = None,
        role: SinkRole | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.delivered = 0
        self.failed = 0
        self._config = config
        self._timeout = timeout_s
        self._on_delivery = on_delivery
        self._role = role or SinkRole()
        self._clock = clock
        self._topic = ""
        self._failure = ""
        self._dropped = False
        self._fatal: KafkaError | None = None
        self._numbers = count()
        self._unknown: dict[int, ProducerRecord] = {}
        """Messages in flight: sent, and without a delivery report; by number, in the order of sending."""
        self._again: dict[int, ProducerRecord] = {}
        """What was refused, and is sent once more."""
        self._refused: tuple[float, float] | None = None
        """Since when messages are refused for what may pass, and when they are sent again."""
        self._pause = _AGAIN_S
        self._slowed_until = -math.inf
        """When the broker's quota lets this client write again."""
        self._tries_one = False
        """Whether all are refused alike, for want of a right: then one is sent to see whether that is over."""
        self._generation = 0
        self._producer = self._new_client()

    @classmethod
    def of_tool(cls, settings: Settings, on_delivery: OnDelivery | None = None) -> Self:
        """A producer for a command."""
        config = producer_config(settings, **{"linger.ms": 5})
        return cls(config, settings.delivery_timeout / 1000, on_delivery)

    def send(self, record: ProducerRecord) -> None:
        """Queue a message, waiting for room while the queue is full, and while earlier ones are refused.

        Raises:
            RalmError: when an earlier message failed, or this one cannot be queued.
        """
        self._topic = record.topic
        self._raise_failure()
        self._send_again()
        number = next(self._numbers)
        while self._again or not self._queued(number, record):
            self.poll(_FULL_S)
            self._role.beat()
            self._send_again()
            self._raise_failure()
        self.poll(0)

    def poll(self, timeout_s: float) -> None:
        """Wait so long, and learn meanwhile what became of messages.

        Raises:
            RalmError: when the producer cannot go on.
        """
        self._wait(self._producer.poll, timeout_s)
        self._go_on_anew()

    def flush(self) -> None:
        """Wait until the broker has taken everything.

        Raises:
            RalmError: when a message was not taken, or it has not become known within the timeout.
        """
        deadline = self._clock() + self._timeout + _GRACE_S
        while left := self._flush(max(0.0, min(_SLICE_S, deadline - self._clock()))) + len(self._again):
            if self._again:  # how long that may last is seen to where they are refused
                self.poll(min(_SLICE_S, _AGAIN_S))
                self._send_again()
                self._raise_failure()
                deadline = self._clock() + self._timeout + _GRACE_S
            elif self._clock() >= deadline:
                self._count_failed(left)
                msg = not_taken(self._topic, left, self._timeout)
                raise RalmError(f"{self._failure or msg} {self._role.retry}".rstrip())
        self._raise_failure()

    def _new_client(self) -> confluent_kafka.Producer:
        self._generation += 1
        generation, config = self._generation, self._config

        def on_error(error: KafkaError) -> None:
            if generation == self._generation:
                self._on_error(error)

        return confluent_kafka.Producer({**config, "error_cb": on_error, "throttle_cb": self._on_slowed})

    def _flush(self, timeout_s: float) -> int:
        """Wait so long for what is on its way; how many messages still are."""
        left = self._wait(self._producer.flush, timeout_s)
        if self._go_on_anew():
            left = 0
        self._role.beat()
        return left

    def _queued(self, number: int, record: ProducerRecord) -> bool:
        generation = self._generation

        def done(error: KafkaError | None, message: Message) -> None:
            _raise_pending()
            if generation == self._generation:  # of what an earlier client had, nothing more is heard
                self._done(number, record, error, message)

        try:
            self._producer.produce(
                record.topic,
                record.value,
                record.key,
                record.partition,
                headers=_SCHEMA_HEADERS if record.headers is None else record.headers,
                on_delivery=done,
            )
        except BufferError:
            return False
        except KafkaException as error:
            if error.args[0].code() == KafkaError._FATAL:  # noqa: SLF001 (public)
                self._note_fatal(error.args[0])
                self._go_on_anew()
                return False
            if self._waits(number, record, error.args[0]):  # what was refused last it refuses by itself for a while
                return True
            self._fail(record, "cannot be sent", error.args[0])
            self._raise_failure()
        self._unknown[number] = record
        return True

    def _done(self, number: int, record: ProducerRecord, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            if not self._waits(number, record, error):
                self._fail(record, "was not delivered", error)
            self._unknown.pop(number, None)  # only now: beside a fatal error the client has any of these calls fail
            return
        self._unknown.pop(number, None)
        self.delivered += 1
        if self._refused is not None:
            self._taken_again(self._refused[0])
        outage_log.answered()
        if self._role.kind is not None:
            metrics.MESSAGES_WRITTEN.labels(self._role.kind).inc()
        if self._on_delivery is not None:
            self._on_delivery(record, message)

    def _waits(self, number: int, record: ProducerRecord, error: KafkaError) -> bool:
        """Whether a message of a flow is sent again later; a command says at once what is wrong."""
        if self._role.kind is None:
            return False
        of_client = self._fatal is not None or error.code() in _GIVEN_UP
        if not of_client:  # else the client could not go on, which is seen to when it is replaced
            if not self._waits_for_quota(error) and not (may_be_taken_later(error) and self._may_try_again()):
                return False
            metrics.POLL_ERRORS.labels("sink").inc()
            outage_log.error(error, f"{record.topic}{waiting_for(error, 'Write', record.topic)}")
            self._tries_one = error.code() in RIGHTS
        self._again[number] = record
        return True

    def _waits_for_quota(self, error: KafkaError) -> bool:
        """Whether a message has had its time while a quota held it back: as slow as the brokers will, all are sent."""
        now = self._clock()
        timed_out = error.code() == KafkaError._MSG_TIMED_OUT  # noqa: SLF001 (public)
        if not timed_out or now > self._slowed_until + self._timeout + _GRACE_S:
            return False
        self._refused = now, now + self._pause
        return True

    def _taken_again(self, since: float) -> None:
        """The broker takes messages: what else was refused is sent at once."""
        self._refused = (since, self._clock()) if self._again else None
        self._pause, self._tries_one = _AGAIN_S, False

    def _may_try_again(self) -> bool:
        """Whether messages are not refused for too long; if so, they are sent again in a moment."""
        now = self._clock()
        since = now if self._refused is None else self._refused[0]
        if now - since > max(_REFUSED_S, self._timeout):
            return False
        self._refused = since, now + self._pause * (1 - _JITTER * random.random())  # noqa: S311 (no secret)
        return True

    def _send_again(self) -> None:
        """Send what was refused once more, when it is time: all of it, or one to try."""
        if not self._again or self._refused is None or self._clock() < self._refused[1]:
            return
        waiting, self._again = sorted(self._again.items()), {}
        self._pause = min(2 * self._pause, _AGAIN_MOST_S)
        self._refused = self._refused[0], self._clock() + self._pause  # also should nothing be heard of this try
        if self._tries_one:
            waiting, self._again = waiting[:1], dict(waiting[1:])
        for place, (number, record) in enumerate(waiting):
            if not self._queued(number, record):
                self._again |= waiting[place:]
                break

    def _go_on_anew(self) -> bool:
        """Put a new client in the place of one that cannot go on; whether that was needed.

        Raises:
            RalmError: when that would not help, or has not helped for too long.
        """
        if self._fatal is None:
            return False
        error = self._why(self._fatal)
        if self._role.kind is None or not heals_anew(error) or not self._may_try_again():
            why = f"{error.str()}. {delivery_advice(error, self._topic)}"
            msg = f"the producer for {self._topic or 'Kafka'} cannot go on: {why}"
            raise RalmError(f"{msg} {self._role.retry}".rstrip())
        waits = waiting_for(error, "Write", self._topic)
        outage_log.error(error, f"{self._topic}: a new producer sends again what was not delivered{waits}")
        given_up, self._producer, self._fatal = self._producer, self._new_client(), None
        self._again |= self._unknown
        self._unknown = {}
        given_up.purge()
        threading.Thread(target=given_up.flush, args=(_GRACE_S,), name="given-up-producer", daemon=True).start()
        return True

    def _why(self, error: KafkaError) -> KafkaError:
        """Why the client cannot go on: it may say that it cannot before it says why."""
        if error.code() != KafkaError._FATAL:  # noqa: SLF001 (public)
            return error
        self._fatal, said = None, error
        for _ in range(_WHY_TRIES):
            self._wait(self._producer.poll, _FULL_S)
            heard: KafkaError | None = getattr(self, "_fatal", None)  # set by our callbacks meanwhile
            if heard is not None and heard.code() != KafkaError._FATAL:  # noqa: SLF001 (public)
                said = heard
                break
        self._fatal = error
        return said

    def _fail(self, record: ProducerRecord, what: str, error: KafkaError) -> None:
        self._count_failed(1)
        if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
            most, servers = int(self._config.get("message.max.bytes", 0)), self._config.get("bootstrap.servers", "")
            reach = reach_of(servers, self._config.get("security.protocol", "PLAINTEXT"))
            advice = too_long(self._role.kind, record.topic, most, reach)
        else:
            advice = delivery_advice(error, record.topic)
        text = f"a message to {record.topic} with key {record.key!r} {what}: {error.str()}. {advice}"
        self._failure = self._failure or text
        self._dropped = error.code() in _GIVEN_UP

    def _count_failed(self, count: int) -> None:
        self.failed += count
        if self._role.kind is not None:
            metrics.WRITE_ERRORS.labels(self._role.kind).inc(count)

    def _raise_failure(self) -> None:
        if self._failure:
            if self._dropped:  # why it drops messages the client may say a moment later
                self._dropped = False
                self.poll(_FULL_S)
            undelivered = counted(self.failed, "message was", "messages were")
            count = f" ({undelivered} not delivered, {self.delivered:,} were.)"
            raise RalmError(f"{self._failure}{count} {self._role.retry}".rstrip())

    def _wait(self, how: Callable[[float], int], timeout_s: float) -> int:
        """Let the client work; it raises a fatal error from any call, or returns nothing and no error."""
        raised: object = None
        try:
            return how(timeout_s)
        except KafkaException as error:
            raised = error.args[0]
        except SystemError as error:  # by the first of our callbacks that was called beside it
            beneath = error.__cause__ or error.__context__
            if isinstance(beneath, KeyboardInterrupt | SystemExit):  # Ctrl-C, which comes where Python runs
                raise beneath from None
            raised = beneath.args[0] if isinstance(beneath, KafkaException) else beneath
        except:  # noqa: E722 (as its KafkaError, which is no exception of Python's, so that nothing else catches it)
            raised = sys.exc_info()[1]
            if not isinstance(raised, KafkaError):
                raise
        self._note_fatal(raised)
        return 0

    def _note_fatal(self, raised: object) -> None:
        if self._fatal is None:
            self._fatal = raised if isinstance(raised, KafkaError) else KafkaError(KafkaError._FATAL)  # noqa: SLF001

    def _on_slowed(self, event: ThrottleEvent) -> None:
        if event.throttle_time > 0:
            self._slowed_until = max(self._slowed_until, self._clock() + event.throttle_time)
        outage_log.slowed(event)

    def _on_error(self, error: KafkaError) -> None:
        if self._role.kind is not None:
            metrics.POLL_ERRORS.labels("sink").inc()
        if error.fatal():
            self._fatal = error
        else:
            outage_log.error(error, self._topic or None)
