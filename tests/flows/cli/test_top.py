"""``ralm top``: the status page's report as tables."""

import io
from collections.abc import Iterator

import pytest
from click.testing import CliRunner
from rich.console import Console
from status_world import World

from flows.cli.commands.top import command
from flows.cli.top_view import top_view
from flows.support.errors import RalmError
from flows.support.metrics_page import MetricsServer
from monitoring.health_server import HealthServer, serve


@pytest.fixture
def world() -> World:
    return World("clicks", "requests", "centroids")


@pytest.fixture
def server(world: World) -> Iterator[HealthServer]:
    with serve(world.health, "127.0.0.1", 0, world.registry, status=world.status) as running:
        yield running


def printed(report: dict[str, object]) -> str:
    out = io.StringIO()
    Console(file=out, width=120).print(top_view(report, "127.0.0.1:9"))
    return out.getvalue()


def test_it_shows_what_the_page_shows(world: World, server: HealthServer) -> None:
    world.items.labels("0").set(7)
    world.index_items.set(3)
    world.requests.labels("ok").inc(19)
    world.letters.labels("clicks", "not_json").inc(2)
    world.windows.closed(0, {300_000: 3})
    world.windows.settled(300_000, "too_few_seeds", 2)
    done = CliRunner().invoke(command, ["--once", "--metrics-port", str(server.port)])
    assert done.exit_code == 0, done.output
    for words in (
        "Ready, and keeping up.",
        "news.clicks",
        "3 live, 4 cold, 7 known",
        "2 too few seeds",
        "100.0%",
        "2 clicks not_json",
        "model version m1",
    ):
        assert words in done.output, words


@pytest.mark.parametrize("reads", [("clicks", "candidates"), ("requests", "centroids")])
def test_each_half_can_be_shown(reads: tuple[str, ...]) -> None:
    text = printed(World(*reads).report())
    assert ("windows" in text) == ("clicks" in reads)
    assert ("answers" in text) == ("requests" in reads)


def test_where_nothing_answers_it_says_so(server: HealthServer) -> None:
    server.close()
    done = CliRunner().invoke(command, ["--once", "--metrics-port", str(server.port)])
    assert isinstance(done.exception, RalmError)
    assert f"no flow answers at http://127.0.0.1:{server.port}/" in str(done.exception)


@pytest.mark.parametrize("host", ["::1", "[::1]", "::"])
def test_an_address_of_ipv6_stands_in_brackets(host: str) -> None:
    done = CliRunner().invoke(command, ["--once", "--metrics-host", host, "--metrics-port", "1"])
    assert "no flow answers at http://[::1]:1/" in str(done.exception)


@pytest.mark.parametrize("answer", [b"<html>", b"[" * 5000, b"[1]", b'{"verdict": "good", "flow": 1}', b"\xff"])
def test_another_server_at_the_port_is_told_from_a_flow(monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    monkeypatch.setattr(MetricsServer, "_bytes", lambda *_: (200, answer))
    done = CliRunner().invoke(command, ["--once"])
    assert isinstance(done.exception, RalmError)
    assert "no flow answers at http://127.0.0.1:" in str(done.exception)
    with pytest.raises(OSError, match="are not metrics"):
        MetricsServer("127.0.0.1", 9).page()
