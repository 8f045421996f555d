"""The address on which a process of a cluster listens for the others."""

import socket
from typing import Any

import pytest

from flows.config.settings import Settings
from flows.preflight import own_address
from flows.preflight.findings import Finding, Verdict
from flows.preflight.own_address import look_at_own_address


def look(addresses: str, process_id: int = 0, wait_s: float = 0.0) -> list[Finding]:
    settings = Settings(addresses=addresses, process_id=process_id)
    return look_at_own_address(settings, stopped=lambda: False, wait_s=wait_s)


def test_a_single_process_has_none() -> None:
    assert look("") == []


def test_only_its_own_is_looked_at_and_a_taken_port_may_pass() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (finding,) = look(f"127.0.0.1:{port},127.0.0.1:1")
        assert (finding.verdict, finding.failure) == (Verdict.PROBLEM, True)
        assert f"cannot listen on 127.0.0.1:{port}: " in finding.text
        with socket.create_server(("127.0.0.1", 0)) as other:
            free = other.getsockname()[1]
        (finding,) = look(f"127.0.0.1:{port},127.0.0.1:{free}", 1)
    assert finding == Finding("own address", Verdict.OK, f"127.0.0.1:{free} is free")
    assert look(f"127.0.0.1:{port}")[0].verdict is Verdict.OK


def test_a_name_that_is_not_known_yet_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def getaddrinfo(host: str, port: int, **_: Any) -> Any:
        asked.append(host)
        if len(asked) < 3:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(own_address.time, "sleep", lambda _: None)
    with socket.create_server(("127.0.0.1", 0)) as other:
        free = other.getsockname()[1]
    (finding,) = look(f"ralm-0.ralm:{free},ralm-1.ralm:{free}", wait_s=60)
    assert (finding.verdict, asked) == (Verdict.OK, ["ralm-0.ralm"] * 3)
    asked.clear()
    (finding,) = look(f"ralm-0.ralm:{free},ralm-1.ralm:{free}")
    assert (finding.verdict, finding.failure) == (Verdict.PROBLEM, True)
    assert "has no address: Name or service not known" in finding.text
