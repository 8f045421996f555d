"""Fits the encoder that was asked for: what a bundle serves of it. Only the encoders that need torch import it."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flows.config.groups import EncoderName
from ralm.encoders.encoder import EncoderPart, EncoderRecipe, TableEncoder
from ralm.encoders.histories import Histories
from ralm.encoders.profiles import Profiles
from ralm.features import ClickHistories, Floats, Interactions
from ralm.progress import Report, silent
from ralm.scoring import CountedForm, ScoreForm
from ralm.towers.training_config import TrainingConfig
from state.bundle.vectors import UserSums


@dataclass(frozen=True)
class FitOptions:
    """What is trained, and how.

    Attributes:
        encoder: which.
        local_weight: beta of a score of the counted form; alpha is the rest.
        towers: the hyperparameters of the paper's encoder, which has weights of its own.
        clusters: k of the figures.
        prior: of the figures' rankings.
        rng_seed: fixes every random choice.
    """

    encoder: EncoderName = "both"
    local_weight: float = 0.5
    towers: TrainingConfig = field(default_factory=TrainingConfig)
    clusters: int = 20
    prior: float = 0.1
    rng_seed: int = 0

    def hyperparameters(self) -> dict[str, Any]:
        """What the training depends on, for the manifest and to tell trainings apart; plain values."""
        if self.encoder == "paper":
            return {**asdict(self._own_towers()), "rng_seed": self.rng_seed}
        found = asdict(_recipe(self.encoder))  # type: ignore[call-overload]
        return {**_plain(found), "local_weight": self.local_weight, "rng_seed": self.rng_seed}

    def _own_towers(self) -> TrainingConfig:
        """The towers learn no weight of an item's popularity: that is a setting of serving."""
        return replace(self.towers, prior=False, rng_seed=self.rng_seed)


@dataclass(frozen=True)
class FittedVectors:
    """What a fit gives of all users.

    Attributes:
        form: of the scores.
        vectors: float32[users, h].
        histories: of all users, as far as they count.
        parts: of an inductive encoder.
        sums: of an inductive encoder.
        towers: tensors of the paper's encoder.
        log: of the training, where it keeps one.
    """

    form: ScoreForm
    vectors: Floats
    histories: Histories
    parts: tuple[EncoderPart, ...] = ()
    sums: UserSums | None = None
    towers: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    log: list[dict[str, float | int | str]] = field(default_factory=list)


def fit(
    clicks: Interactions, options: FitOptions, folder: Path, identity: str, report: Report = silent
) -> FittedVectors:
    """Learn from all clicks.

    Args:
        clicks: to learn from.
        options: what is trained, and how.
        folder: of what is kept of an unfinished training; the encoders that take a minute keep nothing.
        identity: of the training, so that none goes on from another's.
        report: called with each stage's progress.

    Raises:
        ValueError: when there is too little to learn from, or the training diverges.
    """
    if options.encoder == "paper":
        return _fit_towers(clicks, options, folder, identity, report)
    profiles, histories = Profiles.of_clicks(clicks), Histories.of_clicks(clicks)
    encoder = _recipe(options.encoder).fit(clicks, profiles, options.rng_seed, report)
    if not isinstance(encoder, TableEncoder):
        msg = f"the encoder {options.encoder} is no table of item vectors"
        raise TypeError(msg)
    sums, part = encoder.sums(histories), encoder.profile_part(profiles)
    vectors = encoder.finish(sums, histories.counts, part)
    kept = part if part.any() else part[:, :0]
    form = CountedForm(encoder.dim, 1.0 - options.local_weight, options.local_weight)
    base = UserSums(sums.astype(np.float32), kept, histories.items.astype(np.int32), histories.start.astype(np.uint64))
    return FittedVectors(form, vectors, histories, encoder.parts, base)


def _recipe(name: EncoderName) -> EncoderRecipe:
    made: dict[EncoderName, Callable[[], EncoderRecipe]] = {"spectral": _spectral, "learned": _learned, "both": _both}
    return made[name]()


def _spectral() -> EncoderRecipe:
    from ralm.encoders.sized_spectral import SizedSpectral  # noqa: PLC0415 (each as it is asked for)

    return SizedSpectral()


def _learned() -> EncoderRecipe:
    from ralm.encoders.learned import Learned  # noqa: PLC0415 (brings torch)

    return Learned()


def _both() -> EncoderRecipe:
    from ralm.encoders.both import Both  # noqa: PLC0415 (brings torch)

    return Both()


def _fit_towers(
    clicks: Interactions, options: FitOptions, folder: Path, identity: str, report: Report
) -> FittedVectors:
    from flows.offline.checkpoint import FileCheckpoint  # noqa: PLC0415 (brings torch)
    from ralm.towers.training import train  # noqa: PLC0415 (brings torch)

    config = options._own_towers()  # noqa: SLF001 (of this module)
    trained = train(clicks, config, report, FileCheckpoint(folder, identity))
    vectors = trained.vectors(ClickHistories(clicks, config.history_length), np.arange(clicks.users))
    towers = {
        f"{part}.{name}": tensor.numpy().astype(np.float32)
        for part, module in (("user_tower", trained.tower), ("lookalike", trained.towers))
        for name, tensor in module.state_dict().items()
    }
    histories = Histories.of_clicks(clicks, config.history_length)
    return FittedVectors(trained.towers.attention_weights(), vectors, histories, towers=towers, log=list(trained.log))


def _plain(value: Any) -> Any:
    """The same with lists in place of tuples, as JSON gives it back."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
