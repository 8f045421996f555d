"""Closes consumers in bounded time: librdkafka may wait for an answer for ever."""

import threading

from confluent_kafka import Consumer

from flows.support.logs import get_logger

log = get_logger(__name__)

_PATIENCE_S = 3.0


def leave(consumer: Consumer, topic: str, patience_s: float = _PATIENCE_S) -> bool:
    """Close a consumer, or stop waiting for it: a broker that is silent must not keep a flow from ending.

    ``close`` waits for the answers to commits that are on their way: for the session's timeout when the broker refuses
    connections, without bound when it says nothing. Nothing depends on them; they tell lag tools the position.

    Args:
        consumer: not used afterwards by anyone.
        topic: what it read, for the log.
        patience_s: how long to wait.

    Returns:
        Whether it is closed; if not, a thread that no exit waits for goes on with it.
    """
    closing = threading.Thread(target=consumer.close, name=f"close-{topic}", daemon=True)
    closing.start()
    closing.join(patience_s)
    if closing.is_alive():
        log.warning("the broker does not answer, leaving without its goodbye", topic=topic, waited_s=patience_s)
    return not closing.is_alive()
