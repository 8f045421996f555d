"""The towers: shapes, invariances, gradients, and parity with the kernel that serves them."""

import numpy as np
import pytest
import torch

from ralm.lookalike import LookalikeLoss, LookalikeTowers, towers_of
from ralm.lookalike_training import _cluster_sums, _without_self, choose_seeds
from ralm.scoring import ItemBlock, global_embedding, score
from ralm.user_tower import AttentionMerge, sampled_softmax_loss

B, ITEMS, K, H = 6, 9, 5, 16


@pytest.fixture
def towers() -> LookalikeTowers:
    torch.manual_seed(0)
    made = LookalikeTowers(12, H, 4)
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
    found = towers.score(users, centroids, mask)
    weights = towers.attention_weights()
    own = [c[m].numpy() for c, m in zip(centroids, mask, strict=True)]
    served = score(users.numpy(), ItemBlock.of(own, [global_embedding(c, weights) for c in own], weights), weights)
    for ours, theirs in zip(served, found, strict=True):
        np.testing.assert_allclose(ours, theirs.detach().numpy(), atol=1e-5)
    again = towers_of(weights).score(users, centroids, mask).score
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


def test_the_loss_reaches_every_weight(towers: LookalikeTowers) -> None:
    embeddings = torch.randn(B, 12)
    centroids = towers.transform(torch.randn(ITEMS, K, 12))
    scores = towers.score(towers.transform(embeddings), centroids, torch.ones(ITEMS, K, dtype=torch.bool)).score
    loss = LookalikeLoss(learned=True, negatives=8)(scores[:, 0], scores[:, 1:].flatten())
    loss.backward()
    assert torch.isfinite(loss)
    for name, parameter in towers.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_the_plain_loss_is_eq_11() -> None:
    positive, negative = torch.tensor([0.5, 0.9]), torch.tensor([0.1, -0.3, 0.7])
    p = torch.sigmoid(torch.cat([positive, negative]))
    expected = -(torch.log(p[:2]).sum() + torch.log(1 - p[2:]).sum()) / 5
    assert LookalikeLoss(learned=False, negatives=10)(positive, negative).item() == pytest.approx(expected.item())


def test_a_target_is_kept_out_of_its_own_items_seeds(towers: LookalikeTowers) -> None:
    rng = np.random.default_rng(0)
    embeddings, items = torch.randn(40, 12), rng.integers(0, 4, 40)
    seeds = choose_seeds(towers, embeddings, items, K, rng)
    needed = np.arange(4)
    towers.eval()
    sums, counts, vectors, first = _cluster_sums(towers, embeddings, seeds, needed, K)
    targets = np.array([0, 7, 21])
    own_sums, own_counts = _without_self(sums, counts, vectors, first, seeds, targets, items[targets], needed)
    transformed = towers.transform(embeddings)
    for number, target in enumerate(targets):
        places = [
            p for p in range(len(seeds.rows)) if items[seeds.rows[p]] == items[target] and seeds.rows[p] != target
        ]
        assert own_counts[number].sum() == len(places)
        for cluster in range(K):
            members = [int(seeds.rows[p]) for p in places if seeds.clusters[p] == cluster]
            expected = transformed[members].sum(dim=0)
            np.testing.assert_allclose(own_sums[number, cluster].detach(), expected.detach(), atol=1e-4)


def test_merge_weighs_fields_and_ignores_their_order() -> None:
    torch.manual_seed(0)
    merge, fields = AttentionMerge(8, 5), torch.randn(3, 4, 8)
    merged = merge(fields)
    assert merged.shape == (3, 8)
    np.testing.assert_allclose(merge(fields[:, [2, 0, 3, 1]]).detach(), merged.detach(), atol=1e-6)
    same = torch.ones(1, 4, 8)
    np.testing.assert_allclose(merge(same).detach(), same[:, 0], atol=1e-6)


def test_a_negative_that_is_the_positive_does_not_count() -> None:
    logits = torch.tensor([[1.0, 1.0, 0.5]])
    with_it = sampled_softmax_loss(logits, torch.tensor([[True, False]]))
    without = sampled_softmax_loss(logits[:, [0, 2]], torch.tensor([[False]]))
    assert with_it.item() == pytest.approx(without.item())
