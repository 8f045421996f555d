"""The small HTTP server of status page, metrics and health: whoever asks, nothing that a client does blocks it.

A client has ten seconds for its question and for taking the answer; of more than a few clients at once the oldest is
hung up on. So a client that says nothing, or says it slowly, costs neither a page nor a thread that stays.
"""

import json
import logging
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from io import BufferedIOBase
from socketserver import TCPServer
from types import TracebackType
from typing import Any, Self

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from monitoring.address import bare, family_of, host_port
from monitoring.health import Health
from monitoring.metrics import REGISTRY
from monitoring.status import StatusReport

log = logging.getLogger(__name__)

MAX_CLIENTS = 32
"""Clients that are served at once; a scraper and some probes are a handful."""
MAX_QUESTION_BYTES = 16_384
"""Most bytes of a request, its headers included."""
CLIENT_S = 10.0
"""Seconds that a client has, from its connection to the last byte of its answer."""
_JSON = "application/json; charset=utf-8"
_FILES = {
    "/": ("status.html", "text/html; charset=utf-8"),
    "/status.css": ("status.css", "text/css; charset=utf-8"),
    "/status.js": ("status.js", "text/javascript; charset=utf-8"),
}
"""The status page: what lies in the package, and nothing else."""
_NOTHING = "default-src 'none'; frame-ancestors 'none'"
_OWN_FILES = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)


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


def serve(
    health: Health,
    host: str,
    port: int,
    registry: CollectorRegistry = REGISTRY,
    client_s: float = CLIENT_S,
    status: StatusReport | None = None,
) -> HealthServer:
    """Answer ``/``, ``/metrics``, ``/-/status``, ``/-/healthy`` and ``/-/ready`` on a thread of its own.

    Args:
        health: what to report.
        host: the address to listen on; nothing here asks who is there, so keep it on loopback or a private network.
        port: the port, 0 for any free one.
        registry: the metrics to show.
        client_s: seconds that a client has.
        status: what the status page shows; by default health and metrics alone.

    Raises:
        OSError: when the address cannot be listened on.
    """
    with _said(host, port):
        return HealthServer(_Server((bare(host), port), health, status or StatusReport(health), registry, client_s))


def check_address(host: str, port: int) -> None:
    """See that ``serve`` could listen on an address now.

    Raises:
        OSError: when it could not; says what to do.
    """
    with _said(host, port), socket.socket(family_of(host), socket.SOCK_STREAM) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((bare(host), port))
        server.listen()


@contextmanager
def _said(host: str, port: int) -> Iterator[None]:
    """Say of an address that cannot be listened on what to do."""
    try:
        if not host:
            msg = "no address is named, and that would be all of them"
            raise OSError(msg)
        yield
    except (OSError, OverflowError) as error:
        msg = (
            f"cannot listen on {host_port(host, port)} for metrics and health: {error}. "
            "Choose another --metrics-host or --metrics-port (0 takes any free port)."
        )
        raise OSError(msg) from error


class _Server(ThreadingHTTPServer):
    """Carries what its handlers, one a client, must reach, and hangs up on clients that take too long."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 2 * MAX_CLIENTS

    def __init__(
        self,
        address: tuple[str, int],
        health: Health,
        status: StatusReport,
        registry: CollectorRegistry,
        client_s: float,
    ) -> None:
        self.address_family = family_of(address[0])
        self.health = health
        self.status = status
        self.files = {path: (kind, _file(name)) for path, (name, kind) in _FILES.items()}
        self.registry = registry
        self._client_s = client_s
        self._lock = threading.Lock()
        self._until: dict[socket.socket, float] = {}  # oldest first
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind without asking DNS for the machine's name, as the standard server would."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a client on a thread of its own; where there are too many, the oldest gives way."""
        with self._lock:
            if len(self._until) >= MAX_CLIENTS:
                self._hang_up(next(iter(self._until)))
            self._until[request] = time.monotonic() + self._client_s
        super().process_request(request, client_address)

    def service_actions(self) -> None:
        """Hang up on those whose time is over; called ten times a second by the standard server."""
        now = time.monotonic()
        with self._lock:
            for client in [client for client, until in self._until.items() if until <= now]:
                self._hang_up(client)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection that was served."""
        with self._lock:  # from here on its descriptor may be another's
            self._until.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news."""
        error = sys.exception()
        if not isinstance(error, (ConnectionError, TimeoutError)):
            log.error("a request to the health server failed", exc_info=error)

    def _hang_up(self, client: socket.socket) -> None:
        """End a connection whatever its thread waits for; the thread then ends, and closes it."""
        del self._until[client]
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)


