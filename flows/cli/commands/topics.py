"""``ralm topics``: make the topics, or say how they differ."""

import sys

import click
from rich.table import Table

from flows.cli.options import OnceCommand, with_settings
from flows.cli.output import output
from flows.config.fields import format_duration
from flows.config.settings import Settings
from flows.kafka.admin import TopicState, make_topics


@click.command("topics", cls=OnceCommand)
@click.option("--dry-run", is_flag=True, help="only print what would be created")
@with_settings("kafka", "topics")
def command(settings: Settings, dry_run: bool) -> None:
    """Create the missing topics; say how existing ones differ from the plan, without changing them.

    Exits with 1 if one differs in a way that matters.
    """
    states = make_topics(settings, dry_run=dry_run)
    output().print(_table(states))
    sys.exit(1 if any(difference.matters for state in states for difference in state.differences) else 0)


def _table(states: list[TopicState]) -> Table:
    table = Table("topic", "partitions", "replicas", "kept", "state", "how it differs")
    for state in states:
        plan = state.plan
        table.add_row(
            plan.name,
            str(plan.partitions),
            str(plan.replication_factor),
            "each key's last" if plan.retention is None else format_duration(plan.retention),
            state.state,
            "\n".join(f"{'!' if d.matters else '(minor)'} {d.text}" for d in state.differences),
        )
    return table
