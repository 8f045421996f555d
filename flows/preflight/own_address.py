"""Looks at a process's own entry in ``addresses``: its name may not be known yet, its port may be taken."""

import socket
import time
from collections.abc import Callable

from flows.config.fields import split_list
from flows.config.settings import Settings
from flows.preflight.findings import Finding, Verdict

_LOOK_AGAIN_S = 0.5
_WHAT = "own address"


def look_at_own_address(settings: Settings, *, stopped: Callable[[], bool], wait_s: float) -> list[Finding]:
    """Whether the engine could listen on this process's address; nothing for a single process.

    Args:
        settings: the settings.
        stopped: says not to wait any longer.
        wait_s: how long to wait for a name that is not known, as that of a container that has just been started.
    """
    addresses = split_list(settings.addresses)
    if not addresses:
        return []
    own = addresses[settings.process_id].rpartition("://")[2]
    host, _, port = own.rpartition(":")
    until = time.monotonic() + wait_s
    while True:
        try:
            _listen(host.strip("[]"), int(port))
        except socket.gaierror as error:
            if time.monotonic() < until and not stopped():
                time.sleep(_LOOK_AGAIN_S)
                continue
            advice = "Is it this process's entry in addresses (process_id), and does the name server know it yet?"
            return [Finding(_WHAT, Verdict.PROBLEM, f"{own} has no address: {error.strerror}. {advice}", failure=True)]
        except (OSError, OverflowError) as error:
            advice = "Stop what listens there, or change this process's entry in addresses, for all processes."
            return [Finding(_WHAT, Verdict.PROBLEM, f"cannot listen on {own}: {error}. {advice}", failure=True)]
        return [Finding(_WHAT, Verdict.OK, f"{own} is free")]


def _listen(host: str, port: int) -> None:
    """Listen for a moment.

    Raises:
        OSError: when none of the host's addresses can be listened on.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    for number, (family, *_, address) in enumerate(found, 1):
        try:
            with socket.socket(family, socket.SOCK_STREAM) as server:
                server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                server.bind(address)
                server.listen()
        except OSError:
            if number == len(found):
                raise
        else:
            return
