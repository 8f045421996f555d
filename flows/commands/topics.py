"""``ralm topics``: make the topics, or say how they differ."""

import sys

import click
from rich.console import Console
from rich.table import Table

from flows.options import with_settings
from flows.settings import Settings
from flows.topics import make_topics


@click.command("topics")
@click.option("--dry-run", is_flag=True, help="only say what would be made")
@with_settings("kafka", "topics")
def command(settings: Settings, dry_run: bool) -> None:
    """Make the missing topics; say how the existing ones differ from the plan. Exits with 1 if one differs."""
    states = make_topics(settings, dry_run=dry_run)
    table = Table("topic", "partitions", "kept", "state", "how it differs")
    for state in states:
        plan = state.plan
        table.add_row(
            plan.name,
            str(plan.partitions),
            plan.config["cleanup.policy"],
            state.state,
            "; ".join(state.differences),
        )
    Console().print(table)
    sys.exit(1 if any(state.differences for state in states) else 0)
