"""A producer of transactions, committed or aborted, as a stranger to this project may have one."""

from collections.abc import Sequence
from uuid import uuid4

from confluent_kafka import Producer


def transaction(servers: str, topic: str, values: Sequence[bytes], *, commit: bool, partition: int = 0) -> None:
    """Send messages in a transaction of a producer of their own, and end it."""
    producer = Producer({"bootstrap.servers": servers, "transactional.id": uuid4().hex, "log_level": 0})
    producer.init_transactions(30)
    producer.begin_transaction()
    for value in values:
        producer.produce(topic, value, b"k", partition)
    producer.flush(30)
    (producer.commit_transaction if commit else producer.abort_transaction)(30)
