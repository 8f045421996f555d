"""The settings of a schedule, drawn."""

from dataclasses import replace
from random import Random

from flows.config.groups import SeedSettings

from .model import Rules
from .producers import MAX_FUTURE


def drawn_rules(rng: Random, *, seldom: bool) -> Rules:
    """Draw the settings; ``seldom``: of a service where clicks come now and then."""
    item_ttl = rng.choice([0, 20_000] if seldom else [0, 1500, 4000, 20_000])
    retention = rng.choice([0, 8000, 40_000])
    return Rules(
        window=rng.choice([1000, 1000, 1000, 3000]),
        lateness=rng.choice([2000, 5000]) if seldom else rng.choice([0, 300, 2000]),
        idle_after=rng.choice([0, 500, 2000]),
        max_seeds=rng.choice([3, 8, 1000]),
        item_ttl=item_ttl,
        retention=item_ttl and retention and max(item_ttl, retention),
        max_items=rng.choice([3, 6, 1000]),
        max_listings=rng.choice([3, 1000]),
        only_listed=rng.random() < 0.3,
        min_seeds=rng.choice([2, 2, 3] if seldom else [1, 2, 3]),
        max_future=MAX_FUTURE,
    )


def altered_rules(rng: Random, rules: Rules) -> Rules:
    """Other settings, of those where nothing but the offset since when they hold decides what comes of it.

    ``item_ttl`` stays: with which one a gap is judged depends on when a window is merged. What larger sets, or more
    listings, would have had is gone for good or not, by when they were cut.
    """
    return replace(
        rules,
        window=rng.choice([500, 1000, 3000]),
        lateness=rng.choice([0, 300, 2000]),
        idle_after=rng.choice([0, 500, 2000]),
        max_seeds=min(rules.max_seeds, rng.choice([3, 8, 1000])),
        retention=rules.item_ttl and rng.choice([0, max(rules.item_ttl, 8000), max(rules.item_ttl, 40_000)]),
        max_items=rng.choice([3, 6, 1000]),
        max_listings=min(rules.max_listings, rng.choice([3, 1000])),
        only_listed=rng.random() < 0.3,
    )


def settings_of(r: Rules) -> SeedSettings:
    """The same as the product has them."""
    return SeedSettings(
        window=f"{r.window}ms",
        allowed_lateness=f"{r.lateness}ms",
        idle_after=f"{r.idle_after}ms",
        max_seeds=r.max_seeds,
        item_ttl=f"{r.item_ttl}ms",
        seeds_retention=f"{r.retention}ms",
        max_items=r.max_items,
        max_listings=r.max_listings,
        candidates="listed" if r.only_listed else "clicked",
    )
