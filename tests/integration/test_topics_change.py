"""Topics that are made anew, deleted or grown, under a flow and while it is stopped: noticed, said, handled."""

import json
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from brokers.topics import wait_for_topics
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
)
from scenario import is_final, last_centroids, oracle, send_clicks, send_request, stored
from waiting import wait_until

from flows.config.flow_process import free_port
from flows.messages.codec import decode_centroids
from state.directory import partition_counts
from state.store.seed_store import SeedStore, StoreError

pytestmark = [pytest.mark.broker, pytest.mark.embedded_too]


HOUR = 3_600_000
COMPACTED = ("candidates", "centroids")


def some_clicks(item: str, users: range) -> list[dict[str, object]]:
    now = int(time.time() * 1000) - 3000
    return [{"user_id": f"user-{user}", "item_id": item, "ts": now + user} for user in users]


def delete(client: Any, *kinds: str) -> None:
    admin = AdminClient({"bootstrap.servers": client.servers})
    for done in admin.delete_topics([client.prefix + kind for kind in kinds]).values():
        done.result(20)
    wait_until(lambda: not {client.prefix + kind for kind in kinds} & set(admin.list_topics(timeout=10).topics))


def make(client: Any, *kinds: str, partitions: int = 4) -> None:
    admin = AdminClient({"bootstrap.servers": client.servers})
    config = {kind: {"cleanup.policy": "compact" if kind in COMPACTED else "delete"} for kind in kinds}
    new = [NewTopic(client.prefix + kind, partitions, 1, config=config[kind]) for kind in kinds]
    for done in admin.create_topics(new).values():
        done.result(20)
    wait_for_topics(client.servers, [client.prefix + kind for kind in kinds])


def make_anew(client: Any, *kinds: str, partitions: int = 4) -> Any:
    """Delete topics and make them again; a new client, since the old one does not know of it."""
    delete(client, *kinds)
    make(client, *kinds, partitions=partitions)
    return type(client)(client.servers, client.prefix)


def ready(port: int) -> dict[str, Any]:
    try:
        with urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=10) as page:
            found = json.load(page)
    except HTTPError as error:
        found = json.load(error)
    except OSError:
        return {"ready": False, "conditions": {}}
    return dict(found)


@pytest.mark.parametrize(("kinds", "partitions"), [(("clicks",), 4), (("clicks", "candidates"), 6)])
def test_clicks_made_anew_while_stopped_are_refused_and_then_read_with_all_seeds_kept(
    client: Any, flow: Callable[..., Any], kinds: tuple[str, ...], partitions: int
) -> None:
    """Another cluster by mistake looks like that too: nothing may be moved before it is refused."""
    old, new = some_clicks("old", range(50)), some_clicks("new", range(80)) + some_clicks("newer", range(90))
    running = flow(partitioner="crc32")  # they are few
    running.start()
    send_clicks(client, old)
    wait_until(lambda: is_final(client, oracle(old, 10**9), least=3))
    assert running.stop() == [0]
    before = kept(running.home)
    client = make_anew(client, *kinds, partitions=partitions)
    send_clicks(client, new)
    assert running.start().wait(120) == 1
    assert "is not what the store was filled from" in running.log_text()
    assert kept(running.home) == before
    assert stored(running.home) == oracle(old, 10**9)
    running.processes.clear()
    running.environment["RALM_REBUILD"] = "partial"
    running.start()
    wait_until(lambda: is_final(client, oracle(old + new, 10**9), least=3))
    assert running.stop() == [0]
    assert stored(running.home) == oracle(old + new, 10**9)
    del running.environment["RALM_REBUILD"]  # it was for once
    running.start()
    send_clicks(client, more := some_clicks("old", range(50, 60)))
    wait_until(lambda: is_final(client, oracle(old + new + more, 10**9), least=3))
    assert running.stop() == [0]


def test_clicks_that_come_again_in_a_topic_made_anew_change_no_seed_set(client: Any, flow: Callable[..., Any]) -> None:
    """As of a cluster that was restored; those from before a gap are of a set that has ended."""
    ended = [{**click, "ts": int(str(click["ts"])) - 2 * HOUR} for click in some_clicks("one", range(30, 90))]
    made = some_clicks("one", range(40)) + some_clicks("two", range(10))
    running = flow(item_ttl="1h")
    running.start()
    for part in (ended, made):
        send_clicks(client, part)
        wait_until(lambda part=part: is_final(client, oracle(part, 10**9), least=3))
    assert running.stop() == [0]
    assert stored(running.home, max_gap=HOUR) == oracle(made, 10**9)
    client = make_anew(client, "clicks")
    send_clicks(client, ended + made)
    running.environment["RALM_REBUILD"] = "partial"
    running.start()
    more = some_clicks("one", range(100, 110))
    send_clicks(client, more)
    wait_until(lambda: newest_seeds(client)["one"] == 50)
    assert running.stop() == [0]
    assert stored(running.home, max_gap=HOUR) == oracle(made + more, 10**9)


