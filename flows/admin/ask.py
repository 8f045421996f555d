"""Asks a running flow one question: sends a request, and waits for its answer."""

import time
from collections.abc import Callable
from contextlib import closing

from flows.admin.replay_files import request_message
from flows.config.fields import format_duration
from flows.config.settings import Settings
from flows.kafka.config import consumer_config
from flows.kafka.consumer import TopicReader
from flows.kafka.producer import Producer
from flows.kafka.tool_rights import require_rights
from flows.kafka.topics import TopicNames
from flows.messages.codec import decode_request, decode_scores, encode_message
from flows.messages.rejects import InvalidMessage
from flows.messages.types import Request, Scores
from flows.support.errors import ConfigError, RalmError

_POLL = 1000
_POLL_S = 0.1


def ask(settings: Settings, request: Request, timeout: int, clock: Callable[[], float] = time.monotonic) -> Scores:
    """Send a request and wait for its answer.

    Args:
        settings: where the topics are.
        request: its identifier tells its answer from others.
        timeout: how long to wait for the answer once the request is sent, ms.
        clock: seconds that only go forward.

    Raises:
        ConfigError: when no flow would take such a request.
        RalmError: when the broker does not answer, a topic is missing or no answer comes; says what to do.
    """
    try:
        decode_request(encode_message(request))
    except InvalidMessage as invalid:
        raise ConfigError(invalid.detail) from invalid
    names = TopicNames.of(settings)
    producer = Producer.of_tool(settings)
    require_rights(settings, reads=[names.scores], writes=[names.requests])
    with closing(TopicReader(names.scores, consumer_config(settings), _POLL, client="tool")) as answers:
        answers.add_all(at_end=True)  # before the request is sent, so that its answer cannot be missed
        producer.send(request_message(names.requests, request))
        producer.flush()
        deadline = clock() + timeout / 1000
        while clock() < deadline:
            for message in answers.take_all(_POLL_S):
                answer = _answer(message.value())
                if answer is not None and answer.request_id == request.request_id:
                    return answer
    msg = (
        f"no answer to request {request.request_id} within {format_duration(timeout)} on {names.scores}. Does a flow "
        "run that scores (`ralm run look-alike` or `ralm run scores`), with these topics, and is it ready (/-/ready)? "
        "One that has just started loads its index first. A request that it cannot use is among the dead letters "
        "(`ralm dead-letters list`)."
    )
    raise RalmError(msg)


def _answer(value: bytes | None) -> Scores | None:
    """An answer; None of what cannot be read, which is nobody's."""
    try:
        return decode_scores(value)
    except InvalidMessage:
        return None
