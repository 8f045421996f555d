"""``ralm evaluate`` in small: the real command on a data set of one's own, resumed, damaged, failing and refused."""

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

pytest.importorskip("implicit", reason="needs the extra 'train'")

from flows.cli import main as cli
from flows.config.sources import load_settings
from flows.offline.datasets.custom import prepare_custom
from flows.offline.datasets.layout import save
from flows.offline.evaluation.cells import options_of
from flows.offline.evaluation.plan import chosen_runs, plan_of
from flows.offline.evaluation.table import COLD_COLUMNS, COLUMNS
from ralm.models.catalogue import CATALOGUE as KNOWN
from ralm.models.item_knn import ItemKnn

CATALOGUE = """
import os, signal, time
from ralm.models.activity import Activity
from ralm.models.catalogue import CATALOGUE as KNOWN
from ralm.models.catalogue import CatalogueEntry
from ralm.models.lookalike_model import LookalikeModel
from ralm.towers.training_config import TrainingConfig

SMALL = TrainingConfig(
    dim=32, field_dim=16, attention_size=8, epochs_user=8, epochs_lookalike=3, learning_rate=0.005, clusters=5
)

class Failing(Activity):
    def fit(self, clicks, rng_seed, report=None):
        raise RuntimeError("there is no convergence")

class Killed(Activity):
    def fit(self, clicks, rng_seed, report=None):
        os.kill(os.getpid(), signal.SIGKILL)

class Slow(Activity):
    def fit(self, clicks, rng_seed, report=None):
        time.sleep(600)

class NoSeeds:
    def fit(self, clicks, rng_seed, report=None):
        self.log = [{"stage": "user tower", "epoch": 1, "loss": 0.5, "auc": 0.6}]
        report("user tower", 1, 1, 0.5)
    def scores(self, users, items):
        return __import__("numpy").zeros((len(users), len(items)), "float32")

CATALOGUE = {
    "activity": KNOWN["activity"],
    "item-knn": KNOWN["item-knn"],
    "ralm": CatalogueEntry(lambda: LookalikeModel(SMALL), "main", "small", "ours"),
    "failing": CatalogueEntry(Failing, "broken", "raises"),
    "killed": CatalogueEntry(Killed, "broken", "dies"),
    "slow": CatalogueEntry(Slow, "slow", "sleeps"),
    "no-seeds": CatalogueEntry(NoSeeds, "other", "cannot answer from seeds"),
}
"""


class Done(NamedTuple):
    """What a run of the console script gave."""

    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data set of four groups of users who click their own group's items, and a catalogue."""
    folder, rng = tmp_path_factory.mktemp("evaluate"), np.random.default_rng(0)
    (folder / "my_models.py").write_text(CATALOGUE)
    user = np.repeat(np.arange(240), rng.integers(12, 40, 240))
    liked = rng.random(len(user)) < 0.9
    item = np.where(liked, user % 4 + 4 * rng.integers(0, 20, len(user)), rng.integers(0, 80, len(user)))
    times = rng.permutation(len(user)) + 1_000_000
    for name, columns, described in (
        ("shop", {"user_id": user, "item_id": item, "timestamp": times}, ""),
        ("timeless", {"user_id": user, "item_id": item}, "timed = false\n"),
    ):
        (folder / name).mkdir()
        (folder / name / "data.toml").write_text(described)
        rows = np.stack(list(columns.values()), axis=1)
        np.savetxt(folder / name / "events.csv", rows, "%d", ",", header=",".join(columns), comments="")
        save(prepare_custom(name, folder / name), folder / ".ralm" / "data" / name)
    return folder


