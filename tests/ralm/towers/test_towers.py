"""The towers: shapes, invariances, gradients, and parity with the kernel that serves them."""

import numpy as np
import pytest
import torch

from ralm.scoring import ItemBlock, global_embedding, score
from ralm.towers.lookalike import LookalikeTowers, towers_of
from ralm.towers.lookalike_loss import LookalikeLoss, StepScores
from ralm.towers.seed_clusters import SeedClusters, SeedSets
from ralm.towers.user_tower import AttentionMerge, sampled_softmax_loss

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


@pytest.mark.parametrize("kind", ["softmax", "learned", "plain"])
def test_the_loss_reaches_every_weight(kind: str, towers: LookalikeTowers) -> None:
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


def test_a_target_is_kept_out_of_its_own_items_seeds() -> None:
    rng = np.random.default_rng(0)
    pairs = np.unique(rng.integers(0, 4, 60) * 30 + rng.integers(0, 30, 60))
    seeds = SeedSets(pairs // 30, pairs % 30, 4, 30)
    vectors = rng.normal(size=(30, H)).astype(np.float32)
    clusters = SeedClusters.of(seeds, vectors, K, rng)
    taken = rng.random(len(pairs)) < 0.8
    targets = np.array([0, 7, 21, len(pairs) - 1])
    items, users = seeds.items[targets], seeds.users[targets]
    sums, counts = clusters.sums(items, torch.from_numpy(vectors), taken)
    own_sums, own_counts = clusters.without(sums, counts, torch.from_numpy(vectors), (items, users), taken)
    for row, target in enumerate(targets):
        others = (seeds.items == seeds.items[target]) & taken & (np.arange(len(pairs)) != target)
        for cluster in range(K):
            members = seeds.users[others & (clusters.clusters == cluster)]
            assert own_counts[row, cluster] == len(members)
            np.testing.assert_allclose(own_sums[row, cluster], vectors[members].sum(axis=0), atol=1e-5)


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
