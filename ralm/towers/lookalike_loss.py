"""The losses of look-alike learning: eq. 11, and the multi-class form of the first author's article."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class StepScores(NamedTuple):
    """What a step of B targets and I items gives to the loss.

    Attributes:
        positive: scores of the targets with their own items, (B).
        others: scores of the targets with the step's items, (B, I).
        negative: which of those are negatives, bool (B, I).
        own: the place of each target's own item among the I, int64 (B).
        item_log_q: logarithm of the probability of the items to be in a step, (I).
        user_log_q: of the targets' users, (B).
    """

    positive: Tensor
    others: Tensor
    negative: Tensor
    own: Tensor
    item_log_q: Tensor
    user_log_q: Tensor


class LookalikeLoss(nn.Module):
    """What a step of the look-alike towers minimises.

    ``plain`` is eq. 11, sigmoid cross entropy with ``p = sigmoid(score)``: ``-(y log p + (1 - y) log(1 - p))``. A score
    is a mean of cosines, and behind a ReLU no cosine is negative: p stays between 0.5 and 0.73. The loss of one score s
    for all pairs with N negatives for a positive has the slope ``(N - 1) / (2 (N + 1))`` at 0: with more than one
    negative vectors that are all zero are a minimum, and training may end there; with one they are none.

    ``learned`` has ``p = sigmoid(scale * score + shift)`` with both learned, which does not change the order of scores,
    and positives weigh as much as all their negatives together.

    ``softmax`` asks which of a step's items the user clicked: "a multi-class task (which seed group does the target
    user belong to)" (first author's article), ``-log softmax(scale * score - log q)`` with q the probability that the
    item is among a step's items (logQ correction; Yi et al. 2019). That alone says nothing of which of two users
    resembles an item more: a target that resembles everything loses nothing. So a part of the loss, ``among_users``,
    asks the same the other way round, which of a step's users clicked the item.

    Args:
        kind: ``plain``, ``learned`` or ``softmax``.
        negatives: N, negatives of a positive in the sigmoid forms, on average.
        among_users: share of the softmax among users, 0 to 1.
    """

    def __init__(self, kind: str, negatives: int, among_users: float = 0.0) -> None:
        super().__init__()
        plain, learned = kind == "plain", kind == "learned"
        self.kind, self.negatives, self.among_users = kind, negatives, among_users
        self.log_scale = nn.Parameter(torch.tensor({"plain": 0.0, "learned": 1.6}.get(kind, 2.3)), not plain)
        self.shift = nn.Parameter(torch.tensor(-2.5 if learned else 0.0), learned)
        self.register_buffer("weight", torch.tensor(float(negatives) if learned else 1.0))

    def forward(self, step: StepScores) -> Tensor:
        """The mean loss of a step."""
        if self.kind == "softmax":
            return self._softmax(step)
        # As many negatives as asked for: an even share of those that the step has.
        share = self.negatives / step.negative.sum(dim=1, keepdim=True).clamp_min(1)
        negative = step.others[step.negative & (torch.rand(step.negative.shape) < share)]
        score = torch.cat([step.positive, negative])
        label = torch.cat([torch.ones_like(step.positive), torch.zeros_like(negative)])
        logits = self.log_scale.exp() * score + self.shift
        return F.binary_cross_entropy_with_logits(logits, label, pos_weight=self.get_buffer("weight"))

    def _softmax(self, step: StepScores) -> Tensor:
        positive, others = self.log_scale.exp() * step.positive, self.log_scale.exp() * step.others
        loss = torch.zeros(())
        if self.among_users < 1:
            items = (others - step.item_log_q).masked_fill(~step.negative, float("-inf"))  # (B, I)
            loss = (1 - self.among_users) * _first_of(positive - step.item_log_q[step.own], items)
        if self.among_users > 0:
            users = (others - step.user_log_q[:, None]).masked_fill(~step.negative, float("-inf"))  # (B, I)
            loss = loss + self.among_users * _first_of(positive - step.user_log_q, users.T[step.own])  # (B, B)
        return loss


def _first_of(positive: Tensor, negatives: Tensor) -> Tensor:
    """Cross entropy of the positive (B) among itself and the negatives (B, n)."""
    logits = torch.cat([positive.unsqueeze(1), negatives], dim=1)  # (B, 1 + n)
    return F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long))
