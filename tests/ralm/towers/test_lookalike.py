"""The look-alike towers: the serving kernel scores as they do, whatever the order of clusters."""

import numpy as np
import pytest
import torch

from ralm.scoring import ItemBlock, global_embedding, score
from ralm.towers.lookalike import LookalikeTowers, towers_of

B, ITEMS, K, H = 6, 9, 5, 16


@pytest.fixture
def towers() -> LookalikeTowers:
    torch.manual_seed(0)
    made = LookalikeTowers(12, H, 4, prior=True)
    with torch.no_grad():
        made.w_local.copy_(torch.randn(H, H) * 0.3)
    return made


def some(rng_seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(rng_seed)
    mask = torch.rand(ITEMS, K, generator=generator) < 0.6
    mask[:, 0] = True
    centroids = torch.randn(ITEMS, K, H, generator=generator) * mask.unsqueeze(-1)
    return torch.randn(B, H, generator=generator), centroids, mask


def test_the_serving_kernel_scores_as_the_towers_do(towers: LookalikeTowers) -> None:
    users, centroids, mask = some()
    seeds = torch.arange(ITEMS) * 7
    found = towers.score(users, centroids, mask, seeds)
    weights = towers.attention_weights()
    own = [c[m].numpy() for c, m in zip(centroids, mask, strict=True)]
    served = score(
        users.numpy(), ItemBlock.of(own, [global_embedding(c, weights) for c in own], weights, seeds.numpy()), weights
    )
    for ours, theirs in zip(served, found, strict=True):
        np.testing.assert_allclose(ours, theirs.detach().numpy(), atol=1e-5)
    again = towers_of(weights).score(users, centroids, mask, seeds).score
    np.testing.assert_allclose(again.detach(), found.score.detach(), atol=1e-6)


def test_pairs_score_as_the_matrix_does(towers: LookalikeTowers) -> None:
    users, centroids, mask = some()
    matrix = towers.score(users, centroids, mask).score
    items = torch.tensor([0, 3, 3, 8, 1, 5])
    global_ = towers.global_embedding(centroids, mask)
    pairs = towers.score_pairs(users, centroids[items], mask[items], global_[items]).score
    np.testing.assert_allclose(pairs.detach(), matrix[torch.arange(B), items].detach(), atol=1e-5)


def test_neither_the_order_of_clusters_nor_padding_matters(towers: LookalikeTowers) -> None:
    users, centroids, mask = some()
    found = towers.score(users, centroids, mask).score.detach()
    turned = torch.randperm(K, generator=torch.Generator().manual_seed(1))
    permuted = towers.score(users, centroids[:, turned], mask[:, turned]).score.detach()
    np.testing.assert_allclose(permuted, found, atol=1e-6)
    more = torch.cat([centroids, torch.randn(ITEMS, 3, H)], dim=1)
    longer = torch.cat([mask, torch.zeros(ITEMS, 3, dtype=torch.bool)], dim=1)
    np.testing.assert_allclose(towers.score(users, more, longer).score.detach(), found, atol=1e-5)
