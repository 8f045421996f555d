"""What is marked on every panel: a line that jumps is often a restart or a new model."""

from dataclasses import dataclass

from monitoring.panels.base import here


@dataclass(frozen=True)
class Mark:
    """Moments that are marked: where the expression begins to have a value.

    Attributes:
        title: what happened.
        expr: PromQL; has a value for a while after the moment, and else none.
        text: which, made of labels.
        colour: of the line.
    """

    title: str
    expr: str
    text: str
    colour: str


_MODELS = "group by (instance, model_version)"

MARKS = [
    Mark("restart", f"changes({here('process_start_time_seconds')}[2m]) > 0", "{{instance}}", "#8957e5"),
    Mark(
        "new model",
        f"{_MODELS} ({here('ralm_build_info')}) unless {_MODELS} ({here('ralm_build_info')} offset 2m)",
        "{{instance}} {{model_version}}",
        "#bf3989",
    ),
]
