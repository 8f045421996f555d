"""The whole way of the data in one dataflow: clicks to seed sets to centroids, requests to scores."""

import bytewax.operators as op
from bytewax.dataflow import Dataflow

from flows.engine.steps import enrich, keep_seed_sets, read_candidates, read_clicks, read_requests, write
from flows.runtime import ScoreSide, SeedSide

CONDITIONS = ("bundle", "index", "polling_clicks", "polling_requests", "dead_letter_brake", "topics")


def look_alike(seeds: SeedSide, scores: ScoreSide) -> Dataflow:
    """Wire the dataflow."""
    flow = Dataflow("look_alike")

    clicks, dead_clicks = read_clicks(flow, seeds.clicks, seeds.decoder)
    candidates, dead_candidates = read_candidates(flow, seeds.candidates, seeds.decoder)
    centroids = keep_seed_sets(clicks, candidates, seeds.operator)
    write("centroids", centroids, seeds.centroids)

    requests, dead_requests = read_requests(flow, scores.requests, scores.decoder)
    answers = enrich(requests, scores.enricher)
    write("scores", answers, scores.scores)

    dead_letters = op.merge("all_dead_letters", dead_clicks, dead_candidates, dead_requests)
    write("dead_letters", dead_letters, seeds.dead_letters)
    return flow
