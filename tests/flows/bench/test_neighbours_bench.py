"""``ralm bench neighbours`` in its short form."""

from flows.bench.neighbours import measure_neighbours


def test_neighbours_are_measured_beside_scores() -> None:
    figures = measure_neighbours(items=300, users=500, seeds=40, dim=8)
    assert [batch.users for batch in figures.batches] == [1, 16, 256]
    assert all(batch.score_s > 0 and batch.near_s > 0 for batch in figures.batches)
    assert min(figures.update_s, figures.bare_update_s) > 0
    assert 500 < figures.bytes_each < 2_000
