"""Closing a consumer in bounded time, since librdkafka may wait for an answer for ever."""

import threading

from confluent_kafka import Consumer

from flows.support.logs import get_logger

log = get_logger(__name__)

CLOSE_TIMEOUT_S = 3.0


def close_with_timeout(consumer: Consumer, topic: str, timeout_s: float = CLOSE_TIMEOUT_S) -> bool:
    """Close a consumer, or stop waiting for it: a broker that is silent must not keep a flow from ending.

    ``close`` waits for the answers to commits that are on their way: for the session's timeout when the broker refuses
    connections, without bound when it says nothing. Without them a little more is read again after a restart.

    Args:
        consumer: not used afterwards by anyone.
        topic: what it read, for the log.
        timeout_s: how long to wait.

    Returns:
        Whether it is closed; if not, a thread that no exit waits for goes on with it.
    """
    closing = threading.Thread(target=consumer.close, name=f"close-{topic}", daemon=True)
    closing.start()
    closing.join(timeout_s)
    if closing.is_alive():
        log.warning("the Kafka consumer did not close in time; going on without", topic=topic, waited_s=timeout_s)
    return not closing.is_alive()
