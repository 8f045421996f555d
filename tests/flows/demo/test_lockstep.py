"""When the flow counts as having served everything that the clicks sent so far have closed."""

import pytest

from flows.demo.lockstep import waits_for
from flows.support.metrics_page import MetricsPage

LATENESS = 10_000
NEWEST = {"0": 1_000_000, "3": 2_000_000}


def page(**values: float) -> MetricsPage:
    """A page on which everything is done, but for what is given."""
    now = {"watermark_0": 990.0, "watermark_3": 1990.0, "pending_0": 0, "pending_3": 0, "emitted": 7, "served": 7}
    now |= values
    return MetricsPage.parse(
        f'ralm_watermark_timestamp_seconds{{partition="0"}} {now["watermark_0"]}\n'
        f'ralm_watermark_timestamp_seconds{{partition="3"}} {now["watermark_3"]}\n'
        f'ralm_pending_items{{partition="0"}} {now["pending_0"]}\n'
        f'ralm_pending_items{{partition="3"}} {now["pending_3"]}\n'
        f'ralm_reclusters_total{{outcome="emitted"}} {now["emitted"]}\n'
        'ralm_reclusters_total{outcome="too_few_seeds"} 100\n'
        f'ralm_messages_read_total{{topic_kind="centroids"}} {now["served"]}\n'
        'ralm_messages_read_total{topic_kind="clicks"} 1000\n'
    )


def test_nothing_is_waited_for_when_all_is_done() -> None:
    assert waits_for(page(), NEWEST, LATENESS) == ""
    assert waits_for(MetricsPage.parse(""), {}, LATENESS) == ""


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"watermark_3": 1989.999}, "partition 3 has not taken all its clicks"),
        ({"pending_0": 2, "pending_3": 1}, "3 items still wait for clustering"),
        ({"served": 5}, "2 centroids are not served yet"),
    ],
)
def test_what_is_still_to_do_is_said(values: dict[str, float], text: str) -> None:
    assert waits_for(page(**values), NEWEST, LATENESS) == text


def test_a_partition_that_the_flow_has_not_met_yet_is_waited_for() -> None:
    assert "partition 5 has not" in waits_for(page(), {"5": 0}, LATENESS)
