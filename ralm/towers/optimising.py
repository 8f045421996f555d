"""What both trained stages share: steps, epochs until validation gets no better, and where to go on after a stop."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
import torch.utils.deterministic
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from ralm.features import Ints
from ralm.progress import Report

Log = list[dict[str, float | int | str]]
"""Of each epoch its stage, number and mean loss, and what validation gave."""


class Checkpoint(Protocol):
    """Keeps the state of an unfinished stage."""

    def load(self, stage: str) -> dict[str, Any] | None:
        """What was saved last for the stage, None when nothing was."""

    def save(self, stage: str, state: dict[str, Any]) -> None:
        """Keep a state in place of the last: tensors, numbers, text, lists and dictionaries."""


class NoCheckpoint:
    """Keeps nothing."""

    def load(self, stage: str) -> None:
        """Nothing."""

    def save(self, stage: str, state: dict[str, Any]) -> None:
        """Nothing."""


@dataclass
class Stage:
    """A stage in training.

    Attributes:
        name: for the log and the report.
        modules: what is trained.
        optimiser: of their parameters.
        epochs: the most epochs.
        patience: epochs without a better validation loss before it ends.
        rng_seed: with the epoch's number it fixes the epoch's random choices, so that a resumed stage makes the same.
        log: of each epoch.
    """

    name: str
    modules: nn.ModuleDict
    optimiser: torch.optim.Optimizer
    epochs: int
    patience: int
    rng_seed: int
    log: Log = field(default_factory=list)

    def run(
        self,
        epoch: Callable[[np.random.Generator], float],
        validate: Callable[[], dict[str, float]],
        report: Report,
        checkpoint: Checkpoint,
    ) -> None:
        """Train until validation gets no better, and keep the weights of the best epoch.

        Args:
            epoch: trains one epoch and gives its mean loss.
            validate: gives figures of the weights as they are; ``val_loss`` among them decides, if it is there.
            report: called when the stage begins and after each epoch.
            checkpoint: keeps the stage after each epoch.

        Raises:
            ValueError: when a loss is not finite.
        """
        best, best_loss, last = self._resume(checkpoint)
        report(self.name, last, self.epochs, float("nan"))
        for number in range(last, self.epochs):
            if self._is_over():
                break
            torch.manual_seed(self.rng_seed * 1000 + number)
            self.modules.train()
            loss = epoch(np.random.default_rng([self.rng_seed, number]))
            if not np.isfinite(loss):
                msg = f"the loss of the {self.name} is {loss} in epoch {number + 1}: try a smaller learning rate"
                raise ValueError(msg)
            self.modules.eval()
            figures = validate()
            self.log.append({"stage": self.name, "epoch": number + 1, "loss": loss, **figures})
            if figures.get("val_loss", -number) < best_loss:
                best_loss = figures.get("val_loss", -number)
                best = {name: tensor.clone() for name, tensor in self.modules.state_dict().items()}
            checkpoint.save(
                self.name,
                {
                    "modules": self.modules.state_dict(),
                    "optimiser": self.optimiser.state_dict(),
                    "best": best,
                    "best_loss": best_loss,
                    "log": self.log,
                },
            )
            report(self.name, number + 1, self.epochs, loss)
        self.modules.load_state_dict(best)
        self.modules.eval()
        if len(self.log) < self.epochs:  # ended sooner: nothing more is to come
            report(self.name, self.epochs, self.epochs, float(self.log[-1]["loss"]) if self.log else 0.0)

    def _resume(self, checkpoint: Checkpoint) -> tuple[dict[str, Tensor], float, int]:
        state = checkpoint.load(self.name)
        if state is None:
            return self.modules.state_dict(), float("inf"), 0
        self.modules.load_state_dict(state["modules"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.log = list(state["log"])
        return state["best"], float(state["best_loss"]), len(self.log)

    def _is_over(self) -> bool:
        losses = [float(entry["val_loss"]) for entry in self.log if "val_loss" in entry]
        return bool(losses) and len(losses) - 1 - int(np.argmin(losses)) >= self.patience

    def step(self, loss: Tensor) -> float:
        """One step of the optimiser, with the gradient's norm bounded; gives the loss."""
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        for module in self.modules.values():
            nn.utils.clip_grad_norm_(module.parameters(), 5.0)
        self.optimiser.step()
        return loss.item()


def shuffled(rng: np.random.Generator, rows: Ints, size: int) -> Iterator[Ints]:
    """The rows in random order, in batches of about ``size``."""
    yield from np.array_split(rng.permutation(rows), max(1, round(len(rows) / size)))


@contextmanager
def deterministic() -> Iterator[None]:
    """One numeric thread and no algorithm whose sums depend on chance; the caller's choice is restored.

    The steps' tensors are small: more threads wait for one another, and the weights would depend on how many there are.
    """
    before, threads = torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()
    memory: Any = torch.utils.deterministic  # a module whose attribute has no type
    filled = memory.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    # Otherwise torch writes NaN into every new tensor, a tenth of a step; nothing here reads what it has not written.
    memory.fill_uninitialized_memory = False
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(threads)
        memory.fill_uninitialized_memory = filled
        torch.use_deterministic_algorithms(before)
