"""What the figures of a training mean, in a sentence or two."""

from collections.abc import Mapping
from math import isnan
from typing import Any

_FEW = 100
"""Of fewer users a hit rate says little: one of them is a hundredth or more."""

_SHOWN = 0.01
"""A share is shown in whole percents."""


def verdict(figures: Mapping[str, Any], data: str) -> str:
    """The sentences.

    Args:
        figures: of ``HeldOut``.
        data: name of the data set, for what to do next.
    """
    users, rate, popular = figures["users"], figures["hit_rate"], figures["hit_rate_popularity"]
    if not users or isnan(rate):
        return (
            "Too little is held out to judge the bundle: it can be served, but nothing is known of how good it is. "
            f"`ralm evaluate {data} --eval-split items` judges by items that training never saw."
        )
    error = figures["hit_rate_error"]
    is_clear = abs(rate - popular) > error
    if is_clear:
        found = "Better than popularity" if rate > popular else "Worse than popularity"
    else:
        found = "No better than popularity, as far as these users tell"
    sentences = [f"{found}: of {users:,} users {rate:.0%} find one of their next items among the best 10"]
    sentences[0] += f", by popularity {popular:.0%} (difference {rate - popular:+.1%}{_spread(error)})."
    if users < _FEW:
        few = "are few, though" if is_clear else "are too few to tell"
        sentences.append(f"{users} users {few}; try `ralm evaluate {data} --eval-split items`, which judges by items.")
    sentences.append(
        f"AUC {figures['auc']:.3f}: how often a user who clicks an item looks more like its seeds than somebody else "
        f"does (0.5 is chance; counting clicks gives {figures['auc_activity']:.3f})."
    )
    return " ".join(sentences)


def _spread(error: float) -> str:
    """How far chance may have moved the difference; nothing where that is not known.

    >>> _spread(0.021), _spread(0.001), _spread(float("nan"))
    (', give or take 2%', ', give or take less than 1%', '')
    """
    if isnan(error):
        return ""
    return f", give or take {error:.0%}" if error >= _SHOWN else f", give or take less than {_SHOWN:.0%}"