@pytest.fixture
def evaluate(shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the console script with two models and two rng_seeds; flags given later count."""
    monkeypatch.chdir(shop)
    monkeypatch.syspath_prepend(str(shop))
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # it is our process that would keep the handler

    def run(*more: str, name: str = "shop") -> Done:
        usual = [
            "--eval-catalogue",
            "my_models",
            "--eval-models",
            "activity,item-knn",
            "--eval-rng-seeds",
            "0,1",
            "--eval-processes",
            "2",
        ]
        monkeypatch.setattr(sys, "argv", ["ralm", "evaluate", name, *usual, "--eval-results", "results", *more])
        try:
            cli.main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        return Done(code, *capsys.readouterr())

    return run


def table(path: Path) -> dict[tuple[str, ...], dict[str, str]]:
    with path.open() as file:
        rows = list(csv.DictReader(file))
    keys = [key for key in ("model", "negatives") if key in rows[0]]
    return {tuple(row[key] for key in keys): row for row in rows}


def cells(shop: Path) -> list[Path]:
    return sorted((shop / ".ralm" / "evaluate" / "shop").glob("*.json"))


@pytest.mark.slow
def test_a_table_is_made_and_what_is_done_is_not_done_again(shop: Path, evaluate: Run) -> None:
    done = evaluate("--eval-work", ".ralm/evaluate")
    assert done.code == 0, done.err
    assert "0 of 8 cells are there already" in done.out
    results = shop / "results"
    made = {path.name for path in results.iterdir()}
    plots = {f"shop-{plot}.png" for plot in ("models", "exposure", "cold")}
    assert made == {"shop.csv", "shop.md", "shop-cold.csv", *plots}
    assert (results / "shop.csv").read_text().splitlines()[0] == ",".join(COLUMNS)
    assert (results / "shop-cold.csv").read_text().splitlines()[0] == ",".join(COLD_COLUMNS)

    rows = table(results / "shop.csv")
    assert set(rows) == {(model, kind) for model in ("activity", "item-knn") for kind in ("uniform", "matched")}
    for kind in ("uniform", "matched"):
        assert float(rows["item-knn", kind]["auc"]) > 0.75
        assert float(rows["item-knn", kind]["auc_item"]) > 0.75
        assert float(rows["item-knn", kind]["auc_sd"]) < 0.05
    assert abs(float(rows["activity", "matched"]["auc"]) - 0.5) < 0.04
    assert float(rows["item-knn", "matched"]["prec10"]) > 2 * float(rows["activity", "matched"]["prec10"])
    assert rows["item-knn", "uniform"]["seeds"] == "2"

    with (results / "shop-cold.csv").open() as file:
        curve = [row for row in csv.DictReader(file) if (row["model"], row["negatives"]) == ("item-knn", "matched")]
    assert [int(row["seeds"]) for row in curve] == [0, 10, 30]
    assert float(curve[0]["auc"]) == 0.5
    assert float(curve[2]["auc"]) > 0.75

    report = (results / "shop.md").read_text()
    assert (
        "`ralm evaluate shop --eval-models activity,item-knn --eval-catalogue my_models --eval-rng-seeds 0,1`" in report
    )
    assert "held out" in report
    assert "users are judged" in report
    assert "users are judged" in done.out
    assert "later clicks" in report

    before = {path.name: path.stat().st_mtime_ns for path in cells(shop)}
    csv_before = (results / "shop.csv").read_text()
    again = evaluate("--eval-work", ".ralm/evaluate")
    assert "8 of 8 cells are there already, 0 are to be run" in again.out
    assert {path.name: path.stat().st_mtime_ns for path in cells(shop)} == before
    assert (results / "shop.csv").read_text() == csv_before

    damaged = [path for path in cells(shop) if "task-item-knn" in path.name]
    damaged[0].write_bytes(damaged[0].read_bytes()[:100])
    damaged[1].unlink()
    mended = evaluate("--eval-work", ".ralm/evaluate")
    assert "6 of 8 cells are there already, 2 are to be run" in mended.out
    changed = {path.name for path in cells(shop) if path.stat().st_mtime_ns != before[path.name]}
    assert changed == {path.name for path in damaged}
    figures = [name for name in COLUMNS if name != "seconds"]
    same = table(results / "shop.csv")
    assert [[row[name] for name in figures] for row in same.values()] == [
        [row[name] for name in figures] for row in rows.values()
    ]


@pytest.mark.slow
def test_the_look_alike_model_misses_no_floor(shop: Path, evaluate: Run) -> None:
    done = evaluate("--eval-models", "activity,ralm", "--eval-rng-seeds", "0", "--no-plots", "--eval-results", "ralm")
    assert done.code == 0, done.err
    rows = table(shop / "ralm" / "shop.csv")
    assert float(rows["ralm", "matched"]["auc"]) > 0.75
    assert float(rows["ralm", "matched"]["auc_item"]) > 0.75
    assert float(rows["ralm", "matched"]["prec10"]) > 2 * float(rows["activity", "matched"]["prec10"])
    with (shop / "ralm" / "shop-cold.csv").open() as file:
        curve = [row for row in csv.DictReader(file) if (row["model"], row["negatives"]) == ("ralm", "matched")]
    assert float(curve[0]["auc"]) == 0.5
    assert float(curve[-1]["auc"]) > 0.75

    with (shop / "ralm" / "shop-against.csv").open() as file:
        against = list(csv.DictReader(file))
    assert {(row["asked"], row["figure"]) for row in against} == {
        ("warm", "auc_item"),
        ("warm", "prec10"),
        ("cold", "auc"),
        ("cold", "prec10"),
    }
    assert {(row["model"], row["rival"]) for row in against} == {("ralm", "activity")}
    assert all(float(row["low"]) > 0 for row in against if row["negatives"] == "matched")
    assert "## Ours against the best of the others" in (shop / "ralm" / "shop.md").read_text()


@pytest.mark.slow
def test_models_that_fail_are_told_of_and_the_others_are_in_the_table(shop: Path, evaluate: Run) -> None:
    done = evaluate(
        "--eval-models", "failing,activity,killed,item-knn", "--no-cold", "--no-plots", "--eval-results", "failed"
    )
    assert done.code == 1
    assert "failing with rng_seed 1 (task): RuntimeError: there is no convergence" in done.err
    assert "killed with rng_seed 0 (task): its process ended with exit code -9, killed" in done.err
    assert "my_models.py" in done.err  # where it happened
    assert {model for model, _ in table(shop / "failed" / "shop.csv")} == {"activity", "item-knn"}


@pytest.mark.slow
def test_a_model_that_needs_an_items_clicks_is_not_asked_for_held_out_items(shop: Path, evaluate: Run) -> None:
    models = ("--eval-models", "activity,no-seeds", "--eval-rng-seeds", "0", "--eval-processes", "1")
    models += ("--no-cold", "--eval-results", "mute")
    assert evaluate(*models, "--eval-split", "user").code == 0
    assert ("no-seeds", "matched") in table(shop / "mute" / "shop-user.csv")
    done = evaluate(*models, "--eval-split", "items")
    assert done.code == 0, done.err
    assert "Cannot answer for items that they have not learned of: no-seeds." in done.out
    assert {model for model, _ in table(shop / "mute" / "shop-items.csv")} == {"activity"}


def test_clicks_without_times_are_split_as_is_said(shop: Path) -> None:
    given = {"data_dir": str(shop / ".ralm" / "data"), "eval_models": "activity"}
    for split in ("auto", "user", "items"):
        plan, dataset = plan_of(load_settings(flags={**given, "eval_split": split}, environment={}), "timeless")
        assert plan.protocol.task(dataset.interactions(), plan.protocol.before(dataset)).wanted.any()


@pytest.mark.parametrize(
    ("flags", "name", "words"),
    [
        (("--eval-models", "item-kn"), "shop", "there is no model 'item-kn'; did you mean item-knn?"),
        (("--eval-models", "@mian"), "shop", "did you mean @main?"),
        ((), "shp", "there is no data set shp in .ralm/data (there: shop, timeless); bring it first: ralm data shp"),
        (("--eval-split", "time"), "timeless", "have no times and cannot be split by time; say --eval-split user"),
        (
            ("--eval-split", "odd"),
            "shop",
            "eval_split = 'odd' from the flag --eval-split cannot be used: it must be one of auto, time",
        ),
        (("--eval-rng-seeds", "0,0"), "shop", "must be different whole numbers"),
        (("--eval-models", "item-knn:0+x"), "shop", "the rng_seeds '0,x' in eval_models must be different"),
        (
            ("--eval-floor-seeds", "9999"),
            "shop",
            "choose another cut, lower the floors of clicks and seeds",
        ),
        (("--eval-catalogue", "no_such"), "shop", "eval_catalogue = 'no_such' must be a module"),
    ],
)
def test_what_is_not_known_is_refused_before_anything_runs(
    shop: Path, evaluate: Run, flags: tuple[str, ...], name: str, words: str
) -> None:
    done = evaluate(*flags, "--eval-results", "refused", "--eval-work", "refused-work", name=name)
    assert done.code == 2, done.err
    assert words in done.err
    assert "Traceback" not in done.err
    assert not (shop / "refused").exists()
    assert not (shop / "refused-work").exists()


@pytest.fixture
def running(shop: Path, tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A run that has done a fast cell and sleeps in another; its work folder is the test's own."""
    paths = os.pathsep.join([str(shop), str(Path(__file__).parents[4])])
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "flows.cli.main",
            "evaluate",
            "shop",
            "--eval-models",
            "activity,slow",
            "--eval-rng-seeds",
            "0",
        ],
        cwd=shop,
        env={**os.environ, "PYTHONPATH": paths, "RALM_EVAL_CATALOGUE": "my_models", "RALM_EVAL_WORK": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("shop/task-activity-*.json")):
        assert time.monotonic() < deadline, "the fast cell is not done"
        assert process.poll() is None, "the run ended before it was stopped"
        time.sleep(0.1)
    yield process
    process.kill()
    process.wait()


