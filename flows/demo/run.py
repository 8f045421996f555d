"""The demo from beginning to end."""

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from rich.console import Console

from flows.config.fields import format_duration
from flows.config.flow_process import FlowProcess
from flows.config.groups import EncoderName
from flows.config.settings import Settings
from flows.demo.dashboards import Prometheus
from flows.demo.examples import Examples
from flows.demo.live import LIVE, LiveTraffic
from flows.demo.lockstep import last_page, replay_in_lockstep
from flows.demo.prepare import REPLAY, Prepared, flow_settings, prepare_demo
from flows.demo.read_back import ReadBack, read_back
from flows.demo.report import KNOWS_PROFILES, RunFacts, broken, print_examples, print_summary
from flows.demo.story import Window, bad_messages, cut_into_windows
from flows.demo.summary import DemoSummary, summarise
from flows.kafka.admin import make_topics
from flows.kafka.embedded_broker import EmbeddedBroker
from flows.kafka.producer import Producer
from flows.kafka.topics import TopicNames
from flows.messages.codec import encode_scores
from flows.messages.types import Click
from flows.support.errors import RalmError
from flows.support.metrics_page import ScrapeError
from flows.support.progress import bars, working
from monitoring.address import asked_at, host_port
from state.owner_lock import file_lock

_BEST = 10


@dataclass(frozen=True)
class DemoOptions:
    """How the demo is run.

    Attributes:
        folder: everything it makes lies here.
        keep: leave broker and flow running until Ctrl-C.
        days: replay only so many days; None is all.
        encoder: what makes users' vectors.
        live: send clicks and requests of the present time instead, without an end.
        dashboards: start Prometheus beside it; goes with ``live``.
        program: how to call ``ralm`` in the commands that are shown.
    """

    folder: Path
    keep: bool = False
    days: int | None = None
    encoder: EncoderName = "spectral"
    live: bool = False
    dashboards: bool = False
    program: str = "ralm"


def run_demo(settings: Settings, options: DemoOptions, console: Console) -> None:
    """Run it and print the summary; the figures also go to ``summary.json`` in the folder.

    Raises:
        RalmError: when a part fails, or something that must hold of the summary does not.
    """
    folder = options.folder
    with _alone(folder):
        _clear(folder)
        prepared = prepare_demo(settings.model_copy(update={"encoder": options.encoder}), folder)
        with EmbeddedBroker(folder / "broker") as broker:
            running = flow_settings(settings, folder, broker.bootstrap_servers, LIVE if options.live else REPLAY)
            make_topics(running)
            if options.live:
                _live(console, prepared, running, options)
                return
            windows = cut_into_windows(
                prepared.data,
                cut=prepared.cut,
                window=running.window,
                top_k=running.max_top_k,
                rng_seed=running.rng_seed,
                days=options.days,
                newcomers=prepared.left_out if options.encoder in KNOWS_PROFILES else None,
            )
            with FlowProcess("look-alike", running, config=folder / "ralm.toml", log=folder / "flow.log") as flow:
                _run(console, options, prepared, running, windows, flow)


def _live(console: Console, prepared: Prepared, settings: Settings, options: DemoOptions) -> None:
    folder = options.folder
    with ExitStack() as stack:
        flow = stack.enter_context(
            FlowProcess("look-alike", settings, config=folder / "ralm.toml", log=folder / "flow.log")
        )
        with working("starting the flow"):
            flow.wait_ready()
        lines = {
            "status page": flow.server.home,
            "broker": settings.bootstrap_servers,
            "settings": f"{folder / 'ralm.toml'}: {options.program} top --config {folder / 'ralm.toml'}",
            "log": f"{flow.log}",
        }
        if options.dashboards:
            target = host_port(asked_at(settings.metrics_host), settings.metrics_port)
            prometheus = stack.enter_context(Prometheus(folder / "prometheus", [target]))
            prometheus.wait_ready()
            lines["dashboards"] = prometheus.console
        for name, text in lines.items():
            console.print(f"[bold]{name:<13}[/]{text}", soft_wrap=True, highlight=False)
        console.print("Sending clicks and requests of the present time until Ctrl-C.")
        try:
            traffic = LiveTraffic(prepared.data, TopicNames.of(settings), rng_seed=settings.rng_seed)
            traffic.run(Producer.of_tool(settings), lambda: _has_live_items(flow))
        except KeyboardInterrupt:
            console.print("stopping")
        flow.drain()


def _has_live_items(flow: FlowProcess) -> bool:
    try:
        return flow.page().total("ralm_index_items") > 0
    except ScrapeError:
        return False


