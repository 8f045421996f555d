"""The status page on a terminal: the same report, as tables."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel as Frame
from rich.table import Table
from rich.text import Text

from flows.support.text import counted

_COLOURS = {"good": "green", "warning": "yellow", "bad": "red"}
_DAY_MS = 86_400_000


def top_view(report: Mapping[str, Any], address: str) -> RenderableType:
    """What ``/-/status`` says, to be printed.

    Args:
        report: the report.
        address: where it is from.
    """
    colour = _COLOURS[report["verdict"]]
    title = f"{report['flow']} {report['version']} at {address}, {_clock(report['now'])} UTC"
    parts: list[RenderableType] = [
        Frame(Text(report["headline"], style=f"bold {colour}"), title=Text(title), style=colour)
    ]
    parts += [_inputs(report), _items(report)]
    if report["windows"] is not None:
        parts.append(_windows(report))
    if report["requests"] is not None:
        parts.append(_requests(report))
    parts.append(_rest(report))
    return Group(*parts)


def no_answer(address: str, why: str) -> RenderableType:
    """What is shown while the flow does not answer."""
    return Frame(Text(f"no answer from {address}: {why}", style="bold red"), style="red")


def _inputs(report: Mapping[str, Any]) -> Table:
    table = _table("reads", "topic", "read", "per s", "waiting", "behind", "newest message")
    for each in report["inputs"]:
        behind = each["behind_s"]
        table.add_row(
            each["topic_kind"],
            each["topic"],
            _whole(each["read"]),
            _rate(each["recent"], report["recent_s"]),
            _whole(each["lag_messages"]),
            Text("-" if behind is None else _span(behind), style="red" if behind and behind > 60 else ""),
            _ago(each["last_message_at"], report["now"]),
        )
    return table


_ITEMS = ("live", "cold", "known", "waiting", "touched")


def _items(report: Mapping[str, Any]) -> RenderableType:
    items = report["items"]
    said = [f"{_whole(items[name])} {name}" for name in _ITEMS if items[name] is not None]
    if items["seeds"] is not None:
        said.append(counted(int(items["seeds"]), "seed"))
    why = f" ({items['why_none_live']})" if items["why_none_live"] else ""
    return Text.assemble(("items     ", "bold"), ", ".join(said), (why, "yellow"))


def _windows(report: Mapping[str, Any]) -> Table:
    table = _table("windows", "closed", "items", "clustered", "waiting", "not clustered")
    for each in report["windows"]["newest"][:5]:
        skipped = ", ".join(f"{n:,} {why.replace('_', ' ')}" for why, n in each["skipped"].items())
        numbers = (_whole(each[name]) for name in ("items", "clustered", "waiting"))
        times = _end(each["end"], report["now"]), _ago(each["closed_at"], report["now"])
        table.add_row(*times, *numbers, skipped or "-")
    if not report["windows"]["newest"]:
        table.add_row("none yet", "", "", "", "", "")
    return table


def _requests(report: Mapping[str, Any]) -> RenderableType:
    requests = report["requests"]
    table = _table("answers", *requests["by_status"], "ok", "p50", "p99", "per s")
    share = requests["recent_ok_share"]
    table.add_row(
        f"last {_span(report['recent_s'])}",
        *(_whole(n) for n in requests["recent_by_status"].values()),
        "-" if share is None else f"{share:.1%}",
        *(_span(requests[name]) for name in ("recent_p50_s", "recent_p99_s")),
        _rate(requests["recent"], report["recent_s"]),
    )
    table.add_row("since start", *(_whole(n) for n in requests["by_status"].values()), "", "", "", "")
    return table


def _rest(report: Mapping[str, Any]) -> RenderableType:
    letters, writes = report["dead_letters"], report["writes"]
    reasons = ", ".join(f"{each['count']:,} {each['topic_kind']} {each['reason']}" for each in letters["reasons"][:4])
    lines = [("letters   ", f"{counted(letters['total'], 'dead letter')}{f': {reasons}' if reasons else ''}")]
    lines.append(("writes    ", ", ".join(f"{n:,} {kind.replace('_', ' ')}" for kind, n in writes["written"].items())))
    model = report["model"]
    lines.append(("model     ", ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in model.items())))
    if report["store"] is not None:
        store = report["store"]
        partitions = counted(store["partitions"], "partition")
        saved = _ago(store["last_snapshot_at"], report["now"])
        lines.append(
            (
                "store     ",
                f"{store.get('directory', '')}, {partitions}, snapshot {saved}",
            )
        )
    return Text("\n").join(Text.assemble((name, "bold"), text) for name, text in lines)


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", expand=False)
    table.add_column(first, style="bold", header_style="bold", min_width=9)
    for name in others:
        texts = ("topic", "not clustered")
        table.add_column(name.replace("_", " "), justify="left" if name in texts else "right")
    return table


def _whole(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _rate(count: int, seconds: float) -> str:
    return f"{count / seconds:,.1f}" if seconds else "-"


def _span(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    for least, unit, of in ((172_800, 86_400, "d"), (7200, 3600, "h"), (120, 60, "min"), (1, 1, "s")):
        if seconds >= least:
            return f"{seconds / unit:,.0f} {of}"
    return f"{seconds * 1000:.0f} ms"


def _ago(ms: int | None, now: int) -> str:
    return "not yet" if ms is None else f"{_span(max(0, now - ms) / 1000)} ago"


def _end(ms: int, now: int) -> str:
    """A window's end: with its date where the event time is of another day, as in a replay."""
    if abs(now - ms) < _DAY_MS:
        return _clock(ms)
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")


def _clock(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%H:%M:%S")
