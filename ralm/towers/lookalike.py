"""The look-alike towers (section 5.3, figures 3 and 4 of the paper).

Seeds tower: seeds' user embeddings -> shared FC -> clusters -> global and local attention. Target tower: the target
user's embedding -> the same FC. Score: eq. 2. The formula is that of ``ralm/scoring.py``, which serves it without
torch; a test holds the two together to 1e-5.

Figure 4 can be read in other ways. Its local unit, "matmul(h) -> tanh(h) -> linear(1)", could be
``v^T tanh(W e_k * E_u)`` with one more vector v; here it is eq. 9, ``tanh(e_k^T W_l E_u)``, which the paper prints in
full (with random weights the two cosines differ by up to 0.35). Its global unit, "tanh(h) -> linear(1)", is taken as
drawn, since eq. 10 as printed does not fit its own dimensions; others mend that equation instead.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ralm.scoring import EPSILON, AttentionWeights


class Parts(NamedTuple):
    """A look-alike score and its two cosines, all of one shape."""

    score: Tensor
    global_part: Tensor
    local_part: Tensor


class LookalikeTowers(nn.Module):
    """Shared FC, local and global attention, and the score.

    Args:
        dim: m, length of a user embedding.
        lookalike_dim: h, length of a look-alike vector.
        attention_size: s of the global attention unit; the paper does not give it.
        activation: ``relu`` (the paper), ``prelu`` (its first author's article) or ``none``.
        dropout: of the shared FC.
        alpha: weight of the global part, 0.3 in the paper.
        beta: weight of the local part, 0.7 in the paper.
        local_temperature: divides the local attention's logits; 1 is the paper's.
        prior: whether the score has a learned weight of the number of seeds; the paper's has not.
    """

    def __init__(  # noqa: PLR0913 (each is a hyperparameter of its own)
        self,
        dim: int,
        lookalike_dim: int,
        attention_size: int,
        *,
        activation: str = "relu",
        dropout: float = 0.0,
        alpha: float = 0.3,
        beta: float = 0.7,
        local_temperature: float = 1.0,
        prior: bool = False,
    ) -> None:
        super().__init__()
        self.fc = nn.Linear(dim, lookalike_dim)
        self.activation = {"relu": nn.ReLU, "prelu": nn.PReLU, "none": nn.Identity}[activation]()
        self.dropout = nn.Dropout(dropout)
        self.w_local = nn.Parameter(torch.eye(lookalike_dim) + torch.randn(lookalike_dim, lookalike_dim) * 0.01)
        self.w_global = nn.Parameter(torch.randn(attention_size, lookalike_dim) * lookalike_dim**-0.5)
        self.v_global = nn.Parameter(torch.randn(attention_size) * attention_size**-0.5)
        self.prior = nn.Parameter(torch.tensor(0.05 if prior else 0.0), requires_grad=prior)
        self.alpha, self.beta, self.local_temperature = alpha, beta, local_temperature

    def transform(self, embeddings: Tensor) -> Tensor:
        """The shared FC: user embeddings (..., m) to look-alike vectors (..., h)."""
        vectors: Tensor = self.dropout(self.activation(self.fc(embeddings)))
        return vectors

    def global_embedding(self, centroids: Tensor, mask: Tensor) -> Tensor:
        """Global attention (eq. 10 as figure 4 has it): ``a = softmax_k(v_g^T tanh(W_g C^T))``, ``E_global = a C``.

        Args:
            centroids: C, (..., k, h).
            mask: bool (..., k), true where a cluster exists.

        Returns:
            (..., h).
        """
        logits = torch.tanh(centroids @ self.w_global.T) @ self.v_global  # (..., k, s) x (s) -> (..., k)
        a = torch.softmax(logits.masked_fill(~mask, float("-inf")), dim=-1)  # (..., k)
        return (a.unsqueeze(-2) @ centroids).squeeze(-2)  # (..., 1, k) x (..., k, h) -> (..., h)

    def score(self, users: Tensor, centroids: Tensor, mask: Tensor, seeds: Tensor | None = None) -> Parts:
        """Every user against every item.

        Args:
            users: look-alike vectors E_u, (B, h).
            centroids: C, (I, k, h).
            mask: bool (I, k), true where a cluster exists; at least one of each item.
            seeds: how many seeds each item has, (I); only needed for the prior.

        Returns:
            (B, I) each.
        """
        logits = torch.einsum("bh,ikh->bik", users, centroids @ self.w_local)  # C W_l E_u
        products = torch.einsum("bh,ikh->bik", users, centroids)  # C E_u
        global_ = self.global_embedding(centroids, mask)  # (I, h)
        norm = users.norm(dim=-1, keepdim=True)  # (B, 1)
        global_part = _over(users @ global_.T, norm * global_.norm(dim=-1))  # (B, I)
        gram = centroids @ centroids.transpose(-1, -2)  # (I, k, k)
        a = self._local_attention(logits, mask)  # (B, I, k)
        squared = (torch.einsum("bik,ikl->bil", a, gram) * a).sum(dim=-1)  # |E_local|^2 = a^T G a
        local_part = _over((a * products).sum(dim=-1), norm * squared.clamp_min(EPSILON).sqrt())
        return self._parts(global_part, local_part, seeds)

    def score_pairs(
        self, users: Tensor, centroids: Tensor, mask: Tensor, global_: Tensor, seeds: Tensor | None = None
    ) -> Parts:
        """Each user against one item.

        Args:
            users: look-alike vectors E_u, (B, h).
            centroids: C of each user's item, (B, k, h).
            mask: bool (B, k), true where a cluster exists; at least one of each item.
            global_: the items' global embeddings, (B, h).
            seeds: how many seeds each item has, (B); only needed for the prior.

        Returns:
            (B) each.
        """
        a = self._local_attention(torch.einsum("bkh,bh->bk", centroids, users @ self.w_local.T), mask)  # C (W_l E_u)
        local = torch.einsum("bk,bkh->bh", a, centroids)  # eq. 9: E_local = C^T a
        return self._parts(
            F.cosine_similarity(users, global_, dim=-1, eps=EPSILON),
            F.cosine_similarity(users, local, dim=-1, eps=EPSILON),
            seeds,
        )

    def attention_weights(self) -> AttentionWeights:
        """All that serving needs; the prior is a setting there."""
        w_local, w_global, v_global = (
            p.detach().numpy().astype(np.float32) for p in (self.w_local, self.w_global, self.v_global)
        )
        return AttentionWeights(w_local, w_global, v_global, self.alpha, self.beta, self.local_temperature)

    def _local_attention(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Eq. 9: ``a = softmax_k(tanh(C W_l E_u) / temperature)``; logits (..., k)."""
        bounded = torch.tanh(logits) / self.local_temperature
        return torch.softmax(bounded.masked_fill(~mask, float("-inf")), dim=-1)

    def _parts(self, global_part: Tensor, local_part: Tensor, seeds: Tensor | None) -> Parts:
        """Eq. 2 and the prior: ``alpha cosine(E_u, E_global) + beta cosine(E_u, E_local) + prior log(1 + seeds)``."""
        score = self.alpha * global_part + self.beta * local_part
        if seeds is not None:
            score = score + self.prior * torch.log1p(seeds)
        return Parts(score, global_part, local_part)


def towers_of(weights: AttentionWeights) -> LookalikeTowers:
    """Towers that score with a bundle's weights; their shared FC is untrained (a bundle's vectors are past it).

    >>> weights = AttentionWeights(np.eye(4, dtype="f4"), np.ones((2, 4), "f4"), np.ones(2, "f4"))
    >>> user, centroids = torch.ones(1, 4), torch.ones(1, 3, 4)
    >>> towers_of(weights).score(user, centroids, torch.ones(1, 3, dtype=torch.bool)).score.item()
    1.0
    """
    h, s = weights.dim, len(weights.v_global)
    towers = LookalikeTowers(
        h, h, s, alpha=weights.alpha, beta=weights.beta, local_temperature=weights.local_temperature
    ).eval()
    with torch.no_grad():
        for name in ("w_local", "w_global", "v_global"):
            getattr(towers, name).copy_(torch.from_numpy(np.array(getattr(weights, name))))
    return towers


def _over(product: Tensor, norms: Tensor) -> Tensor:
    return product / norms.clamp_min(EPSILON)
