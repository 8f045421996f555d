"""Replay: order, pace, what is refused before anything is sent, and what arrives."""

import codecs
import json
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.admin.replay import Pace, in_time_order, replay
from flows.admin.replay_files import Door, Events, load_clicks, load_requests
from flows.cli.main import main
from flows.config.groups import MessageSettings
from flows.kafka.producer import Producer, ProducerRecord
from flows.offline.datasets.layout import Dataset, save
from flows.support.errors import ConfigError, RalmError

NOW = 1_764_000_000_000
DOOR = Door(MessageSettings(), NOW + 10**6)


def events(topic: str, times: list[int]) -> Events:
    ordered = sorted(times)
    return Events(np.array(ordered, np.int64), lambda n: ProducerRecord(topic, b"k", str(ordered[n]).encode()))


def write_lines(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def click(item: Any, ts: int, user: Any = "u") -> dict[str, Any]:
    return {"user_id": user, "item_id": item, "ts": NOW + ts}


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["ralm", "replay", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


class FakeTime:
    def __init__(self) -> None:
        self.now = 100.0

    def wait(self, seconds: float) -> None:
        assert 0 < seconds <= 0.2
        self.now += seconds


@given(
    requests=st.lists(st.integers(0, 50)),
    clicks=st.lists(st.integers(0, 50)),
)
def test_events_come_in_time_order_and_of_a_moment_the_first_stream_first(
    requests: list[int], clicks: list[int]
) -> None:
    sent = [(ts, m.topic, int(m.value or b"")) for ts, m in in_time_order([events("a", requests), events("b", clicks)])]
    assert [(ts, topic) for ts, topic, _ in sent] == sorted([(t, "a") for t in requests] + [(t, "b") for t in clicks])
    assert all(ts == value for ts, _, value in sent)


@given(st.lists(st.integers(0, 10_000), min_size=1), st.sampled_from([0.5, 1.0, 60.0]))
def test_a_pace_keeps_the_distances_at_its_speed(times: list[int], speed: float) -> None:
    clock = FakeTime()
    pace = Pace(speed, clock.wait, lambda: clock.now)
    first = min(times)
    for ts in sorted(times):
        pace.keep(ts)
        assert clock.now - 100.0 == pytest.approx((ts - first) / 1000 / speed, abs=1e-6)


def test_at_full_speed_nothing_waits() -> None:
    def never(_: float) -> None:
        pytest.fail("it waited")

    pace = Pace(None, never)
    pace.keep(0)
    pace.keep(10**12)


def test_lines_are_sorted_keyed_and_sent_as_they_stand(tmp_path: Path) -> None:
    file = tmp_path / "clicks.jsonl"
    late = b'{"item_id":"late","user_id":1,"ts":%d, "more":[1]}' % (NOW + 6)
    early = b'{"item_id":7,"user_id":1,"ts":%d}' % NOW
    file.write_bytes(late + b"\r\n\n " + early)
    found = load_clicks(file, "clicks", DOOR)
    assert [found.message(n) for n in range(len(found))] == [
        ProducerRecord("clicks", b"7", early),
        ProducerRecord("clicks", b"late", late),
    ]


def test_requests_are_keyed_by_user(tmp_path: Path) -> None:
    file = write_lines(
        tmp_path / "requests.jsonl", [{"request_id": "r", "user_id": "ü", "ts": NOW, "candidates": ["i"]}]
    )
    assert load_requests(file, "requests", DOOR).message(0).key == "ü".encode()


@pytest.mark.parametrize(
    ("line", "reason"),
    [(b'{"item_id":"a"', "not_json"), (b'{"item_id":"a","ts":1764000000000}', "missing_field"), (b"\xff", "not_utf8")],
)
def test_a_bad_line_is_named_before_anything_is_sent(tmp_path: Path, line: bytes, reason: str) -> None:
    file = tmp_path / "clicks.jsonl"
    file.write_bytes(json.dumps(click("a", 1)).encode() + b"\n" + line + b"\n")
    with pytest.raises(ConfigError, match=rf"clicks\.jsonl, line 2: {reason}"):
        load_clicks(file, "clicks", DOOR)


@pytest.mark.parametrize("content", [b"", b"\n", b" \r\n\r\n", codecs.BOM_UTF8])
def test_a_file_without_a_message_has_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "clicks.jsonl").write_bytes(content)
    assert len(load_clicks(tmp_path / "clicks.jsonl", "clicks", DOOR)) == 0


@pytest.mark.parametrize(("before", "end"), [(codecs.BOM_UTF8, b"\n"), (b"", b"\r"), (b"", b"\r\n")])
def test_lines_as_other_programs_write_them(tmp_path: Path, before: bytes, end: bytes) -> None:
    lines = [json.dumps(click(f"i{n}", n)).encode() for n in range(3)]
    (tmp_path / "clicks.jsonl").write_bytes(before + end.join(lines))
    found = load_clicks(tmp_path / "clicks.jsonl", "clicks", DOOR)
    assert [found.message(n).value for n in range(3)] == lines


def test_a_pipe_is_read(tmp_path: Path) -> None:
    line = json.dumps(click("i", 1)).encode()
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(line + b"\n" + line,))
    writer.start()
    assert len(load_clicks(tmp_path / "pipe", "clicks", DOOR)) == 2
    writer.join()


