"""All targets. Another codec is another entry in the list of one of these modules."""

from . import (
    batch_targets,
    bundle_targets,
    message_targets,
    note_targets,
    setting_targets,
    store_targets,
    table_targets,
    wire_targets,
    work_targets,
)
from .target import Target

TARGETS: dict[str, Target] = {
    target.name: target
    for module in (
        message_targets,
        batch_targets,
        setting_targets,
        bundle_targets,
        work_targets,
        store_targets,
        table_targets,
        note_targets,
        wire_targets,
    )
    for target in module.TARGETS
}
