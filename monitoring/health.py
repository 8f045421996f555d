"""Whether the flow lives, whether it is ready, and the small HTTP server that says so.

Three questions, three answers, never mixed: ``/-/healthy`` (should the process be restarted?), ``/-/ready`` (is it
working on messages?) and ``/metrics`` (how is it doing?). A flow that waits for its broker is healthy and not ready.
"""

import json
import logging
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from types import TracebackType
from typing import Any, Self

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from monitoring.metrics import HEARTBEAT, READY, REGISTRY

log = logging.getLogger(__name__)

_JSON = "application/json; charset=utf-8"
_STUCK_CLIENT_S = 10.0


class Health:
    """What a flow knows of its own state; every method may be called from any thread.

    It also keeps ``ralm_heartbeat_timestamp_seconds`` and ``ralm_ready``, so that alerts and probes never disagree.

    >>> health = Health(["index"])
    >>> health.beat()
    >>> health.set("index", False, "reading the topic of centroids")
    >>> health.ready()[0], health.healthy()
    (False, True)

    Args:
        conditions: names of what must hold before the flow is ready; none holds at first.
        heartbeat_timeout_s: seconds without a beat after which the flow counts as stuck.
        clock: seconds that only go forward.
    """

    def __init__(
        self,
        conditions: Iterable[str],
        heartbeat_timeout_s: float = 30,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._timeout = heartbeat_timeout_s
        self._clock = clock
        self._lock = threading.Lock()
        self._last_beat: float | None = None
        self._conditions: dict[str, tuple[bool, str]] = {}
        for name in conditions:
            self._conditions[name] = (False, "not reached yet")
            READY.labels(name).set(0)

    def set(self, name: str, ok: bool, why: str = "") -> None:
        """Say whether a condition holds, and if not, why, in words for the person on call.

        Raises:
            ValueError: when there is no such condition.
        """
        with self._lock:
            if name not in self._conditions:
                msg = f"no condition {name!r}; there are: {', '.join(self._conditions) or 'none'}"
                raise ValueError(msg)
            self._conditions[name] = (ok, why)
            READY.labels(name).set(ok)

    def beat(self) -> None:
        """Give a sign of life; cheap enough for every poll."""
        self._last_beat = self._clock()
        HEARTBEAT.set_to_current_time()

    def healthy(self) -> bool:
        """Whether the last beat is recent. Before the first one the flow is starting, which may take long: healthy."""
        age = self._beat_age()
        return age is None or age <= self._timeout

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """Whether all conditions hold and the flow beats, and a report with the reason for each that does not."""
        with self._lock:
            conditions = dict(self._conditions)
        report = {name: {"ok": ok} | ({"why": why} if why else {}) for name, (ok, why) in conditions.items()}
        life = self._life()
        ready = life["healthy"] and life["heartbeat_age_s"] is not None and all(ok for ok, _ in conditions.values())
        return ready, {"ready": ready, **life, "conditions": report}

    def report(self) -> tuple[bool, dict[str, Any]]:
        """``healthy`` with the age of the heartbeat in seconds, None before the first."""
        life = self._life()
        return life["healthy"], life

    def _life(self) -> dict[str, Any]:
        age = self._beat_age()
        healthy = age is None or age <= self._timeout
        return {
            "healthy": healthy,
            "heartbeat_age_s": None if age is None else round(age, 3),
            "heartbeat_timeout_s": self._timeout,
        }

    def _beat_age(self) -> float | None:
        last = self._last_beat  # read once: another thread may beat in between
        return None if last is None else self._clock() - last


class HealthServer:
    """The running server; close it, or use it as a context.

    Attributes:
        port: the port that it listens on.
    """

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self._server = server
        self.port: int = server.server_address[1]
        self._thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="health", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening; twice is as good as once."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def serve(health: Health, host: str, port: int, registry: CollectorRegistry = REGISTRY) -> HealthServer:
    """Answer ``/metrics``, ``/-/healthy`` and ``/-/ready`` on a thread of its own.

    Args:
        health: what to report.
        host: the address to listen on; nothing here asks who is there, so keep it on loopback or a private network.
        port: the port, 0 for any free one.
        registry: the metrics to show.

    Raises:
        OSError: when the address cannot be listened on.
    """
    try:
        return HealthServer(_Server((host, port), health, registry))
    except (OSError, OverflowError) as error:
        msg = (
            f"cannot listen on {host}:{port} for metrics and health: {error}. "
            "Choose another --metrics-host or --metrics-port (0 takes any free port)."
        )
        raise OSError(msg) from error


class _Server(ThreadingHTTPServer):
    """Carries what its handlers, one a request, must reach."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], health: Health, registry: CollectorRegistry) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.health = health
        self.registry = registry
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind without asking DNS for the machine's name, as the standard server would."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news."""
        error = sys.exception()
        if not isinstance(error, (ConnectionError, TimeoutError)):
            log.error("a request to the health server failed", exc_info=error)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "ralm"
    sys_version = ""
    timeout = _STUCK_CLIENT_S

    def do_GET(self) -> None:
        self._reply(*self._answer())

    def do_HEAD(self) -> None:
        self._reply(*self._answer(), with_body=False)

    def _refuse(self) -> None:
        self._reply(*_problem(HTTPStatus.METHOD_NOT_ALLOWED, "only GET and HEAD"), allow="GET, HEAD")

    do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_TRACE = do_CONNECT = _refuse  # noqa: N815

    def _answer(self) -> tuple[HTTPStatus, str, bytes]:
        match self.path.partition("?")[0]:
            case "/metrics":
                encode, content_type = choose_encoder(self.headers.get("Accept", ""))
                return HTTPStatus.OK, content_type, encode(self.server.registry)
            case "/-/healthy":
                return _verdict(*self.server.health.report())
            case "/-/ready":
                return _verdict(*self.server.health.ready())
        return _problem(HTTPStatus.NOT_FOUND, "there are /metrics, /-/healthy and /-/ready")

    def _reply(
        self, status: HTTPStatus, content_type: str, body: bytes, *, with_body: bool = True, allow: str = ""
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        if allow:
            self.send_header("Allow", allow)
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the standard library's name)
        log.debug(format, *args)


def _verdict(ok: bool, report: dict[str, Any]) -> tuple[HTTPStatus, str, bytes]:
    status = HTTPStatus.OK if ok else HTTPStatus.SERVICE_UNAVAILABLE
    return status, _JSON, json.dumps(report, indent=2).encode() + b"\n"


def _problem(status: HTTPStatus, text: str) -> tuple[HTTPStatus, str, bytes]:
    return status, _JSON, json.dumps({"error": text}).encode() + b"\n"
