"""Send clicks: ``produce_clicks.py BROKERS PREFIX < clicks.jsonl``, one ``{"user_id", "item_id", "ts"}`` a line."""

import json
import sys

from confluent_kafka import KafkaError, KafkaException, Message, Producer

if len(sys.argv) != 3:
    sys.exit(__doc__)
servers, prefix = sys.argv[1:]
topic = f"{prefix}clicks"
failed: list[KafkaError] = []


def delivered(error: KafkaError | None, _: Message) -> None:
    """Remember what the broker has not taken."""
    if error is not None:
        failed.append(error)


# Every producer of clicks must use the same partitioner, so that an item lives in one partition.
producer = Producer({"bootstrap.servers": servers, "enable.idempotence": True, "linger.ms": 5})
try:
    known = producer.list_topics(timeout=10).topics  # of all topics: to ask for one by name may make it
except KafkaException as error:
    sys.exit(f"no broker answers at {servers}: {error.args[0].str()}")
if topic not in known:
    sys.exit(f"there is no topic {topic} at {servers}: make it with `ralm topics`, or mend the prefix")

for number, line in enumerate(sys.stdin, 1):
    try:
        item = json.loads(line)["item_id"]
    except (ValueError, LookupError, TypeError):
        producer.flush(30)
        sys.exit(f"line {number} is not a click: {line.strip()[:100]}")
    while True:
        try:
            # The key is the item: the flow refuses a click whose key is something else.
            producer.produce(topic, line.strip(), item, on_delivery=delivered)
            break
        except BufferError:  # the client's queue is full: wait for the broker
            producer.poll(0.5)
    producer.poll(0)

left = producer.flush(30)
if left or failed:
    sys.exit(f"{left + len(failed)} clicks were not delivered: {failed[0].str() if failed else 'no answer in 30 s'}")
