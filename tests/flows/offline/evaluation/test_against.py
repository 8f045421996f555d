"""Our models are held against the best rival of each figure, over the users and items that both were asked."""

from typing import Any

import pytest

from flows.offline.evaluation.against import AGAINST_COLUMNS, against_rows

KINDS = ("uniform", "matched")


def cell(model: str, family: str, by_user: list[float], rng_seed: int = 0, **more: Any) -> dict[str, Any]:
    by_item: dict[str, list[float | None]] = {kind: [0.5, None, 0.7] for kind in KINDS}
    about = {"model": model, "family": family, "group": "main", "rng_seed": rng_seed, "cold": None}
    return {**about, "by_item": by_item, "by_user": by_user, **more}


def test_the_rival_is_the_best_of_the_others_and_runs_are_averaged() -> None:
    cells = [
        cell("weak", "baselines", [0.0, 0.1, 0.0, 0.1]),
        cell("strong", "baselines", [0.2, 0.2, 0.2, 0.2], 0),
        cell("strong", "baselines", [0.4, 0.4, 0.4, 0.4], 1),
        cell("best", "baselines", [0.9, 0.9, 0.9, 0.9], group="variants"),  # of no main group: no rival
        cell("mine", "ours", [0.3, 0.5, 0.5, 0.7]),
    ]
    rows = against_rows(cells)
    assert all(set(row) == set(AGAINST_COLUMNS) for row in rows)
    assert [(row["figure"], row["negatives"]) for row in rows] == [
        ("auc_item", "uniform"),
        ("auc_item", "matched"),
        ("prec10", None),
    ]
    prec10 = rows[-1]
    assert (prec10["model"], prec10["rival"]) == ("mine", "strong")
    assert prec10["difference"] == pytest.approx(0.2)
    assert prec10["low"] <= 0.2 <= prec10["high"]
    assert rows[0]["difference"] == pytest.approx(0)


def test_each_number_of_seeds_has_its_own_rival() -> None:
    def cold(ten: float, thirty: float) -> dict[str, Any]:
        return {
            "points": [
                {"seeds": seeds, "negatives": kind, "by_item": [value, value], "by_user": [value]}
                for seeds, value in ((0, 0.5), (10, ten), (30, thirty))
                for kind in KINDS
            ]
        }

    cells = [
        cell("a", "baselines", [0.1], cold=cold(0.6, 0.7)),
        cell("b", "baselines", [0.1], cold=cold(0.5, 0.8)),
        cell("mine", "ours", [0.1], cold=cold(0.7, 0.7)),
    ]
    found = {
        (row["seeds"], row["negatives"]): (row["rival"], round(row["difference"], 3))
        for row in against_rows(cells)
        if row["asked"] == "cold" and row["figure"] == "auc"
    }
    assert found == {
        (10, "uniform"): ("a", 0.1),
        (10, "matched"): ("a", 0.1),
        (30, "uniform"): ("b", -0.1),
        (30, "matched"): ("b", -0.1),
    }


@pytest.mark.parametrize("families", [["ours"], ["baselines"], []])
def test_without_two_sides_nothing_is_compared(families: list[str]) -> None:
    assert against_rows([cell(f"m{place}", family, [0.1]) for place, family in enumerate(families)]) == []
