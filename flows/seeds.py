"""The half that learns what items look like: clicks to seed sets to centroids."""

from bytewax.dataflow import Dataflow

from flows.operators import keep_seed_sets, read_clicks, write
from flows.runtime import Runtime

CONDITIONS = ("bundle", "polling_clicks")


def seeds(runtime: Runtime) -> Dataflow:
    """Wire the dataflow. Its name and its steps' are part of the recovery data's format."""
    flow = Dataflow("seeds")
    clicks, dead_clicks = read_clicks(flow, runtime.clicks(), runtime.decoder)
    centroids = keep_seed_sets(clicks, runtime.keeper)
    write("centroids", centroids, runtime.centroids())
    write("dead_letters", dead_clicks, runtime.dead_letters())
    return flow
