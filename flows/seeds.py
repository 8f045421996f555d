"""The half that learns what items look like: clicks to seed sets to centroids."""

import bytewax.operators as op
from bytewax.dataflow import Dataflow

from flows.engine.steps import keep_seed_sets, read_candidates, read_clicks, write
from flows.runtime import Runtime

CONDITIONS = ("bundle", "stores", "polling_clicks")


def seeds(runtime: Runtime) -> Dataflow:
    """Wire the dataflow. Its name and its steps' are part of the recovery data's format."""
    flow = Dataflow("seeds")
    clicks, dead_clicks = read_clicks(flow, runtime.clicks(), runtime.decoder)
    candidates, dead_candidates = read_candidates(flow, runtime.candidates(), runtime.decoder)
    centroids = keep_seed_sets(clicks, candidates, runtime.operator)
    write("centroids", centroids, runtime.centroids())
    dead_letters = op.merge("all_dead_letters", dead_clicks, dead_candidates)
    write("dead_letters", dead_letters, runtime.dead_letters())
    return flow
