"""The half that learns what items look like: clicks to seed sets to centroids."""

import bytewax.operators as op
from bytewax.dataflow import Dataflow

from flows.engine.steps import keep_seed_sets, read_candidates, read_clicks, write
from flows.runtime import SeedSide

CONDITIONS = ("bundle", "polling_clicks", "dead_letter_brake", "topics")


def seeds(side: SeedSide) -> Dataflow:
    """Wire the dataflow."""
    flow = Dataflow("seeds")
    clicks, dead_clicks = read_clicks(flow, side.clicks, side.decoder)
    candidates, dead_candidates = read_candidates(flow, side.candidates, side.decoder)
    centroids = keep_seed_sets(clicks, candidates, side.operator)
    write("centroids", centroids, side.centroids)
    dead_letters = op.merge("all_dead_letters", dead_clicks, dead_candidates)
    write("dead_letters", dead_letters, side.dead_letters)
    return flow
