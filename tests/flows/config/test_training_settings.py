"""Every hyperparameter is a setting with the same default."""

from flows.config.fields import group_of
from flows.config.settings import Settings
from flows.offline.training import config_of
from ralm.towers.training_config import TrainingConfig

NOT_OF_TRAINING = {"validation_share"}  # how the data is split


def test_every_hyperparameter_is_a_setting() -> None:
    names = set(TrainingConfig.__dataclass_fields__)
    group = {name for name, field in Settings.model_fields.items() if group_of(field) == "train"}
    assert names - {"rng_seed"} == group - NOT_OF_TRAINING
    assert config_of(Settings()) == TrainingConfig()


def test_what_is_set_reaches_the_training() -> None:
    config = config_of(Settings(dim=8, loss="plain", history_dropout=0.1, rng_seed=7))
    assert (config.dim, config.loss, config.history_dropout, config.rng_seed) == (8, "plain", 0.1, 7)
