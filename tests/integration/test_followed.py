"""What messages about topics say to do, done to the letter with a real flow: nothing that was still there is lost."""

import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from scenario import USERS, is_final, oracle, send_clicks, stored, wait_until_the_index_has_all
from test_topics_change import held, some_clicks
from waiting import wait_until

from flows.messages.codec import decode_centroids
from state.bundle.bundle import Bundle
from tests.toys import toy_bundle

pytestmark = pytest.mark.broker


def positions(state: Path) -> dict[str, int]:
    return {path.name: held(path) for path in sorted((state / "seeds").iterdir())}


def expire(client: Any, before: dict[str, int]) -> None:
    """Have the broker forget clicks before an offset, by partition."""
    admin = AdminClient({"bootstrap.servers": client.servers})
    for name, offset in before.items():
        place = TopicPartition(f"{client.prefix}clicks", int(name), offset)
        for done in admin.delete_records([place]).values():
            done.result(20)


def refused(running: Any) -> str:
    """Start a flow that does not start; what it says last."""
    before = len(running.log_text()) if running.log.exists() else 0
    assert running.start().wait(120) == 1
    running.processes.clear()
    return str(running.log_text()[before:])


def once_with(running: Any, client: Any, expected: dict[str, dict[int, int]]) -> None:
    """Start once with the setting that is advised, and from then on without it."""
    running.environment["RALM_REBUILD"] = "partial"
    running.start()
    wait_until(lambda: is_final(client, expected, least=3))
    assert running.stop() == [0]
    assert "rebuild is partial, which is for one start" in running.log_text()
    del running.environment["RALM_REBUILD"]


def begun_with(flow: Callable[..., Any], client: Any, clicks: Any) -> Any:
    """A flow that has taken clicks in and clustered their items."""
    running = flow()
    running.start()
    send_clicks(client, clicks)
    wait_until(lambda: is_final(client, oracle(clicks, 10**9), least=3))
    return running


def test_clicks_that_expired_before_they_were_read_cost_no_seed_that_a_store_has(
    client: Any, flow: Callable[..., Any]
) -> None:
    items = [f"item-{number}" for number in range(12)]
    old, unread = ([c for item in items for c in some_clicks(item, users)] for users in (range(20), range(20, 40)))
    running = begun_with(flow, client, old)
    assert running.stop() == [0]
    reached = positions(running.home / "state")
    send_clicks(client, unread)
    expire(client, {name: 2 * position for name, position in reached.items()})
    said = refused(running)
    assert "start once with --rebuild partial: all that the store has is kept" in said
    assert len(set(re.findall(r"clicks\[(\d)\]: the store has messages", said))) == 4, "all are said at once"
    assert stored(running.home) == oracle(old, 10**9)
    send_clicks(client, more := [c for item in items for c in some_clicks(item, range(40, 50))])
    once_with(running, client, both := oracle(old + more, 10**9))
    assert stored(running.home) == both
    running.start()
    send_clicks(client, last := [c for item in items for c in some_clicks(item, range(50, 60))])
    wait_until(lambda: is_final(client, oracle(old + more + last, 10**9), least=3))
    assert running.stop() == [0]


def test_a_state_of_the_first_format_is_moved_and_made_again_of_what_the_topic_has(
    client: Any, flow: Callable[..., Any]
) -> None:
    items = [f"item-{number}" for number in range(12)]
    old, kept = ([c for item in items for c in some_clicks(item, users)] for users in (range(20), range(20, 40)))
    running = begun_with(flow, client, old)
    reached = positions(running.home / "state")
    send_clicks(client, kept)
    wait_until(lambda: is_final(client, oracle(old + kept, 10**9), least=3))
    assert running.stop() == [0]
    expire(client, reached)
    state, aside = running.home / "state", running.home / "aside"
    (state / "format.json").unlink()
    assert "move what the state directory holds to another place and start this version" in refused(running)
    aside.mkdir()
    for path in list(state.iterdir()):
        path.rename(aside / path.name)
    assert "its store is not in this state directory" in refused(running)
    once_with(running, client, oracle(kept, 10**9))
    assert stored(running.home) == oracle(kept, 10**9)
    (aside / "state").mkdir()
    (aside / "seeds").rename(aside / "state" / "seeds")
    assert stored(aside) == oracle(old + kept, 10**9), "what was moved is as it was"


