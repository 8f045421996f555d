"""The look-alike towers: the serving kernel scores as they do, whatever the order of clusters; and the counted form."""

import numpy as np
import pytest
import torch

from ralm.clustering import Clusters
from ralm.encoders.encoder import unit
from ralm.models.encoded import local_cosine
from ralm.scoring import CountedForm, ItemBlock, global_embedding, score
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
    block = ItemBlock.of(own, [global_embedding(c, weights) for c in own], weights, seeds.numpy())
    served = score(users.numpy(), block, weights, towers.prior.item())
    for ours, theirs in zip(served, found, strict=True):
        np.testing.assert_allclose(ours, theirs.detach().numpy(), atol=1e-5)
    again = towers_of(weights).score(users, centroids, mask)
    np.testing.assert_allclose(again.local_part.detach(), found.local_part.detach(), atol=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 0.2])
def test_torch_numpy_and_the_kernel_agree_on_the_counted_form(temperature: float) -> None:
    rng = np.random.default_rng(4)
    users, items = unit(rng.normal(size=(B, H))), [unit(rng.normal(size=(k, H))) for k in (1, 3, 7)]
    counts, form = [rng.integers(1, 200, len(c)) for c in items], CountedForm(H, local_temperature=temperature)
    globals_ = [global_embedding(c, form, n) for c, n in zip(items, counts, strict=True)]
    served = score(users, ItemBlock.of(items, globals_, form, [5, 6, 7], counts), form, 0.1)
    for place, (c, n) in enumerate(zip(items, counts, strict=True)):
        u, C, N = torch.from_numpy(users), torch.from_numpy(c), torch.from_numpy(n).float()
        local = torch.softmax(u @ C.T / temperature + N.log(), dim=1) @ C
        mean = (N[:, None] * C).sum(0) / N.sum()
        parts = [torch.cosine_similarity(u, e) for e in (mean.expand_as(u), local)]
        expected = 0.5 * parts[0] + 0.5 * parts[1] + 0.1 * np.log1p(5 + place)
        np.testing.assert_allclose(served.score[:, place], expected, atol=1e-5)
        np.testing.assert_allclose(local_cosine(users, Clusters(c, n), temperature), parts[1], atol=1e-5)


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
