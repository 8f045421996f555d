"""The losses against their formulas, and that they reach every weight."""

import numpy as np
import pytest
import torch

from ralm.towers.lookalike import LookalikeTowers
from ralm.towers.lookalike_loss import LookalikeLoss, StepScores

B, ITEMS, K, H = 6, 9, 5, 16


@pytest.mark.parametrize("kind", ["softmax", "learned", "plain"])
def test_the_loss_reaches_every_weight(kind: str) -> None:
    torch.manual_seed(0)
    towers = LookalikeTowers(12, H, 4, prior=True)
    embeddings = torch.randn(B, 12)
    centroids = towers.transform(torch.randn(ITEMS, K, 12))
    present, seeds = torch.ones(ITEMS, K, dtype=torch.bool), torch.arange(ITEMS)
    scores = towers.score(towers.transform(embeddings), centroids, present, seeds).score
    loss = LookalikeLoss(kind, 8, among_users=0.5)(step(scores))
    loss.backward()
    assert torch.isfinite(loss)
    for name, parameter in towers.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def step(scores: torch.Tensor) -> StepScores:
    """Targets whose own items are the first B of the step's; no other item is theirs."""
    own = torch.arange(len(scores))
    negative = torch.ones_like(scores, dtype=torch.bool)
    negative[own, own] = False
    q = torch.zeros(scores.shape[1]), torch.zeros(len(scores))
    return StepScores(scores[own, own], scores, negative, own, *q)


def test_the_plain_loss_is_eq_11() -> None:
    scores = torch.tensor([[0.5, 0.1, -0.3], [0.7, 0.9, 0.2]])
    y = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    p = torch.sigmoid(scores)
    expected = -(y * torch.log(p) + (1 - y) * torch.log(1 - p)).mean()
    assert LookalikeLoss("plain", negatives=10)(step(scores)).item() == pytest.approx(expected.item())


def test_the_softmax_is_over_items_and_over_users() -> None:
    scores = torch.tensor([[0.5, 0.1, -0.3], [0.7, 0.9, 0.2]])
    scale, targets = float(np.exp(2.3)), torch.arange(2)
    items = torch.nn.functional.cross_entropy(scale * scores, targets)
    users = torch.nn.functional.cross_entropy(scale * scores.T[:2], targets)
    for share, expected in ((0.0, items), (1.0, users), (0.25, 0.75 * items + 0.25 * users)):
        assert LookalikeLoss("softmax", 10, share)(step(scores)).item() == pytest.approx(expected.item(), abs=1e-5)


def test_a_popular_item_is_corrected_for_being_a_frequent_negative() -> None:
    scores = torch.tensor([[0.5, 0.1, -0.3], [0.7, 0.9, 0.2]])
    log_q = torch.tensor([-1.0, -3.0, -2.0])
    loss = LookalikeLoss("softmax", 10, 0.0)(step(scores)._replace(item_log_q=log_q))
    expected = torch.nn.functional.cross_entropy(float(np.exp(2.3)) * scores - log_q, torch.arange(2))
    assert loss.item() == pytest.approx(expected.item(), abs=1e-5)
