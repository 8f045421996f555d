"""The paper's equations, once more in plain numpy (float64, loops, nothing of the project), against the modules.

Weights are random, not what training begins with: near the identity a transposed matrix would not be noticed.
"""

import numpy as np
import pytest
import torch

from ralm.features import FeatureBatch
from ralm.sampling import NegativeSampler
from ralm.towers.lookalike import LookalikeTowers
from ralm.towers.lookalike_loss import LookalikeLoss, StepScores
from ralm.towers.seed_clusters import ClusterMeans, SeedClusters, SeedSets
from ralm.towers.user_tower import AttentionMerge, ItemEmbeddings, TowerShape, UserTower, sampled_softmax_loss

Plain = np.ndarray


def softmax(x: Plain) -> Plain:
    e = np.exp(x - np.max(x))
    return e / e.sum()


def cosine(x: Plain, y: Plain) -> float:
    d = np.linalg.norm(x) * np.linalg.norm(y)
    return float(x @ y / d) if d > 0 else 0.0


def of(tensor: torch.Tensor) -> Plain:
    return tensor.detach().numpy().astype(np.float64)


def merged(H: Plain, W_1: Plain, W_2: Plain) -> Plain:
    """Eq. 6 to 8 with the author's errata: ``U = tanh(W_1 H^T)``, ``a = softmax(W_2 U)``, ``M = a H``."""
    U = np.tanh(W_1 @ H.T)
    a = softmax(np.array([W_2 @ U[:, i] for i in range(len(H))]))
    return sum(a[i] * H[i] for i in range(len(H)))


def random_weights(module: torch.nn.Module, scale: float, rng_seed: int) -> None:
    generator = torch.Generator().manual_seed(rng_seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)


def test_eq_3_is_how_often_an_item_is_drawn() -> None:
    D, rng = 60, np.random.default_rng(0)
    clicked = rng.integers(0, D, 4000) % (1 + rng.integers(0, D, 4000))
    sampler = NegativeSampler.of_clicks(clicked, D)
    rank = np.empty(D, int)
    rank[np.argsort(-np.bincount(clicked, minlength=D), kind="stable")] = np.arange(D)
    p = (np.log(rank + 2) - np.log(rank + 1)) / np.log(D + 1)
    np.testing.assert_allclose(sampler.log_probability(), np.log(p), rtol=1e-5)
    drawn = np.bincount(sampler.draw(np.random.default_rng(0), (200_000,)), minlength=D) / 200_000
    assert (np.abs(drawn - p) < 5 * np.sqrt(p * (1 - p) / 200_000)).all()


def test_eq_4_and_5_are_the_loss_of_the_user_tower() -> None:
    rng, table = np.random.default_rng(1), ItemEmbeddings(40, 16)
    random_weights(table, 0.5, 1)
    u = torch.from_numpy(rng.normal(size=(8, 16)).astype(np.float32))
    items = rng.integers(0, 40, (8, 11))
    items[3, 5] = items[3, 0]  # a negative that is the positive itself does not count
    collides = items[:, 1:] == items[:, :1]
    x = of(table.table.weight)
    expected = []
    for row in range(8):
        kept = [items[row, 0]] + [item for item, same in zip(items[row, 1:], collides[row], strict=True) if not same]
        P = softmax(np.array([x[item] @ of(u[row]) for item in kept]))  # eq. 4
        expected.append(-np.log(P[0]))  # eq. 5
    found = sampled_softmax_loss(table(u, torch.from_numpy(items)), torch.from_numpy(collides))
    assert found.item() == pytest.approx(np.mean(expected), rel=1e-5)


def test_eq_6_to_8_are_the_attention_merge() -> None:
    merge, fields = AttentionMerge(8, 5), np.random.default_rng(2).normal(size=(6, 4, 8))
    random_weights(merge, 0.7, 2)
    W_1, W_2 = of(merge.w_1.weight), of(merge.w_2.weight)[0]
    assert W_1.shape == (5, 8)  # k x m, as the errata have it
    found = merge(torch.from_numpy(fields.astype(np.float32)))
    np.testing.assert_allclose(of(found), [merged(H, W_1, W_2) for H in fields], atol=1e-5)


