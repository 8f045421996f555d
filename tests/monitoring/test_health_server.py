import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from hand_clock import HandClock
from prometheus_client import CollectorRegistry, Counter
from waiting import wait_until

from monitoring.address import asked_at
from monitoring.health import Health
from monitoring.health_server import MAX_CLIENTS, MAX_QUESTION_BYTES, HealthServer, check_address, serve
from monitoring.metrics import HEARTBEAT, READY, REGISTRY


@pytest.fixture
def clock() -> HandClock:
    return HandClock(1000.0)


@pytest.fixture
def health(clock: HandClock) -> Health:
    return Health(["bundle", "index"], heartbeat_timeout_s=30, clock=clock)


@pytest.fixture
def server(health: Health) -> Iterator[HealthServer]:
    with serve(health, "127.0.0.1", 0) as running:
        yield running


def ask(
    server: HealthServer, path: str, method: str = "GET", accept: str = ""
) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request(method, path, headers={"Accept": accept} if accept else {})
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


@pytest.fixture
def ipv6() -> None:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            pass
    except OSError as error:
        pytest.skip(f"this machine has no IPv6: {error}")


@pytest.mark.usefixtures("ipv6")
@pytest.mark.parametrize("host", ["::1", "[::1]", "::", "[::]"])
def test_it_listens_on_addresses_of_ipv6(health: Health, host: str) -> None:
    check_address(host, 0)
    with serve(health, host, 0) as running:
        connection = http.client.HTTPConnection(asked_at(host), running.port, timeout=10)
        connection.request("GET", "/-/healthy")
        assert connection.getresponse().status == 200
        connection.close()
        for listen in (check_address, lambda *address: serve(health, *address)):
            with pytest.raises(OSError, match=rf"cannot listen on \[{host.strip('[]')}\]:{running.port} for metrics"):
                listen(host, running.port)


def test_a_name_without_an_address_is_said(health: Health) -> None:
    for listen in (check_address, lambda *address: serve(health, *address)):
        with pytest.raises(OSError, match=r"cannot listen on no-such-name.invalid:0 .*Choose another --metrics-host"):
            listen("no-such-name.invalid", 0)


def all_met(health: Health) -> None:
    health.set("bundle", True)
    health.set("index", True)
    health.beat()


def test_starts_alive_and_not_ready(server: HealthServer) -> None:
    response, body = ask(server, "/-/healthy")
    assert response.status == 200
    assert json.loads(body) == {"healthy": True, "heartbeat_age_s": None, "heartbeat_timeout_s": 30}
    response, body = ask(server, "/-/ready")
    assert response.status == 503
    assert json.loads(body)["conditions"]["index"] == {"ok": False, "why": "not reached yet"}


def test_ready_once_every_condition_holds_and_the_flow_beats(server: HealthServer, health: Health) -> None:
    health.set("bundle", True)
    health.set("index", True)
    assert ask(server, "/-/ready")[0].status == 503, "no sign of life yet"
    health.beat()
    response, body = ask(server, "/-/ready")
    assert response.status == 200
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"
    assert json.loads(body)["ready"] is True


def test_the_body_says_why_it_is_not_ready(server: HealthServer, health: Health) -> None:
    all_met(health)
    health.set("index", False, "the broker does not answer")
    response, body = ask(server, "/-/ready")
    assert response.status == 503
    assert json.loads(body)["conditions"] == {
        "bundle": {"ok": True},
        "index": {"ok": False, "why": "the broker does not answer"},
    }


def test_without_a_beat_for_the_timeout_it_is_neither_alive_nor_ready(
    server: HealthServer, health: Health, clock: HandClock
) -> None:
    all_met(health)
    clock.now += 30
    assert (health.healthy(), ask(server, "/-/healthy")[0].status, ask(server, "/-/ready")[0].status) == (
        True,
        200,
        200,
    )
    clock.now += 0.001
    assert (health.healthy(), ask(server, "/-/healthy")[0].status, ask(server, "/-/ready")[0].status) == (
        False,
        503,
        503,
    )
    health.beat()
    assert (health.healthy(), ask(server, "/-/healthy")[0].status, ask(server, "/-/ready")[0].status) == (
        True,
        200,
        200,
    )


def test_a_long_start_is_not_unhealthy(health: Health, clock: HandClock) -> None:
    clock.now += 3600
    assert health.healthy()
    assert not health.ready()[0]


def test_a_wrong_condition_is_refused_with_the_right_ones(health: Health) -> None:
    with pytest.raises(ValueError, match="no condition 'indx'; there are: bundle, index"):
        health.set("indx", True)


