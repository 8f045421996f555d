"""The user tower's merge and its loss."""

import numpy as np
import pytest
import torch

from ralm.towers.user_tower import AttentionMerge, sampled_softmax_loss


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
