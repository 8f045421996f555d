"""Training on data with planted groups: a broken model misses the floor."""

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ralm.features import Histories, Interactions
from ralm.protocol.held_out import evaluate
from ralm.towers.group_clustering import cluster_groups
from ralm.towers.training import Trained, train
from ralm.towers.training_config import TrainingConfig

CONFIG = TrainingConfig(
    dim=32, field_dim=16, attention_size=8, epochs_user=6, epochs_lookalike=4, batch_size=128, learning_rate=0.005
)


def test_planted_groups_are_found(planted: Interactions) -> None:
    learned = planted.first_of_each_user(0.7)
    before = planted.only(learned)
    trained = train(before, CONFIG)
    losses = [entry["loss"] for entry in trained.log if entry["stage"] == "look-alike towers"]
    assert losses[-1] < losses[0]
    vectors = trained.vectors(Histories(before, CONFIG.history_length), np.arange(planted.users))
    weights = trained.towers.attention_weights()
    figures = evaluate(planted, vectors, weights, learned=learned, clusters=5, rng_seed=0)
    assert figures.pairs > 500
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
    with pytest.raises(ValueError, match="at least 2 clicks on 2 items"):
        train(planted.only(np.zeros(len(planted.clicks_user), bool)), CONFIG)


@settings(max_examples=40)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=8), st.integers(1, 5), st.integers(0, 2**31))
def test_groups_are_clustered_each_for_itself(sizes: list[int], k: int, rng_seed: int) -> None:
    rng = np.random.default_rng(rng_seed)
    groups = np.repeat(np.arange(len(sizes)), sizes)
    vectors = rng.normal(size=(len(groups), 4)).astype(np.float32)
    labels = cluster_groups(vectors, groups, k, rng)
    assert labels.min() >= 0
    assert labels.max() < k
    for group, size in enumerate(sizes):
        if size <= k:
            assert len(set(labels[groups == group].tolist())) == size
