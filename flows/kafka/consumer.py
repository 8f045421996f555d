"""The following consumer: one for all of a topic's partitions that a process reads, dealt out by partition.

A consumer for each partition would bring its own threads and its own connection to every broker.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message

from flows.kafka.errors import ends_a_flow, is_end, is_gone, is_of_group, is_oversized, is_unreadable, waiting_for
from flows.kafka.outage_log import outage_log
from flows.kafka.read_partition import ReadPartition
from flows.kafka.scout import Scout
from flows.kafka.standstill import WHY, Standstill
from flows.kafka.step_over import StepOver, read_on
from flows.kafka.topic_client import SOURCE, TopicClient
from flows.messages.batches import RawMessage, UnreadableBatch
from flows.support.errors import RalmError
from flows.support.logs import get_logger

log = get_logger(__name__)

_UNREADABLE_S = 60.0
"""So long a batch that cannot be read is fetched again: a connection or one replica may have damaged it."""
_OVERSIZED_S = 5.0
"""So long one that is sound but cannot be unfolded: its checksum is right, so nothing on the way has damaged it."""
_GONE_S = 60.0
"""So long an offset beyond the partition's end is asked for again: a new leader may lag."""
_ASK_AGAIN_S = 1.0
_STILL_S = 60.0
"""So long nothing comes although the partition goes on, until it is looked why."""