def _run(
    console: Console,
    options: DemoOptions,
    prepared: Prepared,
    settings: Settings,
    windows: list[Window],
    flow: FlowProcess,
) -> None:
    bad = bad_messages(TopicNames.of(settings), settings.max_message_bytes)
    with bars() as progress:
        start = progress.add_task("starting the flow", total=None)
        flow.wait_ready()
        progress.remove_task(start)
        total = sum(len(window.clicks) + len(window.requests) for window in windows)
        task = progress.add_task("clicks and requests", total=total)
        replay_in_lockstep(settings, flow, windows, bad, lambda more: progress.advance(task, more))
        reading = progress.add_task("reading the topics", total=None)
        page = last_page(flow)
        topics = read_back(settings)
        summary = _summary(topics, prepared, settings)
        examples = Examples(topics, prepared.data, prepared.cut)
        by_name = examples.users(), examples.item(), examples.distinct()
        progress.remove_task(reading)
    _write(options.folder, summary, topics)
    print_summary(console, summary, _facts(prepared, settings, len(bad), options.encoder))
    print_examples(console, *by_name)
    if page is None:
        console.print("The flow's metrics did not answer: its own counts of items and clicks were not compared.")
    wrong = list(broken(summary, len(bad), page))
    if wrong:
        msg = f"the summary does not hold: {'; '.join(wrong)} (log: {flow.log})"
        raise RalmError(msg)
    _places(console, options, settings, flow)
    if options.keep:
        _keep(console, options, settings, flow)
    flow.drain()


def _summary(topics: ReadBack, prepared: Prepared, settings: Settings) -> DemoSummary:
    data = prepared.data
    before = zip(data.event_users.tolist(), data.event_items.tolist(), data.event_times.tolist(), strict=True)
    history = [Click(user, item, ts) for user, item, ts in before if ts < prepared.cut]
    return summarise(topics, history, data.item_ids.tolist(), settings.window)


def _facts(prepared: Prepared, settings: Settings, bad: int, encoder: str) -> RunFacts:
    return RunFacts(
        prepared.data.name,
        datetime.fromtimestamp(prepared.cut / 1000, UTC).strftime("%-d %B %Y"),
        format_duration(settings.window),
        settings.min_seeds,
        len(prepared.left_out),
        bad,
        encoder,
    )


def _write(folder: Path, summary: DemoSummary, topics: ReadBack) -> None:
    (folder / "summary.json").write_text(json.dumps(summary.figures(), indent=2) + "\n")
    with (folder / "scores.jsonl").open("wb") as file:
        for sent in topics.answers:
            answer = sent.message
            file.write(encode_scores(msgspec.structs.replace(answer, scores=answer.scores[:_BEST])) + b"\n")


def _places(console: Console, options: DemoOptions, settings: Settings, flow: FlowProcess) -> None:
    folder = options.folder
    console.print()
    lines = {
        "figures": f"{folder / 'summary.json'}",
        "scores": f"{folder / 'scores.jsonl'} (the best {_BEST} of each answer; the topic scores has all of it)",
        "store": f"{settings.state_dir}: {options.program} state show --config {folder / 'ralm.toml'}",
        "log": f"{flow.log}",
        "status page": flow.server.home if options.keep else f"{options.program} demo --live shows a flow at work",
    }
    for name, text in lines.items():
        console.print(f"[bold]{name:<13}[/]{text}", soft_wrap=True, highlight=False)


def _keep(console: Console, options: DemoOptions, settings: Settings, flow: FlowProcess) -> None:
    console.print(
        f"\nThe flow is still running at {flow.server.home}, its broker at {settings.bootstrap_servers}. "
        "Ctrl-C stops both.\n"
        f"In another terminal: {options.program} ask 13 --config {options.folder / 'ralm.toml'}",
        soft_wrap=True,
        highlight=False,
    )
    try:
        while True:
            flow.check()
            time.sleep(0.2)
    except KeyboardInterrupt:
        console.print("stopping")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Own the folder.

    Raises:
        RalmError: when another demo runs in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        try:
            stack.enter_context(file_lock(folder / "lock", wait=False))
        except BlockingIOError:
            msg = f"another demo runs in {folder}: stop it, or give this one a --folder of its own"
            raise RalmError(msg) from None
        yield


def _clear(folder: Path) -> None:
    """Begin with an empty broker and empty stores; data and bundle are used again."""
    for name in ("broker", "state"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("flow.log", "summary.json", "scores.jsonl"):
        (folder / name).unlink(missing_ok=True)
