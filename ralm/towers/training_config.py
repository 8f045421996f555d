"""Every hyperparameter of both trained stages; what the paper does not give says so."""

from dataclasses import dataclass, field
from typing import Any, Literal


def _hyper(default: Any, text: str, **bounds: float) -> Any:
    """A hyperparameter with its description and the bounds (``ge``, ``gt``, ``le``, ``lt``) of what may be set."""
    return field(default=default, metadata={"text": text, **bounds})


@dataclass(frozen=True)
class TrainingConfig:
    """How both stages are trained; each field's metadata describes it, and the settings ``train_*`` are made from it.

    The defaults are what did best on validation, never on test; ``PAPER`` is the paper as printed. Where a description
    names no value of the paper, the paper gives none. Experiments also set ``clusters`` to 0 (every seed is attended to
    by itself), and one of ``alpha`` and ``beta`` to 0 (local or global attention only).
    """

    dim: int = _hyper(128, "length of user embeddings and look-alike vectors (paper: 128)", ge=1)
    field_dim: int = _hyper(32, "length of a field's embedding", ge=1)
    attention_size: int = _hyper(32, "hidden units of the merge attention and the global attention", ge=1)
    history_length: int = _hyper(50, "number of a user's latest clicks that are features", ge=1)
    history_dropout: float = _hyper(
        0.3, "share of positives trained without past clicks, so that users with only a profile get useful vectors",
        ge=0, le=1,
    )  # fmt: skip
    far: float = _hyper(
        1.0,
        "share of positives whose user is taken as of a random earlier click, not just before the click",
        ge=0,
        le=1,
    )
    merge: Literal["attention", "concat"] = _hyper("attention", "how the fields of a user are combined")
    epochs_user: int = _hyper(30, "maximum number of epochs of the user tower", ge=1)
    epochs_lookalike: int = _hyper(6, "maximum number of epochs of the look-alike towers", ge=1)
    patience: int = _hyper(
        2, "epochs without a better validation loss before a stage stops and keeps its best epoch", ge=1
    )
    validation: float = _hyper(
        0.05,
        "share of each user's clicks, the last ones, that early stopping looks at; 0: no early stopping",
        ge=0,
        lt=1,
    )
    batch_size: int = _hyper(256, "positives per step (paper: 256)", ge=1)
    learning_rate: float = _hyper(0.001, "learning rate of Adam (paper: 0.001)", gt=0)
    max_positives: int = _hyper(50, "maximum positives per user and epoch in the user tower (paper: 50)", ge=1)
    lookalike_positives: int = _hyper(20, "maximum positives per user and epoch in the look-alike towers", ge=1)
    negatives: int = _hyper(500, "negatives per positive (paper: 10), or per step if all positives share them", ge=1)
    share_negatives: bool = _hyper(True, "use the same negatives for all positives of a step")
    logq: bool = _hyper(
        True, "correct logits by the logarithm of the sampling probability (Bengio and Senecal 2008, Yi et al. 2019)"
    )
    lookalike_negatives: int = _hyper(
        10, "negatives per positive in the look-alike towers' sigmoid losses, on average (the paper gives none)", ge=1
    )
    clusters: int = _hyper(20, "number of clusters k in training (paper: 20); 1: the mean of all seeds", ge=1)
    seeds: int = _hyper(100, "maximum seeds per item and epoch, sampled anew for each epoch", ge=1)
    seed_dropout: float = _hyper(0.0, "share of the seeds that a step leaves out", ge=0, lt=1)
    recluster: int = _hyper(1, "clusterings of the seeds per epoch (paper: 1); 0: once, before the first epoch", ge=0)
    alpha: float = _hyper(0.3, "weight of the global attention in a score (paper: 0.3)", ge=0, le=1)
    beta: float = _hyper(0.7, "weight of the local attention in a score (paper: 0.7)", ge=0, le=1)
    local_temperature: float = _hyper(1.0, "divisor of the local attention's logits (paper: 1)", ge=0.01)
    activation: Literal["relu", "prelu", "none"] = _hyper(
        "relu", "activation of the shared layer (paper: relu; its first author's article: prelu)"
    )
    dropout: float = _hyper(0.0, "dropout of the shared layer", ge=0, lt=1)
    normalise: bool = _hyper(False, "scale user embeddings to length 1 before the shared layer")
    loss: Literal["softmax", "learned", "plain"] = _hyper(
        "softmax",
        "loss of the look-alike towers; softmax: over a step's items and users; learned: sigmoid cross entropy with a "
        "learned scale and shift; plain: without them (the paper)",
    )
    among_users: float = _hyper(0.5, "share of the softmax loss over users rather than items", ge=0, le=1)
    prior: bool = _hyper(True, "add a term for an item's number of seeds to its score, with a learned weight")
    rng_seed: int = _hyper(0, "fixes every random choice", ge=0)


USER_TOWER = (
    *(
        "dim",
        "field_dim",
        "attention_size",
        "history_length",
        "history_dropout",
        "far",
        "merge",
        "epochs_user",
        "patience",
    ),
    *("validation", "batch_size", "learning_rate", "max_positives", "negatives", "share_negatives", "logq", "rng_seed"),
)
"""What the user tower depends on: two configs that agree in these share it."""

PAPER = TrainingConfig(
    lookalike_negatives=1,
    history_dropout=0.0,
    far=0.0,
    validation=0.0,
    epochs_user=10,
    epochs_lookalike=5,
    negatives=10,
    share_negatives=False,
    logq=False,
    loss="plain",
    prior=False,
)
"""The paper as printed. It leaves open, so that the following is ours:

* one negative for a positive in the second stage: no source gives a number there (the ten of section 5.2 are the user
  tower's). It decides the result: behind a ReLU a constant score s in [0, 1] has the slope (N - 1) / (2 (N + 1)) in
  eq. 11 at 0, so that with any N above one dead vectors are a minimum, and training may end there. Rows for N = 10
  stand beside those for N = 1 in ``ralm/models/catalogue.py``;
* those negatives are a step's other items, not drawn anew for each positive;
* the activation: the paper has a ReLU, its first author's article a PReLU, which has rows too;
* gradients are clipped at length 5; 10 and 5 epochs;
* the shared FC and W_l begin near the identity, and the user tower does not learn in the second stage;
* a ReLU on each field's FC in the user tower; its MLP has one hidden layer of twice the output;
* m = 32 for fields, 32 hidden units in each attention, the last 50 clicks as history;
* at most 20 positives of a user and 100 seeds of an item in an epoch, and a target is left out of its own item's seeds.
"""
