"""Waits until a broker knows the topics that it has just confirmed."""

import time
from collections.abc import Collection

from confluent_kafka.admin import AdminClient

_TIMEOUT_S = 30.0
_LOOK_AGAIN_S = 0.02


def wait_for_topics(servers: str, names: Collection[str], **login: str) -> None:
    """Wait until every partition of the topics has a leader.

    A broker confirms a new topic before its own metadata has it, and a client that asks in between is answered that
    there is none.
    """
    admin = AdminClient({"bootstrap.servers": servers, **login})
    deadline = time.monotonic() + _TIMEOUT_S
    while missing := _without_leader(admin, names):
        assert time.monotonic() < deadline, f"after {_TIMEOUT_S:g} s {servers} has no leader for {missing}"
        time.sleep(_LOOK_AGAIN_S)


def _without_leader(admin: AdminClient, names: Collection[str]) -> list[str]:
    known = admin.list_topics(timeout=15).topics  # of all topics: to ask for one by name may make it
    led = {
        name
        for name, topic in known.items()
        if topic.partitions and all(part.leader >= 0 for part in topic.partitions.values())
    }
    return [name for name in names if name not in led]