def test_the_metrics_say_the_same(health: Health) -> None:
    before = HEARTBEAT._value.get()
    all_met(health)
    assert HEARTBEAT._value.get() > before - 1
    assert HEARTBEAT._value.get() > 1_600_000_000
    assert READY.labels("index")._value.get() == 1
    health.set("index", False, "gone")
    assert READY.labels("index")._value.get() == 0


def test_metrics_of_the_given_registry(health: Health) -> None:
    registry = CollectorRegistry()
    Counter("tea", "Cups.", registry=registry).inc()
    with serve(health, "127.0.0.1", 0, registry) as server:
        response, body = ask(server, "/metrics")
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/plain")
        assert b"tea_total 1.0" in body
        response, body = ask(server, "/metrics?x=1", accept="application/openmetrics-text; version=1.0.0")
        assert response.headers["Content-Type"].startswith("application/openmetrics-text")
        assert body.endswith(b"# EOF\n")


def test_metrics_are_ours_by_default(server: HealthServer) -> None:
    assert b"ralm_heartbeat_timestamp_seconds" in ask(server, "/metrics")[1]


@pytest.mark.parametrize("path", ["/metrics", "/-/healthy", "/-/ready", "/nothing", "/", "/status.js"])
def test_head_is_get_without_the_body(server: HealthServer, path: str) -> None:
    get, body = ask(server, path)
    head, nothing = ask(server, path, "HEAD")
    assert (head.status, nothing) == (get.status, b"")
    assert head.headers["Content-Type"] == get.headers["Content-Type"]
    if path != "/metrics":  # the processor time in it has moved on
        assert int(head.headers["Content-Length"]) == len(body)


@pytest.mark.parametrize(
    "path", ["/status", "/status.html", "/metrics/", "/-/", "/-/healthy/x", "/../etc/passwd", "/[", "/favicon.ico", "*"]
)
def test_everything_else_is_not_found(server: HealthServer, path: str) -> None:
    response, body = ask(server, path)
    assert response.status == 404
    assert json.loads(body) == {"error": "there are /, /metrics, /-/status, /-/healthy and /-/ready"}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", ["/metrics", "/-/ready"])
def test_only_get_and_head(server: HealthServer, method: str, path: str) -> None:
    response, _ = ask(server, path, method)
    assert response.status == 405
    assert response.headers["Allow"] == "GET, HEAD"


def test_an_unheard_of_method_is_refused(server: HealthServer) -> None:
    assert ask(server, "/metrics", "BREW")[0].status == 501


def test_says_nothing_of_the_interpreter(server: HealthServer) -> None:
    assert "Python" not in (ask(server, "/metrics")[0].headers["Server"] or "")


def test_a_client_that_says_nothing_holds_up_nobody(server: HealthServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10):
        assert ask(server, "/-/healthy")[0].status == 200


@contextmanager
def clients(server: HealthServer, count: int, said: bytes = b"") -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        opened = [stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 10)) for _ in range(count)]
        for each in opened:
            each.sendall(said)
        yield opened


def handlers() -> int:
    """How many threads serve clients now."""
    return sum("process_request_thread" in thread.name for thread in threading.enumerate())


@pytest.mark.parametrize("said", [b"", b"GET /metrics HTTP/1.1\r\nX-Slow: "])
def test_many_clients_that_never_finish_leave_the_pages_to_others(server: HealthServer, said: bytes) -> None:
    wait_until(lambda: handlers() == 0)
    with clients(server, 3 * MAX_CLIENTS, said):
        for path in ("/metrics", "/-/healthy"):
            assert ask(server, path)[0].status == 200
        wait_until(lambda: handlers() <= MAX_CLIENTS)
    wait_until(lambda: handlers() == 0)


def test_a_client_that_speaks_slowly_is_hung_up_on_in_time(health: Health) -> None:
    with (
        serve(health, "127.0.0.1", 0, client_s=0.5) as server,
        clients(server, 1, b"GET /metrics HTTP/1.1\r\n") as (slow,),
    ):

        def hung_up() -> bool:
            try:
                slow.sendall(b"X: y\r\n")  # never silent for long, never done
            except OSError:
                return True
            time.sleep(0.05)
            return False

        wait_until(hung_up)
        wait_until(lambda: handlers() == 0)


def test_a_client_that_does_not_take_its_answer_is_hung_up_on(health: Health) -> None:
    registry = CollectorRegistry()
    many = Counter("many", "Much to send.", ["label"], registry=registry)
    for number in range(20_000):
        many.labels("x" * 100 + str(number)).inc()
    with (
        serve(health, "127.0.0.1", 0, registry, client_s=1.0) as server,
        clients(server, 3, b"GET /metrics HTTP/1.1\r\n\r\n"),
    ):
        wait_until(lambda: handlers() >= 1)
        wait_until(lambda: handlers() == 0)
        assert ask(server, "/-/healthy")[0].status == 200


