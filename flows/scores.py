"""The half that answers: requests to scores, against the centroids that the other half writes."""

from bytewax.dataflow import Dataflow

from flows.engine.steps import enrich, read_requests, write
from flows.runtime import Runtime

CONDITIONS = ("bundle", "index", "polling_requests")


def scores(runtime: Runtime) -> Dataflow:
    """Wire the dataflow. Its name and its steps' are part of the recovery data's format."""
    flow = Dataflow("scores")
    requests, dead_letters = read_requests(flow, runtime.requests(), runtime.decoder)
    answers = enrich(requests, runtime.enricher)
    write("scores", answers, runtime.scores())
    write("dead_letters", dead_letters, runtime.dead_letters())
    return flow
