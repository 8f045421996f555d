"""The demo's summary for people, and the checks that it must pass."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flows.config.settings import Settings
from flows.demo.examples import ItemExample, UserExample
from flows.demo.lockstep import IN_FLIGHT
from flows.demo.summary import DemoSummary
from flows.support.metrics_page import MetricsPage
from flows.support.text import counted


@dataclass(frozen=True)
class RunFacts:
    """What a reader must know to read the figures.

    Attributes:
        data: the data set's name.
        replayed_from: the cut, as a date.
        window: length of a window, as text.
        min_seeds: seeds that an item needs.
        left_out: users without a vector.
        bad_messages: sent on purpose.
        encoder: of the bundle.
    """

    data: str
    replayed_from: str
    window: str
    min_seeds: int
    left_out: int
    bad_messages: int
    encoder: str


KNOWS_PROFILES = ("learned", "both")
"""Encoders that make a vector of a profile alone."""
_OTHERS = ("come from their profiles alone", "are that of the mean user, since spectral learns from clicks alone")


def broken(summary: DemoSummary, bad_messages: int, page: MetricsPage | None) -> Iterator[str]:
    """What does not hold although it must; nothing in a good run.

    Args:
        summary: from the topics.
        bad_messages: how many were sent on purpose.
        page: the flow's own counts, which are compared; None when it did not answer.
    """
    if summary.unanswered:
        yield counted(summary.unanswered, "request has no answer", "requests have no answer")
    if summary.from_the_future:
        answers = counted(summary.from_the_future, "answer uses", "answers use")
        yield f"{answers} centroids of clicks after their request"
    if summary.dead_letters.total() != bad_messages:
        yield f"{summary.dead_letters.total()} dead letters, but {bad_messages} bad messages were sent"
    if page is None:
        return
    items, clicks = round(page.total("ralm_items")), round(page.total("ralm_clicks_total", outcome="applied"))
    if summary.seed_sets != items:
        yield f"the clicks topic gives {summary.seed_sets} seed sets, the flow has {items}"
    if summary.clicks != clicks:
        yield f"the clicks topic holds {summary.clicks} good clicks, the flow has applied {clicks}"


def print_summary(console: Console, summary: DemoSummary, run: RunFacts) -> None:
    """Print the summary."""
    console.print()
    console.rule(f"[bold]RALM streaming on {run.data}[/], real clicks from {run.replayed_from} on", align="left")
    console.print(_counts(summary, run))
    console.print(_hit_rates(summary))
    for text in _notes(summary, run):
        console.print(f"[dim]{text}[/]")


def print_examples(console: Console, users: list[UserExample], item: ItemExample | None, distinct: int) -> None:
    """Print users and films by name."""
    console.print()
    console.rule("[bold]By name[/]", align="left")
    for user in users:
        console.print(f"[bold]User {user.user_id}[/] ({escape(user.profile)})", highlight=False)
        console.print(f"  liked last  {escape('; '.join(user.liked))}", highlight=False)
        best = (f"{escape(title)}{' [green]✓[/]' if clicked else ''}" for title, clicked in user.best)
        console.print(f"  best now    {'; '.join(best)}", highlight=False)
    if users:
        console.print("[dim]✓: among the user's next 10 clicks.[/]")
    if item is not None:
        console.print()
        console.print(_story_of(item), highlight=False)
    console.print(f"[dim]{distinct:,} different films appear in the top tens of all answers.[/]")


def _story_of(item: ItemExample) -> str:
    lines = [
        f"[bold]A film that training never saw[/]: {escape(item.title)}",
        f"  {_day(item.first_click)}  its first click",
        f"  {_day(item.clustered)}  a window closes, {item.seeds} users have clicked it: it gets its first centroids",
    ]
    for one in item.recommended:
        clicked = ", who soon clicked it [green]✓[/]" if one.clicked else ""
        lines.append(f"  {_day(one.ts)}  it is number {one.place} for user {one.user_id}{clicked}")
    lines.append(f"  {item.times} times in all in somebody's top ten; {item.came_true} of those users soon clicked it")
    return "\n".join(lines)


def _day(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%d %b %Y %H:%M")


def _notes(summary: DemoSummary, run: RunFacts) -> Iterator[str]:
    yield ""
    yield (
        "Every figure is recomputed from the topics. A hit: one of the user's next 10 clicks is among the top 10, "
        "films that the user had already clicked left out. Popularity ranks by the number of clicks at the time of the "
        "request, on the same requests. For the less clicked 80% of the items, the rankings and the clicks are limited "
        "to those items."
    )
    came = f"{summary.new_users} of the {summary.users} users came after the training. {run.left_out} of them were "
    if run.encoder in KNOWS_PROFILES:
        yield f"{came}left out of the model: their requests bring their profiles. The others have vectors of theirs."
    else:
        others = _OTHERS[run.encoder == "spectral"]
        yield f"{came}left out of the model (the unknown users); the vectors of the others {others}."
    usual = Settings.model_fields["min_seeds"].default
    yield (
        f"The demo has settings of its own: windows of {run.window} of event time (default 5m), at least "
        f"{run.min_seeds} seeds (default {usual}), items never expire. The dead letters are {run.bad_messages} "
        "unusable messages that were sent on purpose."
    )


def _counts(summary: DemoSummary, run: RunFacts) -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column(style="dim")
    figures = summary.figures()

    def row(name: str, value: int | float | None, note: str = "") -> None:
        table.add_row(name, "-" if value is None else f"{value:,}", note)

    row("clicks", summary.clicks)
    row("seed sets", summary.seed_sets, "one for each item that was clicked")
    row("windows closed", summary.windows, f"of {run.window} each, in which centroids were made")
    row("items clustered", summary.items_clustered, f"the others have fewer than {run.min_seeds} seeds")
    row("requests", summary.requests, "one before each user's first click in a window")
    row("  scored", summary.scored)
    row("  unknown user", summary.unknown, "left out of the model on purpose")
    row("  no candidates", summary.no_candidates, "nothing had centroids yet")
    row("answers with cold items", summary.cold, "every fourth request names its candidates, some of them new")
    reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(summary.dead_letters.items()))
    row("dead letters", summary.dead_letters.total(), reasons)
    row(
        "clicks/s",
        figures["clicks_per_s"],
        "waiting for each window to be clustered; `ralm bench ingest` measures the speed",
    )
    row("requests/s", figures["requests_per_s"], f"at most {IN_FLIGHT} in flight; each answer ranks all live items")
    row("request to score, p50", figures["latency_p50_ms"], "ms")
    row("request to score, p99", figures["latency_p99_ms"], "ms")
    return table


def _hit_rates(summary: DemoSummary) -> Table:
    table = Table("hit rate at 10", box=None, padding=(1, 3, 0, 0))
    for name in ("look-alike", "popularity", "requests"):
        table.add_column(name, justify="right")
    for name, rate in (("all items", summary.all_items), ("the less clicked 80%", summary.tail)):
        table.add_row(name, f"{rate.rate:.3f}", f"{rate.rate_popularity:.3f}", f"{rate.requests:,}")
    return table
