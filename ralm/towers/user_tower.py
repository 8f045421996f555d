"""The user tower: from fields to the universal user embedding (section 5.2, figure 3 of the paper).

Field embeddings -> pooling of multivalent fields -> an FC for each field -> attention merge (or concatenation) -> MLP.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ralm.features import FeatureBatch, Interactions


@dataclass(frozen=True)
class TowerShape:
    """Sizes of the user tower.

    Attributes:
        categorical: number of codes of each univalent field.
        multivalent: number of codes of each multivalent field, ``items`` and ``categories`` included.
        continuous: number of continuous features; together they are one field.
        field_dim: m, length of a field's embedding.
        attention_size: k of eq. 6, size of the attention unit. The paper does not give it.
        dim: length of the user embedding.
        merge: ``attention`` or ``concat``.
    """

    categorical: dict[str, int]
    multivalent: dict[str, int]
    continuous: int
    field_dim: int = 32
    attention_size: int = 32
    dim: int = 128
    merge: str = "attention"

    @classmethod
    def of(cls, data: Interactions, *, field_dim: int, attention_size: int, dim: int, merge: str) -> "TowerShape":
        """The sizes that data needs."""
        return cls(
            {name: count for name, (_, count) in data.categorical.items()},
            {
                **{name: count for name, (_, count) in data.multivalent.items()},
                "items": data.items + 1,
                "categories": data.category_count,
            },
            data.continuous.shape[1],
            field_dim,
            attention_size,
            dim,
            merge,
        )


class AttentionMerge(nn.Module):
    """Merges n field embeddings into one by how much each matters for this user (eq. 6-8, with the author's errata).

    ``U = tanh(W_1 H^T)``, ``a = softmax_n(W_2 U)``, ``M = a H``; W_1 is k x m, W_2 is k.
    """

    def __init__(self, field_dim: int, attention_size: int) -> None:
        super().__init__()
        self.w_1 = nn.Linear(field_dim, attention_size, bias=False)
        self.w_2 = nn.Linear(attention_size, 1, bias=False)

    def forward(self, fields: Tensor) -> Tensor:
        """(B, n, m) to (B, m)."""
        u = torch.tanh(self.w_1(fields))  # (B, n, m) -> (B, n, k)
        a = torch.softmax(self.w_2(u).squeeze(-1), dim=1)  # (B, n, k) -> (B, n)
        return torch.einsum("bn,bnm->bm", a, fields)  # (B, n) x (B, n, m) -> (B, m)


class UserTower(nn.Module):
    """Fields to user embedding."""

    def __init__(self, shape: TowerShape) -> None:
        super().__init__()
        self.shape = shape
        m = shape.field_dim
        sizes = {**shape.categorical, **shape.multivalent}
        # A field's own name could be that of one of ModuleDict's methods.
        self.embeddings = nn.ModuleDict(
            {f"field_{name}": nn.Embedding(count, m, padding_idx=0) for name, count in sizes.items()}
        )
        for table in self.embeddings.values():
            assert isinstance(table, nn.Embedding)  # noqa: S101 (for the type checker)
            nn.init.normal_(table.weight, std=m**-0.5)
        fields = len(sizes) + (shape.continuous > 0)
        self.continuous = nn.Linear(shape.continuous, m) if shape.continuous else None
        # Figure 3 draws an FC for each field before the attention; fields of different scale need it.
        self.field_fc = nn.ModuleList(nn.Linear(m, m) for _ in range(fields))
        self.merge = AttentionMerge(m, shape.attention_size) if shape.merge == "attention" else nn.Flatten()
        merged = m if shape.merge == "attention" else fields * m
        self.mlp = nn.Sequential(nn.Linear(merged, 2 * shape.dim), nn.ReLU(), nn.Linear(2 * shape.dim, shape.dim))

    def forward(self, batch: FeatureBatch) -> Tensor:
        """Features of B users to user embeddings, (B, dim)."""
        fields = [
            self.embeddings[f"field_{name}"](torch.from_numpy(codes)) for name, codes in batch.categorical.items()
        ]  # (B, m)
        fields += [self._pool(name, torch.from_numpy(codes)) for name, codes in batch.multivalent.items()]  # (B, m)
        if self.continuous is not None:
            fields.append(self.continuous(torch.from_numpy(batch.continuous)))  # (B, c) -> (B, m)
        h = torch.stack(
            [F.relu(fc(field)) for fc, field in zip(self.field_fc, fields, strict=True)], dim=1
        )  # (B, n, m)
        embedding: Tensor = self.mlp(self.merge(h))  # (B, n, m) -> (B, dim)
        return embedding

    def _pool(self, name: str, codes: Tensor) -> Tensor:
        """Average pooling of a multivalent field, padding left out: (B, width) to (B, m)."""
        weight = self.embeddings[f"field_{name}"].weight
        assert isinstance(weight, Tensor)  # noqa: S101 (for the type checker)
        return F.embedding_bag(codes, weight, mode="mean", padding_idx=0)


class ItemEmbeddings(nn.Module):
    """The items' embeddings of user representation learning: a plain look-up table (figure 3)."""

    def __init__(self, items: int, dim: int) -> None:
        super().__init__()
        self.table = nn.Embedding(items, dim)
        nn.init.normal_(self.table.weight, std=dim**-0.5)

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        """Logits ``x_i u`` of eq. 4: users (B, dim), items (B, s) to (B, s)."""
        return torch.einsum("bd,bsd->bs", users, self.table(items))


def sampled_softmax_loss(logits: Tensor, collides: Tensor) -> Tensor:
    """Eq. 4 and 5 over the sampled set, the positive first.

    ``P(c = i) = exp(x_i u) / sum_{j in X} exp(x_j u)``, ``L = -log P(positive)``.

    Args:
        logits: (B, 1 + negatives), the positive in column 0.
        collides: bool (B, negatives), negatives that are the positive itself; they do not count.
    """
    masked = torch.cat([logits[:, :1], logits[:, 1:].masked_fill(collides, float("-inf"))], dim=1)
    return F.cross_entropy(masked, torch.zeros(len(logits), dtype=torch.long))