def kept(home: Path) -> tuple[list[int], dict[str, tuple[int, int]]]:
    """What a state directory says of the topics' offsets: nothing that is refused may change it."""
    stores = {path.name: path for path in sorted((home / "state" / "seeds").iterdir())}
    found = {}
    for name, path in stores.items():
        with closing(SeedStore.inspect(path)) as store:
            found[name] = (store.meta.epoch, store.position)
    return partition_counts(home / "state"), found


def newest_seeds(client: Any) -> dict[str, int]:
    """Of how many seeds each item's newest centroids are, as a scorer orders them."""
    found: dict[str, tuple[tuple[int, int], int]] = {}
    for message in client.read("centroids"):
        if message.value() is not None:
            made = decode_centroids(message.value())
            found[made.item_id] = max(
                found.get(made.item_id, ((0, 0), 0)), ((made.window_end, made.clicks_offset), made.seeds)
            )
    return {item: seeds for item, (_, seeds) in found.items()}


def test_clicks_with_fewer_partitions_are_refused_and_then_read_with_all_items_brought_home(
    client: Any, flow: Callable[..., Any]
) -> None:
    old = [click for n in range(12) for click in some_clicks(f"item-{n}", range(20))]
    new = [click for n in range(6, 18) for click in some_clicks(f"item-{n}", range(10, 25))]
    running = flow()
    running.start()
    send_clicks(client, old)
    wait_until(lambda: is_final(client, oracle(old, 10**9), least=3))
    assert running.stop() == [0]
    assert "what 4 stores know" in running.command("run", "look-alike", "--check").stdout
    client = make_anew(client, "clicks", "candidates", partitions=2)
    send_clicks(client, new)
    looked = running.command("run", "look-alike", "--check")
    assert looked.returncode == 2
    (line,) = [line for line in looked.stdout.splitlines() if line.startswith("problem")]
    assert f"topic {client.prefix}clicks: the topic" in line
    for said in (line, running.start().wait(120) == 1 and running.log_text()):
        assert "has 2 partitions, but the state knows 4" in said
        assert "start once with --rebuild partial: all seed sets are kept" in said
    assert stored(running.home) == oracle(old, 10**9)
    running.processes.clear()
    running.environment["RALM_REBUILD"] = "partial"
    looked = running.command("run", "look-alike", "--check")
    assert (looked.returncode, "rebuild is partial: all seed sets are kept" in looked.stdout) == (0, True)
    running.start()
    both = oracle(old + new, 10**9)
    wait_until(lambda: is_final(client, both, least=3))
    assert running.stop() == [0]
    assert stored(running.home) == both
    assert newest_seeds(client) == {item: len(seeds) for item, seeds in both.items()}
    del running.environment["RALM_REBUILD"]  # it was for once
    running.start()
    send_clicks(client, more := some_clicks("item-3", range(50, 60)))
    wait_until(lambda: is_final(client, oracle(old + new + more, 10**9), least=3))
    assert running.stop() == [0]
    assert stored(running.home) == oracle(old + new + more, 10**9)


