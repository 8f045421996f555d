"""Host and port of both families, written as others can use them."""

import socket

import pytest

from monitoring.address import asked_at, bare, family_of, host_port


@pytest.mark.parametrize(
    ("host", "shown", "asked"),
    [
        ("127.0.0.1", "127.0.0.1:9", "127.0.0.1"),
        ("0.0.0.0", "0.0.0.0:9", "127.0.0.1"),
        ("kafka-1.example.", "kafka-1.example.:9", "kafka-1.example."),
        ("::", "[::]:9", "::1"),
        ("0:0:0:0:0:0:0:0", "[0:0:0:0:0:0:0:0]:9", "::1"),
        ("[fd00::1]", "[fd00::1]:9", "fd00::1"),
        ("fe80::1%eth0", "[fe80::1%eth0]:9", "fe80::1%eth0"),
    ],
)
def test_an_address_is_written_and_asked(host: str, shown: str, asked: str) -> None:
    assert host_port(host, 9) == shown
    assert asked_at(host) == asked


def test_the_family_is_that_of_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    assert family_of("127.0.0.1") == socket.AF_INET
    assert family_of("[::1]") == socket.AF_INET6
    found = {"both": (socket.AF_INET6, socket.AF_INET), "new": (socket.AF_INET6,)}
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *_, **__: [(each,) for each in found[bare(host)]])
    assert (family_of("both"), family_of("new")) == (socket.AF_INET, socket.AF_INET6)
