"""Send clicks: ``produce_clicks.py BROKERS PREFIX < clicks.jsonl``, one ``{"user_id", "item_id", "ts"}`` a line."""

import json
import sys

from confluent_kafka import KafkaError, Message, Producer

servers, prefix = sys.argv[1:3]
failed: list[KafkaError] = []


def delivered(error: KafkaError | None, _: Message) -> None:
    """Remember what the broker has not taken."""
    if error is not None:
        failed.append(error)


# Every producer of clicks must use the same partitioner, so that an item lives in one partition.
producer = Producer({"bootstrap.servers": servers, "enable.idempotence": True, "linger.ms": 5})
for line in sys.stdin:
    click = json.loads(line)
    while True:
        try:
            # The key is the item: the flow refuses a click whose key is something else.
            producer.produce(f"{prefix}clicks", line.strip(), click["item_id"], on_delivery=delivered)
            break
        except BufferError:  # the client's queue is full: wait for the broker
            producer.poll(0.5)
    producer.poll(0)

left = producer.flush(30)
if left or failed:
    sys.exit(f"{left + len(failed)} clicks were not delivered: {failed[0].str() if failed else 'no answer in 30 s'}")