@pytest.mark.parametrize(
    "said",
    [
        b"GET /" + b"x" * MAX_QUESTION_BYTES,
        b"GET /metrics HTTP/1.1\r\n" + b"X: y\r\n" * (MAX_QUESTION_BYTES // 6),
        b"GET /metrics HTTP/1.1\r\nX: " + b"y" * MAX_QUESTION_BYTES,
    ],
)
def test_an_endless_question_is_refused(server: HealthServer, said: bytes) -> None:
    with clients(server, 1, said[:MAX_QUESTION_BYTES]) as (client,):
        answer = client.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.0 431 "), answer[:100]


@pytest.mark.parametrize(
    "said", [b"\x16\x03\x01\x02\x00\r\n\r\n", b"<script> x HTTP/9.9\r\n\r\n", b"GET\r\n\r\n", b"A B C D\r\n\r\n"]
)
def test_nonsense_is_refused_without_repeating_it(server: HealthServer, said: bytes) -> None:
    with clients(server, 1, said) as (client,):
        answer = client.makefile("rb").read()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 "), answer[:100]
    for word in (b"script", b"html", b"Traceback", b"Python", b"\x16"):
        assert word not in answer
    assert json.loads(body).keys() == {"error"}


def test_every_answer_has_the_same_careful_headers(server: HealthServer) -> None:
    for path, method in (
        ("/metrics", "GET"),
        ("/-/status", "GET"),
        ("/", "GET"),
        ("/-/ready", "GET"),
        ("/x", "GET"),
        ("/metrics", "POST"),
        ("/", "BREW"),
    ):
        headers = dict(ask(server, path, method)[0].headers)
        assert headers["Server"].strip() == "ralm"
        assert (headers["Cache-Control"], headers["X-Content-Type-Options"]) == ("no-store", "nosniff")
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers.keys() <= {
            "Server",
            "Date",
            "Content-Type",
            "Content-Length",
            "Cache-Control",
            "X-Content-Type-Options",
            "Content-Security-Policy",
            "Connection",
            "Allow",
        }


def test_no_address_is_not_every_address(health: Health) -> None:
    with pytest.raises(OSError, match="no address is named"):
        serve(health, "", 0)


def test_listens_on_the_given_address_only(server: HealthServer) -> None:
    assert server._server.server_address[0] == "127.0.0.1"


def test_a_port_in_use_is_refused_with_advice(health: Health, server: HealthServer) -> None:
    with pytest.raises(OSError, match=rf"cannot listen on 127.0.0.1:{server.port} .*--metrics-port"):
        serve(health, "127.0.0.1", server.port)
    with pytest.raises(OSError, match=r"cannot listen on 127.0.0.1:65536"):
        serve(health, "127.0.0.1", 65536)


def test_close_frees_the_port_and_its_thread(health: Health) -> None:
    server = serve(health, "127.0.0.1", 0)
    assert ask(server, "/-/healthy")[0].status == 200
    server.close()
    server.close()
    assert "health" not in {thread.name for thread in threading.enumerate() if thread is server._thread}
    with pytest.raises(OSError, match="refused"):
        ask(server, "/-/healthy")
    with serve(health, "127.0.0.1", server.port) as again:
        assert again.port == server.port


def test_a_broken_metric_does_not_end_the_server(health: Health, server: HealthServer) -> None:
    class Broken:
        def collect(self) -> None:
            raise RuntimeError

    with serve(health, "127.0.0.1", 0, registry=Broken()) as broken:  # type: ignore[arg-type]
        response, body = ask(broken, "/metrics")
        assert response.status == 500
        assert json.loads(body) == {"error": "this page could not be made; the log says why"}
        assert ask(broken, "/-/healthy")[0].status == 200


def test_beats_and_questions_from_many_threads(server: HealthServer, health: Health) -> None:
    all_met(health)
    seen: list[int] = []

    def work() -> None:
        for _ in range(20):
            health.beat()
            health.set("index", True)
            seen.append(ask(server, "/-/ready")[0].status)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [200] * 80
    assert REGISTRY.get_sample_value("ralm_ready", {"condition": "index"}) == 1


@pytest.mark.parametrize("version", ["1\u00c0.0", "1..0", "x", "", "9" * 5000])
def test_a_version_that_is_none_gets_the_plain_text(server: HealthServer, version: str) -> None:
    response, body = ask(server, "/metrics", accept=f"application/openmetrics-text; version={version}")
    assert response.status == 200
    assert b"ralm_" in body