class TopicReader(TopicClient):
    """Reads a topic for the partitions that are added to it; may be shared by several workers' threads.

    Args:
        topic: the topic's name.
        config: librdkafka's settings.
        poll: most messages a poll takes; what waits to be taken is bounded by a few times as many.
        clock: seconds that never go back.
        client: what the metrics call it; a source, which commits to the group, unless another.
        step_over: which batches that cannot be read are stepped over: ``none``, ``oversized`` or ``all``.
        skip_gone: whether to go on from the beginning of what there is where the messages that are to be read next are
            gone: of a topic of which nothing is kept.
    """

    def __init__(
        self,
        topic: str,
        config: dict[str, Any],
        poll: int,
        clock: Callable[[], float] = time.monotonic,
        client: str = SOURCE,
        step_over: str = "none",
        *,
        skip_gone: bool = False,
    ) -> None:
        super().__init__(topic, config, client)
        self._clock = clock
        self._step_over = step_over
        self._skip_gone = skip_gone
        self._poll = poll
        self._lock = threading.Lock()
        self._partitions: dict[int, ReadPartition] = {}

    def add(self, partition: int, position: int) -> None:
        """Begin to read a partition.

        Args:
            partition: its number.
            position: the offset to begin at.
        """
        self._add(partition, position)
        log.info("reading", topic=self.topic, partition=partition, offset=position)

    def add_behind_scout(self, partition: int, position: int, beat: Callable[[], None]) -> int | None:
        """Begin to read a partition where the last start crashed; see ``flows/kafka/scout.py``.

        Args:
            partition: its number.
            position: the offset to begin at.
            beat: called now and then, as a sign of life.

        Returns:
            None where it can be read; else the offset of a batch that ends processes, at which ``take`` will raise.

        Raises:
            RalmError: when the broker does not say where it ends.
        """
        found = Scout(self.topic, partition, self._config, beat).find(position, self.bounds(partition)[1])
        if found is None:
            self.add(partition, position)
            return None
        with self._lock:
            mine = self._partitions[partition] = ReadPartition(position, found.first, [*found.messages])
            if self._step_over != "all" and (self._step_over == "none" or found.damaged):
                mine.failure = found.words(f"{self.topic}[{partition}]")
                return found.first
            mine.stepping = StepOver.of(found.first, found.end, found.why)
            self._found_the_end(mine, partition)
            self._consumer.incremental_assign([self._place(partition, found.end)])
            return None

    def _add(self, partition: int, position: int) -> None:
        with self._lock:
            self._partitions[partition] = ReadPartition(position, position)
            self._consumer.incremental_assign([self._place(partition, position)])

    def add_all(
        self, *, at_end: bool = False, before: Callable[[dict[int, int]], None] = lambda _: None
    ) -> dict[int, int]:
        """Begin to read all partitions that the topic has now.

        Args:
            at_end: from their ends instead of their beginnings, as a tool does that waits for an answer.
            before: called with where each begins, before anything is read, which may end the process at once.

        Returns:
            The end of each at this moment.

        Raises:
            RalmError: when the broker does not answer or has no such topic.
        """
        self._ask_bounds()
        before({partition: first for partition, (first, _) in self._bounds.items()})
        for partition, (first, end) in self._bounds.items():
            if at_end:
                self._add(partition, end)
            else:
                self.add(partition, first)
        return {partition: end for partition, (_, end) in self._bounds.items()}

    def take(self, partition: int) -> list[RawMessage]:
        """The partition's waiting messages, in offset order; polls when none waits.

        Raises:
            RalmError: when the partition cannot be read on.
        """
        with self._lock:
            mine = self._partitions[partition]
            if not mine.messages and mine.failure is None:
                self._ask_again(partition, mine)
                self._deal(self._consumer.consume(self._poll, timeout=0))
                self._see_whether_it_stands_still(partition, mine)
            return self._taken(mine)

    def take_all(self, timeout_s: float) -> list[RawMessage]:
        """The waiting messages of all partitions, in offset order of each.

        Args:
            timeout_s: how long to wait for some.

        Raises:
            RalmError: when a partition cannot be read on.
        """
        with self._lock:
            for partition, mine in self._partitions.items():
                self._ask_again(partition, mine)
            self._deal(self._consumer.consume(self._poll, timeout=timeout_s))
            for partition, mine in self._partitions.items():
                self._see_whether_it_stands_still(partition, mine)
            return [message for mine in self._partitions.values() for message in self._taken(mine)]

    def position(self, partition: int) -> int:
        """The offset from which on nothing was taken; at the partition's end that end, as the client reports it."""
        return self._partitions[partition].position

    def at_end(self, partition: int) -> bool:
        """Whether everything that the broker had at the last fetch was taken."""
        mine = self._partitions[partition]
        return mine.at_end and not mine.messages

    def lag(self, partition: int) -> int | None:
        """Offsets between the position and the broker's end, as the last fetch reported it; None before the first."""
        _, high = self._consumer.get_watermark_offsets(self._place(partition), cached=True)
        return None if high < 0 else max(0, high - self.position(partition))

    def _taken(self, mine: ReadPartition) -> list[RawMessage]:
        taken = mine.take()
        if not taken and mine.failure is not None:
            raise RalmError(mine.failure)
        return taken

    def _deal(self, polled: list[Message]) -> None:
        sought: set[int | None] = set()  # partitions of which the rest of what was polled comes again
        for message in polled:
            error, partition = message.error(), message.partition()
            if partition in sought:
                continue
            mine = None if partition is None else self._partitions.get(partition)
            if mine is None:
                if error is not None:
                    self._on_error(error)
                    continue
            elif error is None or is_end(error):
                if self._goes_back(mine, partition or 0):
                    sought.add(partition)
                else:
                    mine.note(message, is_end=error is not None)
            else:
                self._fail_or_wait(error, partition or 0, mine)
                if mine.stepping is not None:
                    sought.add(partition)
                continue
            outage_log.answered()

    def _fail_or_wait(self, error: KafkaError, partition: int, mine: ReadPartition) -> None:
        where = f"{self.topic}[{partition}] at offset {mine.fetched}"
        if is_unreadable(error) and self._steps(error, partition, mine):
            return
        if is_of_group(error):
            self._group_refused(error)
        elif is_gone(error):
            self._is_gone(error, partition, mine)
        elif is_unreadable(error) and mine.unreadable_for(self._clock()) > _UNREADABLE_S:
            mine.failure = (
                f"{where}: the batch there cannot be read, and has not changed in {_UNREADABLE_S:.0f} s "
                f"({error.str()}). Compare the replicas' disks and make a good one the leader. If there is none, "
                + read_on("oversized" if mine.damaged != mine.fetched else "all")
            )
        elif ends_a_flow(error):
            mine.failure = f"{where} cannot be read: {error.str()}. Fix that at the broker and start again."
        else:
            self._on_error(error, where + waiting_for(error, "Read", self.topic))

    def _is_gone(self, error: KafkaError, partition: int, mine: ReadPartition) -> None:
        """Find out whether an offset is gone for good: a new leader may lag, and a broker may be wrong once."""
        now = self._clock()
        mine.gone = now if mine.gone is None else mine.gone
        try:
            first, end = self._probe().bounds(self.topic, [partition])[partition]
        except RalmError:  # no answer: it is asked again
            first, end = mine.fetched, mine.fetched
        where = f"{self.topic}[{partition}]"
        lost_its_end = end < mine.fetched and now - mine.gone > _GONE_S
        if self._skip_gone and (first > mine.fetched or lost_its_end):
            why = "they expired before they were read" if first > mine.fetched else f"it ends at offset {end}"
            log.warning(
                "messages are gone; going on from the beginning of what the topic has",
                topic=self.topic,
                partition=partition,
                position=mine.fetched,
                offset=first,
                why=why,
            )
            mine.fetched, mine.gone, mine.ask_again = first, None, now
        elif first > mine.fetched:
            mine.failure = (
                f"{where}: the messages from offset {mine.fetched} to {first - 1} were deleted before they were read "
                "(retention, or kafka-delete-records). Keep the state directory; start once with --rebuild partial: "
                f"the flow goes on at offset {first}, and loses nothing but those messages."
            )
        elif lost_its_end:
            mine.failure = (
                f"{where} ends at offset {end} and was read up to {mine.fetched}: a replica that lacked the last "
                "messages became the leader (unclean leader election), or the topic was made anew. Keep the state "
                "directory, which has what the topic has lost. If a better replica is left, make it the leader and "
                "start again; else start once with --rebuild partial: all seed sets are kept, and the topic is read "
                "from its beginning."
            )
        else:
            self._on_error(error, f"{where} at offset {mine.fetched}, of {first} to {end}: asked for again")
            mine.ask_again = now + _ASK_AGAIN_S

    def _ask_again(self, partition: int, mine: ReadPartition) -> None:
        """Go back to where a partition is to be read, once it is time: after such an error the client stays away."""
        if mine.ask_again is not None and self._clock() >= mine.ask_again:
            mine.ask_again = None
            offset = mine.fetched if mine.asks is None else mine.asks
            try:
                # A seek alone does not wake the client up here.
                self._consumer.incremental_unassign([self._place(partition)])
                self._consumer.incremental_assign([self._place(partition, offset)])
                mine.asks = None
            except KafkaException as error:
                self._on_error(error.args[0])
                mine.ask_again = self._clock() + _ASK_AGAIN_S

    def _seek(self, mine: ReadPartition, partition: int, offset: int) -> None:
        """Read on at an offset; at once, or where the client is not in a state to seek, with the next look."""
        try:
            self._consumer.seek(self._place(partition, offset))
        except KafkaException:
            mine.ask_again, mine.asks = self._clock(), offset

    def _see_whether_it_stands_still(self, partition: int, mine: ReadPartition) -> None:
        """Step over a batch at which the client silently stands still; see ``flows/kafka/standstill.py``."""
        end = self._end(partition)
        waits = not mine.messages and mine.failure is None and mine.stepping is None and mine.gone is None
        if not waits or end <= mine.fetched or (mine.unreadable or (None,))[0] == mine.fetched:
            mine.still = mine.standstill = None
            return
        now = self._clock()
        if mine.still is None or mine.still[0] != mine.fetched:
            mine.still, mine.standstill = (mine.fetched, now), None
        elif mine.standstill is None and now - mine.still[1] > _STILL_S:
            mine.standstill = Standstill(self.topic, partition, mine.fetched, end, self._config)
        elif mine.standstill is not None and mine.standstill.over:
            found, mine.still, mine.standstill = mine.standstill.found, None, None
            if found is not None:
                self._leave_behind(partition, mine, found)

    def _leave_behind(self, partition: int, mine: ReadPartition, end: int) -> None:
        self._count_error()
        if self._step_over == "none":
            where = f"{self.topic}[{partition}] at offset {mine.fetched}"
            mine.failure = f"{where}: {WHY}. To read on, {read_on('oversized')}"
            return
        mine.stepping = StepOver.of(mine.fetched, end, WHY)
        self._found_the_end(mine, partition)
        mine.ask_again, mine.asks = self._clock(), end

    def _steps(self, error: KafkaError, partition: int, mine: ReadPartition) -> bool:
        """Step on over a batch that stays unreadable; false where that is not wanted, or not yet."""
        if mine.stepping is None:
            # Behind a wrong checksum the client goes on in the middle of the batch, and stumbles over what is no batch.
            mine.damaged = mine.damaged if is_oversized(error) else mine.fetched
            oversized = mine.damaged != mine.fetched
            wanted = self._step_over == "all" or (self._step_over == "oversized" and oversized)
            if not wanted or mine.unreadable_for(self._clock()) <= (_OVERSIZED_S if oversized else _UNREADABLE_S):
                return False
            mine.stepping = StepOver(mine.fetched, error.str())
        else:
            mine.stepping.unreadable(self._end(partition))
        self._count_error()
        probe = mine.stepping.probe
        self._seek(mine, partition, mine.fetched if self._found_the_end(mine, partition) else probe)
        return True

    def _goes_back(self, mine: ReadPartition, partition: int) -> bool:
        """What came can be read; whether it lies behind offsets that were not asked for yet, and so comes again."""
        stepping = mine.stepping
        if stepping is None:
            return False
        stepping.readable(self._end(partition))
        if self._found_the_end(mine, partition):
            return False
        self._seek(mine, partition, stepping.probe)
        return True

    def _found_the_end(self, mine: ReadPartition, partition: int) -> bool:
        """Put a stand-in for the batch among the messages, once it is known where it ends."""
        stepping = mine.stepping
        if stepping is None or stepping.found is None:
            return False
        first, end = stepping.first, stepping.found
        place = f"{self.topic}[{partition}]"
        where = f"offset {first} of {place}" if end == first + 1 else f"offsets {first} to {end - 1} of {place}"
        why = f"{where} cannot be read, and {'was' if end == first + 1 else 'were'} stepped over: {stepping.why}"
        log.error("a batch that cannot be read is stepped over", topic=self.topic, partition=partition, why=why)
        mine.messages.append(UnreadableBatch(partition, first, end - 1, why))
        mine.fetched, mine.stepping, mine.unreadable = end, None, None
        return True

    def _end(self, partition: int) -> int:
        _, high = self._consumer.get_watermark_offsets(self._place(partition), cached=True)
        return int(high)