def test_what_a_flow_would_refuse_is_found_before_anything_is_sent(tmp_path: Path) -> None:
    limits = DOOR.limits
    good = click("i", 1)
    asked = {"request_id": "r", "user_id": "u", "ts": NOW}
    for number, (row, words) in enumerate(
        [
            (good | {"user_id": "x" * 257}, "bad_identifier"),
            (good | {"more": "x" * limits.max_message_bytes}, "oversized: "),
            (good | {"ts": DOOR.now + limits.max_future + 1}, "future_time: "),
            (good | {"ts": 1_732_440_000}, "bad_time: .*looks like seconds"),
            (asked | {"candidates": ["i"] * (limits.max_candidates + 1)}, "too_many_candidates"),
        ]
    ):
        file = write_lines(tmp_path / f"{number}.jsonl", [asked if "request_id" in row else good, row])
        load = load_requests if "request_id" in row else load_clicks
        with pytest.raises(ConfigError, match=f"line 2: {words}"):
            load(file, "topic", DOOR)


def test_a_click_of_tomorrow_may_be_sent_tomorrow(tmp_path: Path) -> None:
    day = 86_400_000
    file = write_lines(tmp_path / "c.jsonl", [click("i", 10**6), click("i", 10**6 + 2 * day)])
    with pytest.raises(ConfigError, match="line 2: future_time"):
        load_clicks(file, "clicks", DOOR)
    assert len(load_clicks(file, "clicks", replace(DOOR, speed=1.0))) == 2


def test_a_data_sets_folder_gives_its_clicks(tmp_path: Path) -> None:
    texts = np.array(["u1", "u2"])
    data = Dataset("d", texts, np.array(["i2", "i1"]), NOW + np.array([5, 8]), texts, {}, np.array(["i1", "i2"]), texts)
    save(data, tmp_path / "d")
    found = load_clicks(tmp_path / "d", "clicks", DOOR)
    assert found.times.tolist() == [NOW + 5, NOW + 8]
    message = found.message(1)
    assert (message.key, json.loads(message.value or b"")) == (b"i1", click("i1", 8, "u2"))
    with pytest.raises(ConfigError, match="common layout"):
        load_clicks(tmp_path, "clicks", DOOR)


def test_a_data_set_in_seconds_is_refused_and_one_without_times_begins_in_the_year_2000(tmp_path: Path) -> None:
    texts, seconds = np.array(["u1", "u2"]), np.array([0, NOW // 1000])
    data = Dataset("d", texts, texts, seconds, texts, {}, texts, texts)
    save(data, tmp_path / "timed")
    with pytest.raises(ConfigError, match="2 events are from before March 1973"):
        load_clicks(tmp_path / "timed", "clicks", DOOR)
    save(replace(data, event_times=np.array([0, 1]), timed=False), tmp_path / "untimed")
    assert load_clicks(tmp_path / "untimed", "clicks", DOOR).times.tolist() == [946_684_800_000, 946_684_800_001]


@pytest.mark.broker
def test_everything_arrives_in_order_with_its_key(
    topics: Callable[..., Any], client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = topics(partitions=1)
    clicks = write_lines(tmp_path / "c.jsonl", [click(f"i{n % 7}", 1000 - n) for n in range(300)])
    asked = [{"request_id": f"r{n}", "user_id": f"u{n}", "ts": NOW + n} for n in range(20)]
    requests = write_lines(tmp_path / "r.jsonl", asked)
    to = ["--bootstrap-servers", settings.bootstrap_servers, "--topic-prefix", settings.topic_prefix]

    assert run(monkeypatch, "--clicks", str(clicks), "--requests", str(requests), *to) == 0

    got = client.read(settings.topic_prefix + "clicks")
    values = [json.loads(m.value()) for m in got]
    assert [v["ts"] for v in values] == list(range(NOW + 701, NOW + 1001))
    assert [m.key().decode() for m in got] == [v["item_id"] for v in values]
    assert dict(got[0].headers()) == {"schema_version": b"1"}
    assert [json.loads(m.value()) for m in client.read(settings.topic_prefix + "requests")] == asked


@pytest.mark.broker
def test_a_topic_that_is_not_there_is_an_error_and_is_not_made(
    broker: str, client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clicks = write_lines(tmp_path / "c.jsonl", [click("i", 1)])
    to = ["--bootstrap-servers", broker, "--topic-prefix", "nowhere."]
    assert run(monkeypatch, "--clicks", str(clicks), *to) == 1
    assert "no topic nowhere.clicks: run `ralm topics`" in capsys.readouterr().err
    with pytest.raises(AssertionError, match="there is no topic"):
        client.read("nowhere.clicks")


@pytest.mark.broker
def test_what_is_not_delivered_is_an_error(own_broker: Any, topics: Callable[..., Any]) -> None:
    settings = topics(bootstrap_servers=own_broker.bootstrap_servers, delivery_timeout="1s")
    producer = Producer.of_tool(settings)
    own_broker.pause()
    with pytest.raises(RalmError, match=r"3 messages were not delivered, 0 were"):
        replay([events(settings.topic_prefix + "clicks", [1, 2, 3])], producer, Pace(None, producer.poll))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "nothing to replay"),
        (["--speed", "fast"], "is not a speed"),
        (["--speed", "0"], "is not a speed"),
        (["--clicks", "missing.jsonl"], "does not exist"),
    ],
)
def test_a_wrong_command_line_is_a_configuration_error(
    arguments: list[str], text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, *arguments) == 2
    assert text in capsys.readouterr().err
