"""The half that answers: requests to scores, against the centroids that the other half writes."""

from bytewax.dataflow import Dataflow

from flows.engine.steps import enrich, read_requests, write
from flows.runtime import ScoreSide

CONDITIONS = ("bundle", "index", "polling_requests", "dead_letter_brake", "topics")


def scores(side: ScoreSide) -> Dataflow:
    """Wire the dataflow."""
    flow = Dataflow("scores")
    requests, dead_letters = read_requests(flow, side.requests, side.decoder)
    answers = enrich(requests, side.enricher)
    write("scores", answers, side.scores)
    write("dead_letters", dead_letters, side.dead_letters)
    return flow
