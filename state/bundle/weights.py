"""The small weights of a bundle as named tensors: those of the score's form, and of the encoder's profile part."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ralm.encoders.encoder import EncoderPart
from ralm.encoders.profiles import ProfileWeights
from ralm.scoring import COUNTED, AttentionWeights, CountedForm, ScoreForm
from state.bundle.manifest import Head, Part

Tensors = Mapping[str, NDArray[np.float32]]
_ATTENTION = ("w_local", "w_global", "v_global")
_MOST_WEIGHT = 100.0
"""Of alpha, beta and a part's weight; they are about 1."""
_MOST_TEMPERATURE = 1e3


def tensors_of(form: ScoreForm, parts: tuple[EncoderPart, ...]) -> dict[str, NDArray[np.float32]]:
    """All weights by name, float32."""
    found: dict[str, NDArray[np.float32]] = {}
    if isinstance(form, AttentionWeights):
        found |= {name: getattr(form, name) for name in _ATTENTION}
    for number, part in enumerate(parts):
        profile, name = part.profile, f"part{number}"
        found[f"{name}.nobody"] = part.nobody
        found[f"{name}.bias"] = profile.bias
        found[f"{name}.continuous"], found[f"{name}.middle"] = profile.continuous, profile.middle
        for kind in ("categorical", "multivalent"):
            found |= {f"{name}.{kind}.{field}": table for field, table in getattr(profile, kind).items()}
    return {name: np.ascontiguousarray(tensor, np.float32) for name, tensor in found.items()}


def form_of(head: Head, tensors: Tensors) -> ScoreForm:
    """The form that a manifest names.

    Raises:
        ValueError: when a weight is absurd or a tensor does not fit.
        KeyError: when a tensor is missing.
    """
    alpha, beta, temperature = head.alpha, head.beta, head.local_temperature
    for name, number in (("alpha", alpha), ("beta", beta)):
        if not 0 <= number <= _MOST_WEIGHT:
            msg = f"{name} is {number}; it must be 0 to {_MOST_WEIGHT:g}"
            raise ValueError(msg)
    if not alpha + beta > 0:
        msg = "alpha and beta are both 0"
        raise ValueError(msg)
    if not temperature <= _MOST_TEMPERATURE:
        msg = f"local_temperature is {temperature}; the most is {_MOST_TEMPERATURE:g}"
        raise ValueError(msg)
    if head.form == COUNTED:
        return CountedForm(head.dim, alpha, beta, temperature)
    w_local, w_global, v_global = (tensors[name] for name in _ATTENTION)
    form = AttentionWeights(w_local, w_global, v_global, alpha, beta, temperature)
    if form.dim != head.dim:
        msg = f"the weights have {form.dim} dimensions, the vectors {head.dim}"
        raise ValueError(msg)
    return form


def parts_of(heads: list[Part], tensors: Tensors, table: NDArray[Any]) -> tuple[EncoderPart, ...]:
    """The parts of an encoder.

    Args:
        heads: what the manifest says of them.
        tensors: by name.
        table: e_j of all parts side by side, [I, h].

    Raises:
        ValueError: when something does not fit.
        KeyError: when a tensor is missing.
    """
    parts, first = [], 0
    for number, head in enumerate(heads):
        if not (head.dim >= 1 and 0 <= head.power <= 1 and 0 < head.weight <= _MOST_WEIGHT):
            msg = f"part {number} of the encoder has dim {head.dim}, power {head.power} and weight {head.weight}"
            raise ValueError(msg)
        own = {name.partition(".")[2]: value for name, value in tensors.items() if name.startswith(f"part{number}.")}
        profile = ProfileWeights(
            own["bias"],
            _tables(own, "categorical", head.dim),
            _tables(own, "multivalent", head.dim),
            own["continuous"],
            own["middle"],
        )
        shapes = (own["nobody"].shape, profile.bias.shape, profile.continuous.shape)
        if shapes != ((head.dim,), (head.dim,), (len(profile.middle), head.dim)):
            msg = f"part {number} of the encoder has weights of other lengths than {head.dim}"
            raise ValueError(msg)
        part = EncoderPart(table[:, first : first + head.dim], profile, own["nobody"], head.power, head.weight)
        parts.append(part)
        first += head.dim
    if parts and first != table.shape[1]:
        msg = f"the encoder's parts have {first} dimensions, the vectors {table.shape[1]}"
        raise ValueError(msg)
    return tuple(parts)


def _tables(own: Tensors, kind: str, dim: int) -> dict[str, NDArray[np.float32]]:
    tables = {name.partition(".")[2]: table for name, table in own.items() if name.startswith(f"{kind}.")}
    if any(table.ndim != 2 or not len(table) or table.shape[1] != dim for table in tables.values()):
        msg = f"a table of a {kind} field does not have {dim} columns"
        raise ValueError(msg)
    return tables


def finite(tensors: Tensors, most: float) -> None:
    """See that all weights are float32, finite and not absurd.

    Raises:
        ValueError: naming the tensor that is not.
    """
    for name, tensor in tensors.items():
        if tensor.dtype != np.float32:
            msg = f"{name} has numbers of type {tensor.dtype}; they must be float32"
            raise ValueError(msg)
        if not (np.abs(tensor) <= most).all():
            msg = f"{name} has a weight that is not finite, or beyond {most:g}"
            raise ValueError(msg)


def head_of(form: ScoreForm, parts: tuple[EncoderPart, ...]) -> dict[str, Any]:
    """What a manifest says of form and encoder."""
    numbers = (form.alpha, form.beta, form.local_temperature)
    if not all(math.isfinite(number) for number in numbers):
        msg = "alpha, beta and local_temperature must be finite"
        raise ValueError(msg)
    return {
        "dim": form.dim,
        "form": form.name,
        "alpha": form.alpha,
        "beta": form.beta,
        "local_temperature": form.local_temperature,
        "parts": [{"dim": part.dim, "power": part.power, "weight": part.weight} for part in parts],
    }