def test_a_store_that_lies_elsewhere_is_rebuilt_if_the_topic_has_all_of_it_else_refused(
    client: Any, flow: Callable[..., Any]
) -> None:
    running, made = flow(), [click for n in range(12) for click in some_clicks(f"item-{n}", range(20))]
    running.start()
    send_clicks(client, made)
    wait_until(lambda: is_final(client, oracle(made, 10**9), least=3))
    assert running.stop() == [0]
    store = next(path for path in sorted((running.home / "state" / "seeds").iterdir()) if held(path))
    store.rename(running.home / "rebuilt")
    running.start()
    wait_until(lambda: "a store that is not here is rebuilt" in running.log_text())
    wait_until(lambda: held(store) == held(running.home / "rebuilt"))
    assert running.stop() == [0]
    assert stored(running.home) == oracle(made, 10**9)
    aside = store.rename(running.home / "elsewhere")
    admin = AdminClient({"bootstrap.servers": client.servers})
    place = TopicPartition(f"{client.prefix}clicks", int(store.name), held(aside) // 2)
    for done in admin.delete_records([place]).values():
        done.result(20)
    assert running.start().wait(120) == 1
    running.processes.clear()
    said = running.log_text()
    assert "its store is not in this state directory; the topic has no more than what follows offset" in said
    assert "Put the partition's store back" in said
    assert not store.exists()
    aside.rename(store)
    running.start()
    send_clicks(client, more := some_clicks("item-3", range(50, 60)))
    wait_until(lambda: is_final(client, oracle(made + more, 10**9), least=3))
    assert running.stop() == [0]
    assert stored(running.home) == oracle(made + more, 10**9)


def held(store: Path) -> int:
    """The position of a store; 0 of one that is not there yet."""
    try:
        with closing(SeedStore.inspect(store)) as opened:
            return opened.position
    except StoreError:
        return 0


def test_requests_and_candidates_made_anew_while_stopped_are_read_from_their_beginning(
    client: Any, flow: Callable[..., Any]
) -> None:
    running, made = flow(start_from="latest"), some_clicks("one", range(40))
    port = free_port("127.0.0.1", 0)
    running.environment["RALM_METRICS_PORT"] = str(port)
    running.start()
    wait_until(lambda: ready(port)["ready"])
    send_clicks(client, made)
    client.send("candidates", "gone", None)
    for number in range(5):
        send_request(client, number, "user-1", int(time.time() * 1000))
    client.flush()
    wait_until(lambda: len(client.read("scores")) >= 5 and is_final(client, oracle(made, 10**9), least=3))
    assert running.stop() == [0]
    client = make_anew(client, "requests", "candidates")
    client.send("candidates", "one", None)  # it is taken down
    for number in range(100, 140):
        send_request(client, number, "user-1", int(time.time() * 1000))
    client.flush()
    running.start()
    answered = {f"r{number}" for number in (*range(5), *range(100, 140))}
    wait_until(lambda: {json.loads(m.value())["request_id"] for m in client.read("scores")} == answered)
    wait_until(lambda: any(m.value() is None for m in client.read("centroids")))
    assert running.stop() == [0]


@pytest.mark.parametrize("others", [0, 40])
def test_centroids_made_anew_while_stopped_are_sent_again(client: Any, flow: Callable[..., Any], others: int) -> None:
    running, made = flow(), some_clicks("one", range(40)) + some_clicks("two", range(30))
    running.start()
    send_clicks(client, made)
    wait_until(lambda: is_final(client, oracle(made, 10**9), least=3))
    assert running.stop() == [0]
    client = make_anew(client, "centroids", partitions=3 if not others else 4)
    for number in range(others):  # another flow was sooner
        client.send("centroids", f"another/{number}", None)
    client.flush()
    looked = running.command("run", "look-alike", "--check").stdout
    assert not others or "every item's centroids are sent again" in looked
    running.start()
    wait_until(lambda: set(last_centroids(client)) == {"one", "two"})
    assert running.stop() == [0]


def clean_by(admin: AdminClient, topic: str, policy: str) -> None:
    entry = ConfigEntry("cleanup.policy", policy, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    for done in admin.incremental_alter_configs([resource]).values():
        done.result(20)


def test_centroids_that_were_deleted_from_their_topic_are_sent_again(client: Any, flow: Callable[..., Any]) -> None:
    running, made = flow(), [click for n in range(8) for click in some_clicks(f"item-{n}", range(20))]
    running.start()
    send_clicks(client, made)
    wait_until(lambda: is_final(client, oracle(made, 10**9), least=3))
    assert running.stop() == [0]
    last = {message.partition(): message.offset() for message in client.read("centroids")}
    admin, topic = AdminClient({"bootstrap.servers": client.servers}), f"{client.prefix}centroids"
    clean_by(admin, topic, "delete")  # a broker deletes nothing from a topic that is compacted
    places = [TopicPartition(topic, *place) for place in last.items()]  # all but the last go
    for done in admin.delete_records(places).values():
        done.result(20)
    clean_by(admin, topic, "compact")
    assert 0 < len(last_centroids(client)) < 8
    assert "its first messages were deleted" in running.command("run", "look-alike", "--check").stdout
    running.start()
    wait_until(lambda: is_final(client, oracle(made, 10**9), least=3))
    assert running.stop() == [0]
    before = len(client.read("centroids"))
    running.start()
    send_clicks(client, more := some_clicks("other", range(20)))
    wait_until(lambda: is_final(client, oracle(made + more, 10**9), least=3))
    assert running.stop() == [0]
    assert len(client.read("centroids")) < before + 8, "once is enough"


@pytest.mark.parametrize(
    ("name", "kind"), [("look-alike", "clicks"), ("look-alike", "centroids"), ("seeds", "centroids")]
)
def test_a_topic_made_anew_under_a_flow_ends_it(client: Any, flow: Callable[..., Any], name: str, kind: str) -> None:
    running, made = flow(), some_clicks("one", range(40))
    process = running.start(name)
    send_clicks(client, made)
    wait_until(lambda: is_final(client, oracle(made, 10**9), least=3))
    client = make_anew(client, kind)
    if kind == "clicks":
        send_clicks(client, some_clicks("one", range(100)))
    assert process.wait(60) == 1
    running.processes.clear()
    assert f"the topic {client.prefix}{kind} was made anew while the flow ran" in running.log_text()
    if kind == "centroids":
        running.start(name)
        wait_until(lambda: is_final(client, oracle(made, 10**9), least=3))
        assert running.stop() == [0]


def test_scores_and_dead_letters_made_anew_with_fewer_partitions_are_written_on(
    client: Any, flow: Callable[..., Any]
) -> None:
    running, port, number = flow(), free_port("127.0.0.1", 0), 0
    running.environment["RALM_METRICS_PORT"] = str(port)
    process = running.start()
    wait_until(lambda: ready(port)["ready"])

    def send() -> None:
        nonlocal number
        for _ in range(10):
            number += 1
            client.send("clicks", f"item-{number}", b"unreadable")
            send_request(client, number, f"user-{number % 50}", int(time.time() * 1000))
        client.flush()

    def letters() -> set[bytes]:
        return {message.key() for message in client.read("dead-letters")}

    send()
    wait_until(lambda: len(client.read("scores")) >= 10 and len(letters()) >= 10)
    delete(client, "scores", "dead-letters")
    send()
    with suppress(KafkaException):  # a broker may make what is written to, by itself
        make(client, "scores", "dead-letters", partitions=1)
    wait_for_topics(client.servers, [f"{client.prefix}{kind}" for kind in ("scores", "dead-letters")])
    client = type(client)(client.servers, client.prefix)
    for _ in range(3):
        send()
    # The first ten went with the old topics, and the next may have.
    wait_until(lambda: len(letters()) >= number - 20)
    wait_until(lambda: len(client.read("scores")) >= number - 20)
    assert process.poll() is None
    wait_until(lambda: ready(port)["ready"])
    assert running.stop() == [0]


def test_a_flow_says_what_becomes_of_its_topics_and_is_not_ready(client: Any, flow: Callable[..., Any]) -> None:
    running, port = flow(), free_port("127.0.0.1", 0)
    running.environment["RALM_METRICS_PORT"] = str(port)
    process = running.start()
    wait_until(lambda: ready(port)["ready"])
    assert ready(port)["conditions"]["topics"]["ok"]
    admin = AdminClient({"bootstrap.servers": client.servers})
    for done in admin.create_partitions([NewPartitions(client.prefix + "requests", 6)]).values():
        done.result(20)
    wait_until(lambda: "requests has grown from 4 to 6 partitions" in str(ready(port)["conditions"]["topics"]))
    delete(client, "clicks")
    wait_until(lambda: "clicks is gone: somebody deleted it" in str(ready(port)["conditions"]["topics"]))
    assert not ready(port)["ready"]
    make(client, "clicks")
    assert process.wait(60) == 1
    running.processes.clear()


def test_a_scorer_reads_partitions_that_the_centroids_topic_gets(client: Any, flow: Callable[..., Any]) -> None:
    running, made = flow(), some_clicks("one", range(40))
    running.start()
    send_clicks(client, made)
    wait_until(lambda: is_final(client, oracle(made, 10**9), least=3))
    admin = AdminClient({"bootstrap.servers": client.servers})
    for done in admin.create_partitions([NewPartitions(client.prefix + "centroids", 9)]).values():
        done.result(20)
    found: set[str] = set()
    number = 0

    def all_are_served() -> bool:
        nonlocal number
        number += 1
        send_request(client, number, "user-1", int(time.time() * 1000))
        client.flush()
        for message in client.read("scores"):
            found.update(score["item_id"] for score in json.loads(message.value()).get("scores", []))
        return items <= found

    items = {f"item-{n}" for n in range(12)}
    send_clicks(type(client)(client.servers, client.prefix), [c for i in items for c in some_clicks(i, range(10))])
    wait_until(all_are_served)
    assert running.stop() == [0]
