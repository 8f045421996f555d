"""Every hyperparameter of both trained stages; what the paper does not give says so."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingConfig:
    """How both stages are trained.

    The defaults are what did best on validation, never on test; ``PAPER`` is the paper as printed.

    Attributes:
        dim: m and h, lengths of user embedding and look-alike vector (128).
        field_dim: length of a field's embedding (not given).
        attention_size: of the merge and the global attention unit (not given).
        history: past clicks that are features (not given).
        history_dropout: share of the positives that are seen without their past clicks, so that users who have only
            a profile get meaningful vectors too (not in the paper, whose users all have a history).
        far: share of the clicks whose user is seen as of a random earlier click of its, not just before the click (not
            in the paper, which does not say).
        merge: ``attention`` or ``concat``.
        epochs_user: most epochs of the user tower (not given); validation may end it sooner.
        epochs_lookalike: most epochs of the look-alike towers (not given); validation may end it sooner.
        patience: epochs without a better validation loss before a stage ends; the best epoch's weights are kept.
        validation: share of each user's clicks, the last ones, that early stopping looks at; 0: no early stopping.
        batch_size: positives of a step (256).
        learning_rate: Adam's (0.001).
        max_positives: most positives of a user in an epoch of the user tower (50).
        lookalike_positives: most positives of a user in an epoch of the look-alike towers (not given).
        negatives: negatives of a positive in the user tower, drawn by eq. 3 (10).
        share_negatives: whether all positives of a step share its negatives, which then may be many.
        logq: whether logits are corrected by the logarithm of the probability to be drawn (not in the paper; Bengio
            and Senecal 2008, Yi et al. 2019).
        train_clusters: k (20); 1: the mean of all seeds, "RALM with average"; 0: no clustering, every seed is attended
            to by itself.
        train_seeds: most seeds of an item in an epoch, another sample in the next (not given).
        seed_dropout: share of the seeds that a step leaves out (not given).
        recluster: times an epoch that seeds are clustered afresh (1); 0: once, before the first epoch.
        alpha: weight of the global part (0.3); 1 with a beta of 0 is the paper's "global attention only".
        beta: weight of the local part (0.7); 1 with an alpha of 0 is its "local attention only".
        local_temperature: divides the local attention's logits, which eq. 9 bounds by 1 (1).
        activation: of the shared FC, ``relu`` (paper), ``prelu`` (its first author's article) or ``none``.
        dropout: of the shared FC (not given).
        normalise: whether user embeddings are brought to length 1 before the shared FC (not given).
        loss: ``softmax`` over a step's items and users, ``learned``: sigmoid cross entropy with a learned scale and
            shift, or ``plain``: without them (the paper; see ``LookalikeLoss``).
        among_users: share of the softmax that is over users, 0 to 1 (not in the paper).
        prior: whether the score has a term for how many seeds an item has, with a learned weight (not in the paper).
        rng_seed: fixes every random choice.
    """

    dim: int = 128
    field_dim: int = 32
    attention_size: int = 32
    history: int = 50
    history_dropout: float = 0.3
    far: float = 1.0
    merge: str = "attention"
    epochs_user: int = 30
    epochs_lookalike: int = 6
    patience: int = 2
    validation: float = 0.05
    batch_size: int = 256
    learning_rate: float = 0.001
    max_positives: int = 50
    lookalike_positives: int = 20
    negatives: int = 500
    share_negatives: bool = True
    logq: bool = True
    train_clusters: int = 20
    train_seeds: int = 100
    seed_dropout: float = 0.0
    recluster: int = 1
    alpha: float = 0.3
    beta: float = 0.7
    local_temperature: float = 1.0
    activation: str = "relu"
    dropout: float = 0.0
    normalise: bool = False
    loss: str = "softmax"
    among_users: float = 0.5
    prior: bool = True
    rng_seed: int = 0


USER_TOWER = (
    *("dim", "field_dim", "attention_size", "history", "history_dropout", "far", "merge", "epochs_user", "patience"),
    *("validation", "batch_size", "learning_rate", "max_positives", "negatives", "share_negatives", "logq", "rng_seed"),
)
"""What the user tower depends on: two configs that agree in these share it."""

PAPER = TrainingConfig(
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
"""The paper as printed; epochs are ours, since it gives none."""