@pytest.mark.parametrize("merge", ["attention", "concat"])
def test_figure_3_is_the_user_tower(merge: str) -> None:
    """Look-up, average pooling, an FC with ReLU for each field, merge, FC, ReLU, FC."""
    rng, B = np.random.default_rng(3), 9
    tower = UserTower(TowerShape({"gender": 4}, {"tags": 12, "items": 30, "categories": 7}, 2, 8, 5, 16, merge)).eval()
    random_weights(tower, 0.4, 3)
    with torch.no_grad():
        for table in tower.embeddings.values():
            table.weight[0] = 0  # type: ignore[union-attr,index]
    gender = rng.integers(0, 4, B)
    many = {name: rng.integers(0, most, (B, 5)) for name, most in (("tags", 12), ("items", 30), ("categories", 7))}
    many["items"][:2] = 0  # users without clicks
    many["categories"][:2] = 0
    continuous = rng.random((B, 2)).astype(np.float32)
    tables = {name: of(table.weight) for name, table in tower.embeddings.items()}

    def embedding(row: int) -> Plain:
        fields = [tables["field_gender"][gender[row]]]
        for name, codes in many.items():
            known = [tables[f"field_{name}"][code] for code in codes[row] if code]
            fields.append(np.mean(known, axis=0) if known else np.zeros(8))
        assert tower.continuous is not None
        fields.append(of(tower.continuous.weight) @ continuous[row] + of(tower.continuous.bias))
        layers = zip(tower.field_fc, fields, strict=True)
        H = np.stack([np.maximum(of(fc.weight) @ field + of(fc.bias), 0) for fc, field in layers])
        if isinstance(tower.merge, AttentionMerge):
            M = merged(H, of(tower.merge.w_1.weight), of(tower.merge.w_2.weight)[0])
        else:
            M = H.reshape(-1)
        first, last = tower.mlp[0], tower.mlp[2]
        return of(last.weight) @ np.maximum(of(first.weight) @ M + of(first.bias), 0) + of(last.bias)

    found = of(tower(FeatureBatch({"gender": gender}, many, continuous)))
    np.testing.assert_allclose(found, [embedding(row) for row in range(B)], atol=1e-4)


def test_eq_2_and_9_and_figure_4_are_the_score() -> None:
    rng, k, h = np.random.default_rng(4), 5, 16
    towers = LookalikeTowers(12, h, 4).eval()
    random_weights(towers, 0.4, 4)
    users, seeds = rng.normal(size=(6, 12)), rng.normal(size=(7, k, 12))
    W, b = of(towers.fc.weight), of(towers.fc.bias)
    W_l, W_g, v_g = of(towers.w_local), of(towers.w_global), of(towers.v_global)

    def score(user: Plain, item: Plain) -> float:
        E_u = np.maximum(W @ user + b, 0)
        E_s = np.stack([np.maximum(W @ seed + b, 0) for seed in item]).T  # (h, k), a column for each seed
        E_local = E_s @ softmax(np.tanh(E_s.T @ W_l @ E_u))  # eq. 9
        E_global = E_s @ softmax(np.array([v_g @ np.tanh(W_g @ E_s[:, i]) for i in range(k)]))  # figure 4
        return 0.3 * cosine(E_u, E_global) + 0.7 * cosine(E_u, E_local)  # eq. 2

    embeddings, centroids = (
        towers.transform(torch.from_numpy(vectors.astype(np.float32))) for vectors in (users, seeds)
    )
    found = of(towers.score(embeddings, centroids, torch.ones(7, k, dtype=torch.bool)).score)
    np.testing.assert_allclose(found, [[score(user, item) for item in seeds] for user in users], atol=1e-5)


def test_a_cluster_is_the_mean_of_its_seeds() -> None:
    rng = np.random.default_rng(5)
    pairs = np.unique(rng.integers(0, 4, 200) * 50 + rng.integers(0, 50, 200))
    sets, vectors = SeedSets(pairs // 50, pairs % 50, 4, 50), rng.normal(size=(50, 8)).astype(np.float32)
    clusters = SeedClusters.of(sets, vectors, 6, rng)
    means = ClusterMeans.of(*clusters.sums(np.arange(4), torch.from_numpy(vectors), np.ones(len(pairs), bool)))
    for item in range(4):
        for cluster in range(6):
            members = sets.users[(sets.items == item) & (clusters.clusters == cluster)]
            assert means.present[item, cluster].item() == (len(members) > 0)
            if len(members):
                expected = vectors[members].astype(np.float64).mean(axis=0)
                np.testing.assert_allclose(of(means.vectors[item, cluster]), expected, atol=1e-6)


@pytest.mark.parametrize("negatives", [1, 10])
def test_eq_11_has_as_many_negatives_as_are_asked_for(negatives: int) -> None:
    """On average, and whatever the step has: with one score s for all, the slope of eq. 11 is (N - 1) / (2 (N + 1))."""
    torch.manual_seed(0)
    B = 2000
    scores = torch.zeros(B, B, requires_grad=True)
    negative = ~torch.eye(B, dtype=torch.bool)
    step = StepScores(torch.diagonal(scores), scores, negative, torch.arange(B), torch.zeros(B), torch.zeros(B))
    LookalikeLoss("plain", negatives)(step).backward()
    assert scores.grad is not None
    slope = (negatives - 1) / (2 * (negatives + 1))
    assert scores.grad.sum().item() == pytest.approx(slope, abs=0.03)
