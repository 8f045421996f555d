"""The steps of the dataflows, named as the picture in the README has them."""

from collections.abc import Callable
from datetime import datetime
from typing import TypeAlias, TypeVar

import bytewax.operators as op
from bytewax.dataflow import Dataflow, Stream
from bytewax.operators import KeyedStream, StatefulBatchLogic

from flows.engine.failures import report_failure
from flows.engine.sink import KafkaSink
from flows.engine.source import KafkaSource
from flows.engine.state_keys import partition_key
from flows.messages.batches import CandidateBatch, ClickBatch, OutMessage, RawBatch, RequestBatch
from flows.messages.decode import Decoded, Decoder
from flows.scoring.enricher import Enricher
from flows.seed_sets.keeper import SeedSetOperator

B = TypeVar("B")
Batch: TypeAlias = ClickBatch | CandidateBatch
OperatorFactory: TypeAlias = Callable[[int], SeedSetOperator]


def read_clicks(
    flow: Dataflow, source: KafkaSource, decoder: Decoder
) -> tuple[KeyedStream[ClickBatch], KeyedStream[OutMessage]]:
    """Clicks in columns, keyed by their Kafka partition, and the dead letters of the rest."""
    decoded, dead = _read(flow, "clicks", source, decoder.clicks)
    return _by_partition("good_clicks", decoded), dead


def read_candidates(
    flow: Dataflow, source: KafkaSource, decoder: Decoder
) -> tuple[KeyedStream[CandidateBatch], KeyedStream[OutMessage]]:
    """What is listed and retired, keyed by Kafka partition like the clicks, and the dead letters of the rest."""
    decoded, dead = _read(flow, "candidates", source, decoder.candidates)
    return _by_partition("good_candidates", decoded), dead


def read_requests(
    flow: Dataflow, source: KafkaSource, decoder: Decoder
) -> tuple[Stream[RequestBatch], KeyedStream[OutMessage]]:
    """Good requests in batches, and the dead letters of the rest."""
    decoded, dead = _read(flow, "requests", source, decoder.requests)
    return op.map("good_requests", decoded, lambda d: d.good), dead


def keep_seed_sets(
    clicks: KeyedStream[ClickBatch], candidates: KeyedStream[CandidateBatch], make: OperatorFactory
) -> KeyedStream[OutMessage]:
    """Seed sets by partition; emits centroids when a window closes."""
    both: KeyedStream[Batch] = op.merge("clicks_and_candidates", clicks, candidates)
    return op.stateful_batch("seed_sets", both, lambda _: _SeedSetStep(make))


def enrich(requests: Stream[RequestBatch], enricher: Enricher) -> KeyedStream[OutMessage]:
    """Requests enriched with their scores against the live centroids."""

    @report_failure
    def answer(batch: RequestBatch) -> list[tuple[str, OutMessage]]:
        key = partition_key(batch.partition)
        return [(key, message) for message in enricher.answer(batch)]

    return op.flat_map("enrich", requests, answer)


def write(step_id: str, messages: KeyedStream[OutMessage], sink: KafkaSink) -> None:
    """To a topic, with nothing dropped in silence."""
    op.output(step_id, messages, sink)


def _read(
    flow: Dataflow, kind: str, source: KafkaSource, decode: Callable[[RawBatch], Decoded[B]]
) -> tuple[Stream[Decoded[B]], KeyedStream[OutMessage]]:
    """A topic's batches decoded, and the dead letters of what cannot be used."""
    raw: Stream[RawBatch] = op.input(kind, flow, source)
    decoded = op.map(f"decode_{kind}", raw, report_failure(decode))
    return decoded, _dead_letters(f"dead_{kind}", decoded)


def _by_partition(step_id: str, decoded: Stream[Decoded[B]]) -> KeyedStream[B]:
    return op.map(step_id, decoded, lambda d: (partition_key(d.partition), d.good))


def _dead_letters(step_id: str, decoded: Stream[Decoded[B]]) -> KeyedStream[OutMessage]:
    def letters(batch: Decoded[B]) -> list[tuple[str, OutMessage]]:
        return [(partition_key(batch.partition), letter) for letter in batch.dead_letters]

    return op.flat_map(step_id, decoded, letters)


class _SeedSetStep(StatefulBatchLogic[Batch, OutMessage, None]):
    """A seed set operator as the engine wants it.

    The engine does not say for which key it builds a step. The partition is known with the first batch, which even an
    empty partition sends as its heartbeat.
    """

    def __init__(self, make: OperatorFactory) -> None:
        self._make = make
        self._operator: SeedSetOperator | None = None

    @report_failure
    def on_batch(self, values: list[Batch]) -> tuple[list[OutMessage], bool]:
        if self._operator is None:
            self._operator = self._make(values[0].partition)
        return self._operator.apply(values), self.RETAIN

    @report_failure
    def on_notify(self) -> tuple[list[OutMessage], bool]:
        return [] if self._operator is None else self._operator.collect(), self.RETAIN

    def on_eof(self) -> tuple[list[OutMessage], bool]:
        # A drain closes no window: what is open or pending stays in the store.
        return [], self.RETAIN

    def notify_at(self) -> datetime | None:
        return None if self._operator is None else self._operator.notify_at()

    @report_failure
    def snapshot(self) -> None:
        if self._operator is not None:
            self._operator.snapshot()
