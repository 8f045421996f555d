"""When the flow counts as having served everything that the clicks sent so far have closed."""

from collections.abc import Sequence

import pytest

from flows.demo.lockstep import last_page, wait_until_done, waits_for
from flows.support.errors import RalmError
from flows.support.metrics_page import MetricsPage, ScrapeError

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


class SlowFlow:
    """A flow whose scrapes go as planned, the last of them again and again; each takes ten seconds."""

    def __init__(self, scrapes: Sequence[MetricsPage | RalmError]) -> None:
        self.scrapes = list(scrapes)
        self.now = 0.0

    def page(self) -> MetricsPage:
        self.now += 10.0
        found = self.scrapes.pop(0) if len(self.scrapes) > 1 else self.scrapes[0]
        if isinstance(found, RalmError):
            raise found
        return found

    def check(self) -> None:
        pass

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


SLOW = ScrapeError("does not answer: timed out")


def test_a_slow_scrape_is_repeated() -> None:
    flow = SlowFlow([SLOW, SLOW, page(pending_0=2), SLOW, page()])
    wait_until_done(flow, lambda found: waits_for(found, NEWEST, LATENESS), flow.clock, flow.sleep)
    assert flow.now > 50


def test_a_flow_that_never_answers_is_given_up_with_the_reason() -> None:
    flow = SlowFlow([SLOW])
    with pytest.raises(RalmError, match=r"after 60 s, does not answer: timed out"):
        wait_until_done(flow, lambda _: "", flow.clock, flow.sleep)


def test_the_last_page_is_left_out_when_it_cannot_be_had() -> None:
    assert last_page(SlowFlow([SLOW, page()]), lambda _: None) == page()
    assert last_page(SlowFlow([SLOW]), lambda _: None) is None
    with pytest.raises(RalmError, match="ended with -9"):
        last_page(SlowFlow([SLOW, RalmError("ended with -9")]), lambda _: None)
