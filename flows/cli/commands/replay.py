"""``ralm replay``: send clicks and requests from files to Kafka."""

import time
from pathlib import Path

import click

from flows.admin.replay import Pace, replay
from flows.admin.replay_files import Door, Events, load_clicks, load_requests
from flows.cli.options import OnceCommand, with_settings
from flows.config.settings import Settings
from flows.kafka.producer import Producer
from flows.kafka.tool_rights import require_rights
from flows.kafka.topics import TopicNames
from flows.support.errors import ConfigError
from flows.support.progress import bars
from flows.support.text import counted

_PATH = click.Path(exists=True, path_type=Path)


def _speed(_: click.Context, __: click.Parameter, value: str) -> float | None:
    if value == "max":
        return None
    try:
        speed = float(value)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        msg = f"{value!r} is not a speed: a number above 0 (60 = a minute of event time each second), or max"
        raise click.BadParameter(msg)
    return speed


@click.command("replay", cls=OnceCommand)
@click.option("--clicks", type=_PATH, help="JSON lines {user_id, item_id, ts}, or the folder of a data set")
@click.option("--requests", type=_PATH, help="JSON lines {request_id, user_id, ts, candidates?, top_k?}")
@click.option(
    "--speed", default="max", show_default=True, callback=_speed, help="times as fast as the events happened, or max"
)
@with_settings("kafka")
def command(settings: Settings, clicks: Path | None, requests: Path | None, speed: float | None) -> None:
    """Send clicks (keyed by item) and requests (keyed by user) from files to Kafka, in the order of their event times.

    Files need not be sorted, and may be pipes (/dev/stdin). A line that a flow would refuse is found before anything is
    sent. Exits with 1 if anything was not delivered. A request is sent before a click of the same moment.
    """
    if clicks is None and requests is None:
        msg = "nothing to replay: give --clicks, --requests or both"
        raise ConfigError(msg)
    names = TopicNames.of(settings)
    producer = Producer.of_tool(settings)
    door = Door(settings, time.time_ns() // 1_000_000, speed)
    with bars() as shown:
        streams: list[Events] = []
        if requests is not None:
            streams.append(load_requests(requests, names.requests, door, shown.counter(f"checking {requests.name}")))
        if clicks is not None:
            streams.append(load_clicks(clicks, names.clicks, door, shown.counter(f"checking {clicks.name}")))
        sent_to = [*([names.requests] if requests is not None else []), *([names.clicks] if clicks is not None else [])]
        require_rights(settings, writes=sent_to)
        total = sum(len(events) for events in streams)
        if not total:
            given = " and ".join(str(path) for path in (clicks, requests) if path is not None)
            click.echo(f"0 messages delivered: there is nothing in {given}")
            return
        sending = shown.counter("sending")
        began = time.monotonic()
        sent = replay(streams, producer, Pace(speed, producer.poll), lambda done: sending(done, total))
        seconds = time.monotonic() - began
    click.echo(f"{counted(sent, 'message')} delivered in {seconds:.1f} s ({sent / max(seconds, 1e-9):,.0f}/s)")
