"""Fills the live index from the centroids topic: all of it before the first answer, then each update."""

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from flows.kafka.consumer import TopicReader
from flows.kafka.scout import Scout
from flows.messages.batches import NO_TIMESTAMP, RawMessage
from flows.scoring.index_updates import IndexUpdates
from flows.scoring.live_index import IndexEntry, LiveIndex
from flows.support.errors import RalmError
from flows.support.last_start import LastStart
from flows.support.logs import get_logger
from monitoring import metrics

log = get_logger(__name__)

_POLL = 2000
_TIMEOUT_S = 0.2
_LAG_EVERY_S = 1.0
_NOTE_EVERY_S = 0.2
"""What is read in that time and stands in the client's queue is less than a scout reads."""


class IndexLoader(threading.Thread):
    """Reads every partition of the topic from its beginning, and goes on reading.

    It keeps no position: a compacted topic is the index. Messages of another model version are passed over, since a
    scorer mixes no versions. One that cannot be used is counted and passed over; the item keeps its last centroids.

    Args:
        index: the index to fill.
        topic: the centroids topic.
        consumer: librdkafka's settings.
        model_version: the bundle's version.
        dim: length of the bundle's vectors.
        partitions: says how many partitions the topic has now, as far as is known.
        mark: called with each message, by which the topic may be known again.
        step_over: which batches that cannot be read are stepped over.
    """

    def __init__(
        self,
        index: LiveIndex,
        topic: str,
        consumer: dict[str, Any],
        model_version: str,
        dim: int,
        partitions: Callable[[], int] = lambda: 0,
        mark: Callable[[int, RawMessage], None] = lambda *_: None,
        step_over: str = "none",
    ) -> None:
        super().__init__(name="index-loader", daemon=True)
        self._index = index
        self._topic = topic
        self._updates = IndexUpdates(topic, model_version, dim)
        self._stopping = threading.Event()
        self._newest = 0
        self._last_lag = 0.0
        self._partitions = partitions
        self._mark = mark
        self._read = 0
        self._said = False
        self._model_version = model_version
        self._said_of = ""
        self.failure: BaseException | None = None
        # Where the beginning is deleted while it is read, the index goes on with what is left: it keeps no position.
        config = {**consumer, "auto.offset.reset": "earliest"}
        self._config = config
        self._last_start = LastStart(None)
        self._last_note = 0.0
        self._reader = TopicReader(topic, config, _POLL, client="index", step_over=step_over)

    def note_in(self, last_start: LastStart) -> None:
        """Say where to note how far it has read, and where it stood if the last start crashed."""
        self._last_start = last_start

    def run(self) -> None:
        """Load, then follow; a failure is kept for the flow to raise."""
        try:
            self._look_for_what_ended_the_last_start()
            self._load(self._reader.add_all(before=partial(self._last_start.stands_at, "centroids")))
        except RalmError as error:  # says what to do: the flow raises it
            self.failure = error
        except BaseException as error:
            self.failure = error
            log.exception("the live index cannot be kept", topic=self._topic)
        finally:
            self._reader.close()

    def _look_for_what_ended_the_last_start(self) -> None:
        """Send scouts to where the last start stood, if it crashed.

        Raises:
            RalmError: where a batch ends processes: it cannot be stepped over here, since all that lies before it is
                read again and the client reads ahead.
        """
        if not self._last_start.crashed:
            return
        for partition in range(self._reader.partition_counts().get(self._topic, 0)):
            first = self._last_start.stood_at("centroids", partition)
            if first is None:
                continue
            scout = Scout(self._topic, partition, self._config, lambda: None)
            found = scout.find(first, self._reader.bounds(partition)[1])
            if found is not None:
                self._last_start.stands_at("centroids", {partition: first})
                self._last_start.ends_again("centroids", partition, found.first)
                raise RalmError(found.said_of_centroids(f"{self._topic}[{partition}]"))

    def stop(self) -> None:
        """End the thread and wait for it."""
        self._stopping.set()
        self.join(timeout=10.0)

    def _load(self, ends: dict[int, int]) -> None:
        """Follow the topic; the index is loaded once every partition has reached the end that it had at the start."""
        self._read = len(ends)
        while not self._stopping.is_set():
            self._follow_growth()
            messages = self._reader.take_all(_TIMEOUT_S)
            metrics.MESSAGES_READ.labels("centroids").inc(len(messages))
            self._report(messages)
            for message in messages:
                self._mark(message.partition() or 0, message)
                self._updates.take(message)
            ends = {part: end for part, end in ends.items() if self._reader.position(part) < end}
            # While loading, everything goes into one update; afterwards each poll is one.
            if not ends:
                if self._updates.changes:
                    self._apply(self._updates.drain())
                if not self._index.loaded.is_set():
                    log.info("live index loaded", items=self._index.view.size)
                    self._index.loaded.set()
                    self._said_of = self._updates.other_model  # what stood there may be of before a new bundle
                self._look_at_models()

    def _report(self, messages: Sequence[RawMessage]) -> None:
        metrics.LAST_POLL.labels("centroids").set_to_current_time()
        for message in messages:
            known, stamp = message.timestamp()
            if known != NO_TIMESTAMP:
                metrics.KAFKA_POSITION_TIME.labels("centroids", str(message.partition())).set(stamp / 1000)
        if time.monotonic() - self._last_note >= _NOTE_EVERY_S:
            self._last_note = time.monotonic()
            positions = {part: self._reader.position(part) for part in range(self._read)}
            self._last_start.stands_at("centroids", positions)
        if time.monotonic() - self._last_lag >= _LAG_EVERY_S:
            self._last_lag = time.monotonic()
            for part in range(self._read):
                if (lag := self._reader.lag(part)) is not None:
                    metrics.KAFKA_LAG.labels("centroids", str(part)).set(lag)

    def _follow_growth(self) -> None:
        """Read partitions that were added too: of an item's messages the newest counts, wherever it lies."""
        for partition in range(self._read, self._partitions()):
            self._read = partition + 1
            self._reader.add(partition, 0)

    def _apply(self, changes: dict[str, IndexEntry | None]) -> None:
        self._index.update(changes)
        self._newest = max([self._newest, *(e.window_end for e in changes.values() if e is not None)])
        metrics.INDEX_ITEMS.set(self._index.view.size)
        metrics.INDEX_TIME.set(time.time())
        metrics.INDEX_WINDOW_END.set(self._newest / 1000)
        self._look_at_sketches()

    def _look_at_models(self) -> None:
        """Say it when centroids of another model come in: their items are not scored here."""
        if self._updates.other_model == self._said_of:
            return
        self._said_of = self._updates.other_model
        log.warning(
            "centroids of another model come in, whose items are not scored here: give all processes the same bundle, "
            "unless a new one is just being rolled out",
            theirs=self._said_of,
            ours=self._model_version,
        )

    def _look_at_sketches(self) -> None:
        """Count the items that neighbours can say nothing of, and say it once where there are any."""
        sketched = self._index.view.sketched
        if sketched is None:
            return
        without = sketched.without_sketch
        metrics.INDEX_UNSKETCHED.set(without)
        if without and not self._said:
            self._said = True
            log.warning(
                "centroids without a sketch: these items count as nobody's neighbours until they are clustered with "
                "the setting sketches",
                items=without,
                of=self._index.view.size,
            )
