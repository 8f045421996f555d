"""A headless Chromium, spoken to through a pipe (the DevTools protocol), for the tests of pages; it needs no driver."""

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

MISSING = (
    "Chromium is not installed, so what a page draws was NOT checked (Debian: apt-get install chromium; another "
    "browser's path: RALM_TEST_CHROMIUM)"
)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)


def chromium() -> str:
    """Its path; where there is none the test is skipped, and in CI it fails."""
    path = os.environ.get("RALM_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None and os.environ.get("CI") == "true":
        pytest.fail(MISSING)
    if path is None:
        pytest.skip(MISSING)
    return path


class Page:
    """One page of a browser."""

    def __init__(self, reading: int, writing: int, session: str = "") -> None:
        self._reading, self._writing = reading, writing
        self._session = session
        self._number = 0
        self._rest = b""
        self.errors: list[str] = []
        self.requested: list[str] = []

    def call(self, method: str, **given: Any) -> dict[str, Any]:
        """A command of the protocol, and its answer."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": given}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._writing, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result
            self._note(answer)

    def attach(self) -> None:
        """Open an empty page."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def open(self, url: str, *, width: int = 1400, height: int = 900) -> None:
        """Go to an address, with nothing left of the page before."""
        self.call("Page.navigate", url="about:blank")
        self.wait("location.href", lambda href: href == "about:blank")
        self.errors.clear()
        self.requested.clear()
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        self.call("Page.navigate", url=url)
        self.wait("location.href + ' ' + document.readyState", lambda at: at == f"{url} complete")

    def value(self, expression: str) -> Any:
        """What a JavaScript expression is."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, expression: str, holds: Callable[[Any], object] = bool, timeout_s: float = 60.0) -> Any:
        """Wait until what an expression is will do."""
        until = time.monotonic() + timeout_s
        while not holds(found := self.value(expression)):
            assert time.monotonic() < until, (expression, found, self.errors)
            time.sleep(0.05)
        return found

    def text(self, selector: str) -> str:
        """The text of an element as it is seen."""
        return str(self.value(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''"))

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            more = os.read(self._reading, 1 << 20)
            assert more, "the browser has ended"
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        return message

    def _note(self, event: dict[str, Any]) -> None:
        match event.get("method"):
            case "Runtime.exceptionThrown":
                self.errors.append(str(event["params"]["exceptionDetails"]))
            case "Log.entryAdded" if event["params"]["entry"]["level"] == "error":
                self.errors.append(str(event["params"]["entry"]))
            case "Network.requestWillBeSent":
                self.requested.append(event["params"]["request"]["url"])


@contextmanager
def browser() -> Iterator[Page]:
    """A browser with one page, and no profile, no network of its own."""
    path = chromium()
    to_us, from_browser = os.pipe()
    to_browser, from_us = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        # The browser reads commands from descriptor 3 and answers on 4.
        command = f'exec "$0" "$@" 3<&{to_browser} 4>&{from_browser}'
        process = subprocess.Popen(
            ["bash", "-c", command, path, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(to_browser, from_browser),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        page = Page(to_us, from_us)
        try:
            page.attach()
            yield page
            page._session = ""
            page.call("Browser.close")
        finally:
            for descriptor in (to_us, from_us):
                os.close(descriptor)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(20)
