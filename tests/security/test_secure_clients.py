"""TLS and SASL reach every client: the whole system works through a door that lets nobody else in."""

import json
import signal
import time
from typing import Any

import click
import pytest
from clients import PlainClient
from waiting import wait_until

from flows.cli import main as cli
from flows.config.settings import Settings
from flows.kafka.range_reader import read_to_end

pytestmark = pytest.mark.broker
USER = ("ralm-user", "canary-pa55word")
PRODUCE, FETCH, CREATE_TOPICS, OFFSET_COMMIT, DESCRIBE_CONFIGS, INIT_PRODUCER = 0, 1, 19, 8, 32, 22


def settings_for(certificates: Any, door: Any) -> dict[str, str]:
    """What it takes to come through the door."""
    return {
        "bootstrap_servers": door.address,
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "PLAIN",
        "sasl_username": USER[0],
        "sasl_password": USER[1],
        "ssl_ca_location": certificates.ca,
        **certificates.client,
    }


def write_events(home: Any, start: int) -> None:
    clicks = [{"user_id": f"user-{n % 20}", "item_id": f"item-{n % 3}", "ts": start + n} for n in range(60)]
    requests = [{"request_id": f"r{n}", "user_id": f"user-{n}", "ts": start + 100} for n in range(5)]
    for name, rows in (("clicks", clicks), ("requests", requests)):
        (home / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_the_whole_system_works_through_a_door_that_asks_for_certificate_and_password(
    door: Any, certificates: Any, ralm: Any, own_broker: Any
) -> None:
    secure = door(certificates.door, USER)
    run = ralm(**settings_for(certificates, secure))
    code, said = run("topics")
    assert code == 0, said
    assert secure.seen.requests >= {CREATE_TOPICS}
    assert run("topics")[0] == 0
    assert secure.seen.requests >= {DESCRIBE_CONFIGS}

    write_events(run.home, int(time.time() * 1000) - 5000)
    before = len(secure.seen.users)
    code, said = run("replay", "--clicks", "clicks.jsonl", "--requests", "requests.jsonl")
    assert code == 0, said
    assert len(secure.seen.users) > before
    behind = PlainClient(own_broker.bootstrap_servers, "t.")  # reads past the door
    behind.send("clicks", "item-0", b"no click")
    behind.flush()

    process = run.start("run", "look-alike")
    try:
        wait_until(lambda: process.poll() is not None or len(behind.read("scores")) == 5)
        assert process.poll() is None, run.said()
        wait_until(
            lambda: {m.key().split(b"/")[1] for m in behind.read("centroids")} == {b"item-0", b"item-1", b"item-2"}
        )
        assert len(wait_until(lambda: behind.read("dead-letters"))) == 1
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(120)
    assert code == 0, run.said()
    assert secure.seen.requests >= {PRODUCE, FETCH, OFFSET_COMMIT, INIT_PRODUCER}

    if "dead-letters" in cli.cli.list_commands(click.Context(cli.cli)):
        code, said = run("dead-letters", "list")
        assert code == 0, said
        assert "not_json" in said
    given = Settings(**settings_for(certificates, secure))
    assert len(list(read_to_end(given, "t.scores"))) == 5
    assert set(secure.seen.users) == {USER[0]}
    assert set(secure.seen.certificates) == {"ralm-client.test"}
    assert (secure.seen.refused, secure.seen.wrong, secure.seen.without_user) == (0, 0, 0)
    assert USER[1] not in run.said()


COMMANDS = [("topics",), ("replay", "--clicks", "clicks.jsonl"), ("run", "seeds"), ("run", "scores")]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_who_is_not_let_in_is_told_why_and_soon(
    command: tuple[str, ...], door: Any, certificates: Any, ralm: Any
) -> None:
    secure = door(certificates.door, USER)
    good = settings_for(certificates, secure)
    no_certificate = dict.fromkeys(certificates.client, "")
    cases: list[tuple[dict[str, str], str]] = [
        ({"sasl_password": "another-canary"}, "Invalid username or password"),
        ({"ssl_ca_location": certificates.stranger_ca}, "certificate verify failed"),
        (no_certificate, "certificate"),
        (certificates.stranger, "unknown ca"),
    ]
    for wrong, words in cases if command[0] != "run" else (cases[0], cases[2]):  # a flow takes longer to start
        run = ralm(**{**good, **wrong})
        write_events(run.home, 1_700_000_000_000)
        code, said = run(*command)
        assert code == 1, said
        assert words in said, said
        assert "cannot agree" in said, said
        assert "Traceback" not in said
        assert USER[1] not in said
        assert "another-canary" not in said
    assert not secure.seen.requests, "nothing was passed on"
    assert secure.seen.wrong
    assert secure.seen.refused


def test_a_client_that_speaks_no_tls_is_told_so(door: Any, certificates: Any, ralm: Any) -> None:
    secure = door(certificates.door)
    code, said = ralm(bootstrap_servers=secure.address)("topics")
    assert code == 1
    assert "security_protocol" in said
