"""Where the cells of a table were made, as its head says it."""

from flows.offline.evaluation.made_on import made_on


def test_the_head_says_which_runs_were_made_elsewhere() -> None:
    old, new = ({"machine": "A", "versions": {"torch": "1"}}, {"machine": "B", "versions": {"torch": "2"}})
    cells = [{"model": "both", "rng_seed": seed, "made": {"task": old, "cold": old}} for seed in range(3)]
    assert made_on(cells, "C") == {"versions": "torch 1", "machine": "A"}
    cells += [{"model": "ralm", "rng_seed": seed, "made": {"task": made}} for seed, made in enumerate((old, new, new))]
    cells += [
        {"model": "lr", "rng_seed": 0, "made": {"task": old, "cold": new}},
        {"model": "knn", "rng_seed": 0, "made": {"task": new}},
    ]
    told = made_on(cells, "C")
    assert (told["versions"], told["machine"]) == ("torch 1", "A")
    assert told["made elsewhere"] == "on B with torch 2: `ralm` (rng_seeds 1, 2), `lr` (its cold curve), `knn`"
    assert "`ralm` (draws 1, 2)" in made_on(cells, "C", "draws")["made elsewhere"]


def test_a_run_that_does_not_say_where_it_was_made_counts_as_made_here() -> None:
    cells = [{"model": "both", "rng_seed": 0, "made": {"task": {"machine": None, "versions": {"torch": "1"}}}}]
    assert made_on(cells, "C") == {"versions": "torch 1", "machine": "C"}