class _QuestionTooLongError(Exception):
    pass


class _Question:
    """What a client sends, up to a length; the standard server has limits for a line, and none for all of them."""

    def __init__(self, stream: BufferedIOBase) -> None:
        self._stream = stream
        self._left = MAX_QUESTION_BYTES
        self.close = stream.close

    def readline(self, size: int = -1) -> bytes:
        line = self._stream.readline(self._left if size < 0 else min(size, self._left))
        self._left -= len(line)
        if self._left <= 0:
            raise _QuestionTooLongError
        return line


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "ralm"
    sys_version = ""
    request_version = default_request_version = "HTTP/1.0"  # what says nothing of it gets an answer with a head too
    requestline = command = ""

    def setup(self) -> None:
        super().setup()
        self.rfile = _Question(self.rfile)  # type: ignore[assignment]

    def handle(self) -> None:
        try:
            super().handle()
        except _QuestionTooLongError:
            self.send_error(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def do_GET(self) -> None:
        self._reply(*self._answer())

    def do_HEAD(self) -> None:
        self._reply(*self._answer(), with_body=False)

    def _refuse(self) -> None:
        self._reply(*_problem(HTTPStatus.METHOD_NOT_ALLOWED, "only GET and HEAD"), allow="GET, HEAD")

    do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_TRACE = do_CONNECT = _refuse  # noqa: N815

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse what the standard server cannot take, without its page of HTML and without the client's own words."""
        del message, explain
        status = HTTPStatus(code)
        self._reply(*_problem(status, status.phrase.lower()))

    def _answer(self) -> tuple[HTTPStatus, str, bytes]:
        try:
            return self._page()
        except Exception:
            log.exception("a page of the health server could not be made")
            return _problem(HTTPStatus.INTERNAL_SERVER_ERROR, "this page could not be made; the log says why")

    def _page(self) -> tuple[HTTPStatus, str, bytes]:
        match self.path.partition("?")[0]:
            case "/metrics":
                encode, content_type = _encoder(self.headers.get("Accept", ""))
                return HTTPStatus.OK, content_type, encode(self.server.registry)
            case "/-/healthy":
                return _verdict(*self.server.health.report())
            case "/-/ready":
                return _verdict(*self.server.health.ready())
            case "/-/status":
                return HTTPStatus.OK, _JSON, json.dumps(self.server.status.report(), indent=2).encode() + b"\n"
            case path if path in self.server.files:
                return HTTPStatus.OK, *self.server.files[path]
        return _problem(HTTPStatus.NOT_FOUND, "there are /, /metrics, /-/status, /-/healthy and /-/ready")

    def _reply(
        self, status: HTTPStatus, content_type: str, body: bytes, *, with_body: bool = True, allow: str = ""
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Security-Policy", _OWN_FILES if content_type.startswith("text/html") else _NOTHING)
        self.send_header("Connection", "close")
        if allow:
            self.send_header("Allow", allow)
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the standard library's name)
        log.debug(format, *args)


def _encoder(accept: str) -> tuple[Callable[[CollectorRegistry], bytes], str]:
    try:
        return choose_encoder(accept)
    except (TypeError, ValueError):  # a version that is none; the library compares it all the same
        return choose_encoder("")


def _file(name: str) -> bytes:
    return (files("monitoring") / "page" / name).read_bytes()


def _verdict(ok: bool, report: dict[str, Any]) -> tuple[HTTPStatus, str, bytes]:
    status = HTTPStatus.OK if ok else HTTPStatus.SERVICE_UNAVAILABLE
    return status, _JSON, json.dumps(report, indent=2).encode() + b"\n"


def _problem(status: HTTPStatus, text: str) -> tuple[HTTPStatus, str, bytes]:
    return status, _JSON, json.dumps({"error": text}).encode() + b"\n"
