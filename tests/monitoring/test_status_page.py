"""The status page as a browser draws it, and as it comes over the wire."""

import http.client
import re
from collections.abc import Iterator
from importlib.resources import files

import pytest
from browser import Page, browser
from status_world import World

from monitoring.health_server import HealthServer, serve

PARTS = ("status.html", "status.css", "status.js")


@pytest.fixture
def world() -> World:
    return World("clicks", "requests", "centroids")


@pytest.fixture
def server(world: World) -> Iterator[HealthServer]:
    with serve(world.health, "127.0.0.1", 0, world.registry, status=world.status) as running:
        yield running


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with browser() as made:
        yield made


def get(server: HealthServer, path: str) -> tuple[http.client.HTTPResponse, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response, response.read().decode()
    finally:
        connection.close()


def test_the_page_and_its_parts_come_from_the_package(server: HealthServer) -> None:
    kinds = {"/": "text/html", "/status.css": "text/css", "/status.js": "text/javascript"}
    for (path, kind), name in zip(kinds.items(), PARTS, strict=True):
        response, body = get(server, path)
        assert (response.status, response.headers.get_content_type()) == (200, kind)
        assert body == (files("monitoring") / "page" / name).read_text()


def test_the_page_may_load_its_own_files_only(server: HealthServer) -> None:
    policy = get(server, "/")[0].headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'")
    for name in PARTS:
        text = (files("monitoring") / "page" / name).read_text()
        assert re.findall(r"https?://\S+", text) in ([], ["http://www.w3.org/2000/svg',"] * text.count("2000/svg'")), (
            name
        )
        assert "innerHTML" not in text, "what comes from a topic is never markup"


def test_it_draws_what_there_is(page: Page, server: HealthServer, world: World) -> None:
    world.read.labels("clicks").inc(1234)
    world.items.labels("0").set(7)
    world.index_items.set(3)
    world.watermark.labels("0").set(1_000_000)
    world.requests.labels("ok").inc(19)
    world.requests.labels("expired").inc(1)
    world.letters.labels("clicks", "not_json").inc(2)
    world.windows.closed(0, {300_000: 3})
    world.windows.settled(300_000, "emitted")
    world.windows.settled(300_000, "too_few_seeds", 2)
    page.open(f"http://127.0.0.1:{server.port}/")
    page.wait("document.getElementById('band').className", lambda name: name == "good")
    assert page.text("#headline") == "Ready, and keeping up."
    assert "1,234" in page.text("#inputs")
    assert "news.clicks" in page.text("#inputs")
    assert re.search(r"live: have centroids, are served\s+3\b", page.text("#items"))
    assert re.search(r"cold: too few seeds so far\s+4\b", page.text("#items"))
    assert re.search(r"1970-01-01 00:05:00\s+now\s+3\s+1\s+0\s+2 too few seeds", page.text("#windows"))
    assert re.search(r"ok\s+19\s+19\s+95%", page.text("#requests"))
    assert re.search(r"clicks\s+not json\s+2", page.text("#letters"))
    assert "m1" in page.text("#model")
    assert page.errors == [], "nothing is refused by the page's own policy"
    base = f"http://127.0.0.1:{server.port}/"
    assert {url for url in page.requested if not url.startswith("data:")} <= {base} | {
        base + name for name in ("status.css", "status.js", "-/status")
    }


def test_it_changes_without_a_reload_and_says_when_the_flow_is_gone(
    page: Page, server: HealthServer, world: World
) -> None:
    page.open(f"http://127.0.0.1:{server.port}/")
    page.wait("document.getElementById('band').className", lambda name: name == "warning")
    assert "no click has arrived" in page.text("#headline")
    page.value("window.marked = true")
    world.health.set("index", False, "<b>the broker</b> does not answer")
    page.wait("document.getElementById('band').className", lambda name: name == "bad")
    assert page.text("#headline") == "Not ready: index: <b>the broker</b> does not answer"
    server.close()
    page.wait("document.getElementById('band').className", lambda name: name == "unknown")
    assert "The flow does not answer" in page.text("#headline")
    assert page.value("window.marked") is True


@pytest.mark.parametrize("reads", [("clicks", "candidates"), ("requests", "centroids")])
def test_each_half_shows_its_own_parts_only(page: Page, reads: tuple[str, ...]) -> None:
    world = World(*reads)
    with serve(world.health, "127.0.0.1", 0, world.registry, status=world.status) as server:
        page.open(f"http://127.0.0.1:{server.port}/")
        page.wait("document.getElementById('band').className", lambda name: name in ("good", "warning"))
        hidden = {
            name: page.value(f"document.getElementById('{name}').hidden") for name in ("windows", "store", "requests")
        }
    clicks = "clicks" in reads
    assert hidden == {"windows": not clicks, "store": not clicks, "requests": clicks}
    assert page.errors == []