def test_halves_another_bundle_and_the_one_before_with_more_least_seeds_cost_no_seed(
    client: Any, flow: Callable[..., Any], bundle: Path, tmp_path: Path
) -> None:
    """What runbooks advise: clustering apart from scoring, the last good bundle, a higher min_seeds."""
    clicks = [c for item, few in (("item-1", 20), ("item-2", 5)) for c in some_clicks(item, range(few))]
    running = begun_with(flow, client, clicks)
    assert running.stop() == [0]
    other = toy_bundle(tmp_path / "other", USERS, dim=16).path
    scoring = flow("scoring")
    scoring.environment["RALM_BUNDLE"] = str(other)
    for number, given in enumerate(({"RALM_BUNDLE": str(other)}, {"RALM_BUNDLE": str(bundle), "RALM_MIN_SEEDS": "10"})):
        running.environment |= given
        version = Bundle.open(Path(running.environment["RALM_BUNDLE"])).version
        before = centroids_of(client, version)
        running.start("seeds")
        if not number:
            scoring.start("scores")
        clicks += (more := some_clicks("item-1", range(20 + number, 21 + number)))
        send_clicks(client, more)
        wait_until(lambda version=version, before=before: centroids_of(client, version) > before)
        if not number:
            wait_until_the_index_has_all(client, int(time.time() * 1000))
        assert running.stop() + scoring.stop() == [0] * (2 - number)
        assert stored(running.home) == oracle(clicks, 10**9)


def centroids_of(client: Any, version: str) -> int:
    """How many messages of centroids a model has made."""
    values = [message.value() for message in client.read("centroids")]
    return sum(decode_centroids(value).model_version == version for value in values if value is not None)


_TOOL = """#!{python}
import argparse
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource
parser = argparse.ArgumentParser(allow_abbrev=False)
for name in ("--bootstrap-server", "--entity-name", "--add-config"):
    parser.add_argument(name, required=True)
parser.add_argument("--entity-type", choices=["topics"], required=True)
parser.add_argument("--alter", action="store_true", required=True)
given = parser.parse_args()
pairs = [each.split("=", 1) for each in given.add_config.split(",")]
entries = [ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in pairs]
resource = ConfigResource("topic", given.entity_name, incremental_configs=entries)
admin = AdminClient({{"bootstrap.servers": given.bootstrap_server}})  # alive until it is done
for done in admin.incremental_alter_configs([resource]).values():
    done.result(20)
"""
"""Takes what Kafka's own tool takes, which needs a Java and is not among the jars of a broker."""


def test_topics_are_altered_with_the_command_that_is_shown(
    client: Any, flow: Callable[..., Any], tmp_path: Path
) -> None:
    running = flow()
    admin, name = AdminClient({"bootstrap.servers": client.servers}), f"{client.prefix}candidates"
    for done in admin.delete_topics([name]).values():
        done.result(20)
    wait_until(lambda: name not in admin.list_topics(timeout=10).topics)
    for done in admin.create_topics([NewTopic(name, 4, 1, config={"cleanup.policy": "delete"})]).values():
        done.result(20)
    wait_until(lambda: name in admin.list_topics(timeout=10).topics)
    client = type(client)(client.servers, client.prefix)
    client.send("candidates", "kept", {"item_id": "kept"})
    client.flush()
    shown = running.command("run", "look-alike", "--check").stdout
    said = re.search(r"cleanup\.policy delete, planned compact.*?alter it with `(kafka-configs\.sh .*?)`", shown)
    assert said is not None, shown
    tool = tmp_path / "kafka-configs.sh"
    tool.write_text(_TOOL.format(python=sys.executable))
    tool.chmod(0o755)
    command = f"PATH={shlex.quote(str(tmp_path))}:$PATH; {said[1]}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    wait_until(lambda: running.command("run", "look-alike", "--check").returncode == 0)
    assert len(client.read("candidates")) == 1
