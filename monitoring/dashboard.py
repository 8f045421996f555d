"""Makes ``dashboards/ralm.json`` for Grafana: ``python -m monitoring.dashboard``; ``--check`` only compares.

What it shows is in ``panels/``. It needs grafana-foundation-sdk, from the extra ``dev``; running RALM does not.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from grafana_foundation_sdk.builders import common, prometheus, stat, timeseries
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    BigValueTextMode,
    GraphTresholdsStyleMode,
)

from monitoring.generated import write_or_check
from monitoring.panels import MARKS, ROWS
from monitoring.panels.base import Panel
from monitoring.panels.marks import Mark

_PATH = Path(__file__).parent / "dashboards" / "ralm.json"
_SOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
_HEIGHT = 7


def main(arguments: Sequence[str]) -> int:
    """Write or check the dashboard; see ``write_or_check``."""
    return write_or_check(_PATH, render(), arguments, "monitoring.dashboard")


def render() -> str:
    """The dashboard as JSON."""
    board = (
        build.Dashboard("RALM streaming")
        .uid("ralm-streaming")
        .description("Made by `python -m monitoring.dashboard`; changes made here are lost. Read it from the top.")
        .tags(["ralm"])
        .timezone("utc")
        .refresh("30s")
        .time("now-3h", "now")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .readonly()
    )
    for variable in _variables():
        board.with_variable(variable)
    for mark in MARKS:
        board.annotation(_annotation(mark))
    number = 0
    for title, panels in ROWS.items():
        board.with_row(build.Row(title))
        for panel in panels:
            number += 1
            board.with_panel(_panel(panel).id(number))
    return JSONEncoder(sort_keys=True, indent=2).encode(board.build()) + "\n"


def _variables() -> list[build.DatasourceVariable | build.QueryVariable]:
    datasource = build.DatasourceVariable("datasource").label("Prometheus").type("prometheus")
    job = _label_values("job", "ralm_heartbeat_timestamp_seconds", several=False)
    instance = _label_values("instance", 'ralm_heartbeat_timestamp_seconds{job="$job"}', several=True)
    return [datasource, job, instance]


def _label_values(label: str, of: str, *, several: bool) -> build.QueryVariable:
    variable = (
        build.QueryVariable(label)
        .label("Process" if several else "Job")
        .query(f"label_values({of}, {label})")
        .datasource(_SOURCE)
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
    )
    if several:
        variable.multi(True).include_all(True).all_value(".*")
        variable.current(model.VariableOption(text="All", value="$__all"))
    return variable


def _annotation(mark: Mark) -> build.AnnotationQuery:
    return (
        build.AnnotationQuery()
        .name(mark.title)
        .datasource(_SOURCE)
        .enable(True)
        .icon_color(mark.colour)
        .expr(mark.expr)
    )


def _panel(panel: Panel) -> stat.Panel | timeseries.Panel:
    builder = _lines(panel) if panel.shape == "lines" else _number(panel)
    builder.title(panel.title).description(panel.description).unit(panel.unit).datasource(_SOURCE)
    builder.span(panel.width).height(_HEIGHT).thresholds(_thresholds(panel))
    for place, (legend, expr) in enumerate(panel.queries.items()):
        target = (
            prometheus.Dataquery().expr(expr).legend_format(legend).ref_id(chr(ord("A") + place)).datasource(_SOURCE)
        )
        builder.with_target(target.range() if panel.shape == "lines" else target.instant())
    return builder


def _number(panel: Panel) -> stat.Panel:
    last = common.ReduceDataOptions().calcs(["lastNotNull"])
    text = BigValueTextMode.NAME if panel.shape == "names" else BigValueTextMode.VALUE_AND_NAME
    number = stat.Panel().reduce_options(last).text_mode(text)
    return number.graph_mode(BigValueGraphMode.NONE).color_mode(BigValueColorMode.BACKGROUND)


def _lines(panel: Panel) -> timeseries.Panel:
    lines = timeseries.Panel().line_width(1).fill_opacity(5).axis_soft_min(0)
    if panel.bad_from is not None:
        lines.thresholds_style(common.GraphThresholdsStyleConfig().mode(GraphTresholdsStyleMode.LINE))
    return lines


def _thresholds(panel: Panel) -> build.ThresholdsConfig:
    steps = [model.Threshold(value=None, color="green")]
    if panel.bad_from is not None:
        steps.append(model.Threshold(value=panel.bad_from, color="red"))
    if panel.bad_below is not None:
        steps = [model.Threshold(value=None, color="red"), model.Threshold(value=panel.bad_below, color="green")]
    return build.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
