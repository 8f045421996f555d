"""Training on data with planted groups: a broken model misses the floor."""

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from ralm.features import ClickHistories, Interactions
from ralm.protocol.held_out import judge_held_out
from ralm.towers.training import Trained, train
from ralm.towers.training_config import TrainingConfig

pytestmark = pytest.mark.slow  # together too long for `make quick`

CONFIG = TrainingConfig(
    dim=32, field_dim=16, attention_size=8, epochs_user=6, epochs_lookalike=4, batch_size=128, learning_rate=0.005
)


def test_planted_groups_are_found(planted: Interactions) -> None:
    learned = planted.first_of_each_user(0.7)
    before = planted.only(learned)
    trained = train(before, CONFIG)
    losses = [entry["loss"] for entry in trained.log if entry["stage"] == "look-alike towers"]
    assert losses[-1] < losses[0]
    vectors = trained.vectors(ClickHistories(before, CONFIG.history_length), np.arange(planted.users))
    weights = trained.towers.attention_weights()
    figures = judge_held_out(planted, vectors, weights, learned=learned, clusters=5, rng_seed=0)
    assert figures.positives > 500
    assert figures.auc > 0.8
    assert figures.auc > figures.auc_activity + 0.2


@pytest.mark.parametrize(
    "change",
    [
        {"merge": "concat"},
        {"activation": "prelu", "dropout": 0.1},
        {"loss": "plain"},
        {"clusters": 0, "seeds": 10},
        {"clusters": 1, "seed_dropout": 0.2, "recluster": 0},
        {"logq": False, "share_negatives": False, "negatives": 10, "normalise": True, "validation": 0.0},
    ],
)
def test_every_option_trains_and_is_deterministic(planted: Interactions, change: dict[str, object]) -> None:
    config = TrainingConfig(**{**CONFIG.__dict__, "epochs_user": 1, "epochs_lookalike": 1, **change})
    one, other = train(planted, config), train(planted, config)
    for mine, theirs in zip(one.towers.parameters(), other.towers.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    for mine, theirs in zip(one.tower.parameters(), other.tower.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_weights_do_not_depend_on_the_callers_threads_and_its_choices_are_restored(planted: Interactions) -> None:
    config = replace(CONFIG, epochs_user=1, epochs_lookalike=1)
    one = train(planted, config)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        other = train(planted, config)
        assert torch.get_num_threads() == 2
        assert not torch.are_deterministic_algorithms_enabled()
        assert torch.utils.deterministic.fill_uninitialized_memory
    finally:
        torch.set_num_threads(before)
    for mine, theirs in zip(one.towers.parameters(), other.towers.parameters(), strict=True):
        assert torch.equal(mine, theirs)


class Kept:
    """A checkpoint in memory, which stops the training after so many epochs."""

    def __init__(self, stop_after: int) -> None:
        self.states: dict[str, dict[str, Any]] = {}
        self.left = stop_after

    def load(self, stage: str) -> dict[str, Any] | None:
        return self.states.get(stage)

    def save(self, stage: str, state: dict[str, Any]) -> None:
        self.states[stage] = copy.deepcopy(state)
        self.left -= 1
        if self.left == 0:
            raise InterruptedError


@pytest.mark.parametrize(("recluster", "stops"), [(1, [2, 5]), (0, [5])])
def test_a_stopped_training_goes_on_as_if_it_had_not_stopped(
    planted: Interactions, recluster: int, stops: list[int]
) -> None:
    """Stopped within the first stage, and within the second."""
    config = replace(CONFIG, epochs_user=3, epochs_lookalike=3, patience=5, recluster=recluster)
    straight = train(planted, config)
    for epochs in stops:
        kept = Kept(epochs)
        with pytest.raises(InterruptedError):
            train(planted, config, checkpoint=kept)
        check_the_same(train(planted, config, checkpoint=kept), straight)


def check_the_same(resumed: Trained, straight: Trained) -> None:
    assert resumed.log == straight.log
    for mine, theirs in zip(resumed.towers.parameters(), straight.towers.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_the_best_epoch_is_kept_and_training_ends_when_it_gets_no_better(planted: Interactions) -> None:
    config = replace(CONFIG, epochs_user=40, epochs_lookalike=1, learning_rate=0.02)
    log = [entry for entry in train(planted, config).log if entry["stage"] == "user tower"]
    losses = [float(entry["val_loss"]) for entry in log]
    assert len(log) < 40
    assert len(losses) - 1 - int(np.argmin(losses)) == config.patience


def test_too_little_data_is_refused(planted: Interactions) -> None:
    with pytest.raises(ValueError, match="at least 2 items; what is learned from are 0 clicks on 0"):
        train(planted.only(np.zeros(len(planted.clicks_user), bool)), CONFIG)