def is_running(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGKILL])
def test_a_stop_loses_only_what_is_in_progress(
    running: "subprocess.Popen[str]", evaluate: Run, tmp_path: Path, signal_number: signal.Signals
) -> None:
    workers = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
    assert workers
    running.send_signal(signal_number)
    running.wait(120)
    assert running.returncode != 0
    deadline = time.monotonic() + 120
    while any(is_running(worker) for worker in workers):
        assert time.monotonic() < deadline, "a worker went on without its command"
        time.sleep(0.1)
    done = evaluate(
        "--eval-models", "activity", "--eval-rng-seeds", "0", "--no-cold", "--eval-work", str(tmp_path), "--no-plots"
    )
    assert "1 of 1 cells are there already" in done.out


def test_models_are_chosen_by_name_group_and_family_each_with_its_own_runs() -> None:
    runs = chosen_runs("both,@paper:0,ralm-paper:1+2", KNOWN, (0, 1, 2))
    assert runs["both"] == runs["ralm-paper"] == (0, 1, 2)
    assert runs["ralm-paper-10"] == (0,)
    assert set(runs) == {"both"} | {name for name, entry in KNOWN.items() if entry.group == "paper"}
    assert list(runs) == [name for name in KNOWN if name in runs]
    families = chosen_runs("@baselines:0,@towers:0,@ours:0", KNOWN, (0,))
    assert families == chosen_runs("all", KNOWN, (0,))
    assert chosen_runs("auto", KNOWN, (0,)) == chosen_runs("@baselines,@ours", KNOWN, (0,))


def test_changed_options_are_another_model() -> None:
    assert options_of(ItemKnn()) == options_of(ItemKnn(100))
    assert options_of(ItemKnn()) != options_of(ItemKnn(50))
