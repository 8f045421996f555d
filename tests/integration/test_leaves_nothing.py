"""What a command has done is over when it ends: it leaves no consumer group, no topic and no temporary file behind."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from confluent_kafka.admin import AdminClient
from scenario import USERS, clicks, is_final, oracle, send_clicks
from waiting import wait_until

from flows.config.flow_process import free_port

pytestmark = pytest.mark.broker


def on_the_broker(servers: str) -> tuple[set[str], set[str]]:
    """Its consumer groups and its topics, but for those of the broker itself."""
    admin = AdminClient({"bootstrap.servers": servers})
    groups = {group.group_id for group in admin.list_consumer_groups(request_timeout=20).result().valid}
    return groups, {name for name in admin.list_topics(timeout=20).topics if not name.startswith("__")}


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


@pytest.mark.embedded_too
def test_a_command_leaves_no_group_no_topic_and_no_temporary_file(
    client: Any, flow: Callable[..., Any], tmp_path: Path
) -> None:
    temporary, work = tmp_path / "tmp", tmp_path / "work"
    temporary.mkdir()
    work.mkdir()
    running = flow(group_id=f"{client.prefix}group", metrics_port=str(free_port("127.0.0.1", 0)))
    running.environment["TMPDIR"] = str(temporary)
    made = clicks(np.random.default_rng(2), 500, int(time.time() * 1000) - 5000)
    send_clicks(client, made)
    client.send_all("clicks", [("bad", b"{nonsense")])
    running.start()
    wait_until(lambda: is_final(client, oracle(made, 10**9), least=3))
    (letter,) = wait_until(lambda: client.read("dead-letters"))
    running.environment["RALM_GROUP_ID"] = f"{client.prefix}another"
    before = on_the_broker(client.servers)
    lines = work / "clicks.jsonl"
    lines.write_text("".join(json.dumps(click) + "\n" for click in made[:20]))
    for arguments in (
        ["topics", "--dry-run"],
        ["topics"],
        ["run", "look-alike", "--check"],
        ["run", "seeds", "--check"],
        ["ask", USERS[0], "--json"],
        ["replay", "--clicks", str(lines)],
        ["dead-letters", "list"],
        ["dead-letters", "count"],
        ["dead-letters", "explain", str(letter.partition()), str(letter.offset())],
        ["dead-letters", "redrive", "--dry-run"],
        ["dead-letters", "redrive"],
        ["state", "show"],
        ["state", "item", "item-1"],
        ["state", "verify"],
        ["state", "backup", str(work / "backup")],
        ["top", "--once"],
    ):
        done = running.command(*arguments)
        assert "Traceback" not in done.stderr, (arguments, done.stderr)
        assert done.returncode == 0 or "--check" in arguments, (arguments, done.stderr)  # its port is the flow's
        assert on_the_broker(client.servers) == before, arguments
        assert not files(temporary), arguments
    assert running.stop() == [0]


@pytest.mark.slow
def test_the_benchmark_leaves_no_group_on_its_broker_and_no_folder(tmp_path: Path, own_broker: Any) -> None:
    """The raw client of ``bench ingest`` reads under a group of its own, of which nothing may be left."""
    from flows.bench.ingest import _fill, _read_raw  # noqa: PLC0415
    from flows.config.settings import Settings  # noqa: PLC0415
    from flows.kafka.admin import make_topics  # noqa: PLC0415

    settings = Settings(bootstrap_servers=own_broker.bootstrap_servers)
    make_topics(settings)
    _fill(settings, 2000)
    assert _read_raw(settings, 2000) > 0
    groups, _ = on_the_broker(own_broker.bootstrap_servers)
    assert groups == set()
    assert os.listdir(tmp_path) == ["own-broker"]
