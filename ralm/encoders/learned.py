"""A linear encoder trained on what is served, seeds and targets as if they had never clicked the item (torch).

``z_u = unit( sum of e_j over the user's distinct items j / (n_u + 3)^1/2 + P_u )``, e_j the item's vector plus the sum
of its categories' vectors. Leaving item i out is one subtraction: ``unit((S_u - e_i) / (n_u - 1 + 3)^1/2 + P_u)``.

A step draws items with ``p ~ sqrt(clickers)``, and of each item n seeds (n anew in each step) and some targets,
distinct clickers. Each user keeps a random part of its history in the step, some users none of it. Target t
meets item i as

``s[t, i] = scale cosine(z_t, mean of the unit vectors of i's seeds)``

and its loss is half of each of ``-log softmax over the step's items of s[t, .]`` at its own item and
``softplus(logsumexp over the targets t' of other items of s[t', i] - s[t, i])``. Who clicked an item is never its
negative. Relatives: prototypical networks (Snell 2017), GE2E (Wan 2018), DropoutNet (Volkovs 2017).
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ralm.encoders.encoder import SHIFT, EncoderPart, TableEncoder, direction_or_first_axis
from ralm.encoders.histories import MOST_ITEMS, Histories
from ralm.encoders.profiles import Profiles, ProfileWeights
from ralm.features import Floats, Interactions
from ralm.progress import Report, silent
from ralm.towers.optimising import deterministic

_WARM_UP = 30
_REPORT_EVERY = 20


@dataclass(frozen=True)
class Learned:
    """Options of the training.

    Attributes:
        dim: h, length of the vectors.
        steps: of AdamW.
        items: items of a step.
        targets: targets of each item in a step.
        seeds: least and most seeds of an item in a step.
        keep: least and most share of its history that a user keeps in a step.
        no_history: share of the users that keep none, so that a profile alone means something.
        leave_out: False trains with the leak (seeds and targets have the item in their histories), to measure it.
        learning_rate: of AdamW after a warm-up of 30 steps; falls to a fiftieth along a cosine.
        weight_decay: of AdamW.
        scale: what the scale of the cosines begins with.
    """

    dim: int = 64
    steps: int = 400
    items: int = 256
    targets: int = 4
    seeds: tuple[int, int] = (5, 60)
    keep: tuple[float, float] = (0.3, 1.0)
    no_history: float = 0.1
    leave_out: bool = True
    learning_rate: float = 3e-3
    weight_decay: float = 1e-4
    scale: float = 10.0

    def fit(self, clicks: Interactions, profiles: Profiles, rng_seed: int = 0, report: Report = silent) -> TableEncoder:
        """Train on one numeric thread; the same clicks, profiles, options and ``rng_seed`` give the same encoder.

        Args:
            clicks: to learn from.
            profiles: of all users.
            rng_seed: fixes every random choice.
            report: called every 20 steps with the mean loss since.

        Raises:
            ValueError: when no two items have two clickers, or the loss is not finite.
        """
        with deterministic():
            training = _Training(self, clicks, profiles, torch.Generator().manual_seed(rng_seed))
            self.start(training.parameters.item, clicks)
            training.run(report)
            return TableEncoder((training.parameters.part(),))

    def start(self, items: nn.Parameter, clicks: Interactions) -> None:
        """Where the item vectors, float32 (I, h), begin: as they were drawn, unless a variant changes them."""


class _Parameters(nn.Module):
    """e_j and P_u as parameters, h = dim."""

    def __init__(self, clicks: Interactions, profiles: Profiles, options: Learned, rng: torch.Generator) -> None:
        super().__init__()
        dim, spread = options.dim, 0.3 * options.dim**-0.5

        def table(codes: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(codes, dim, generator=rng) * spread)

        self.item = table(clicks.items)  # (I, h)
        self.category = table(clicks.category_count)
        self.bias = nn.Parameter(torch.zeros(dim))
        self.categorical = nn.ParameterList(table(count) for _, count in profiles.categorical.values())
        self.multivalent = nn.ParameterList(table(count) for _, count in profiles.multivalent.values())
        self.continuous = nn.Parameter(torch.zeros(profiles.continuous.shape[1], dim))  # W^T, (c, h)
        self.log_scale = nn.Parameter(torch.tensor(math.log(options.scale)))
        self._clicked = torch.from_numpy(np.bincount(clicks.clicks_item, minlength=clicks.items) > 0)
        self._categories = torch.from_numpy(clicks.item_categories)
        self._profiles = profiles
        self._middle = profiles.means()
        self._centred = torch.from_numpy(profiles.centred(self._middle))  # (U, c)
        self._codes = [torch.from_numpy(codes) for codes, _ in profiles.categorical.values()]
        self._bags = [torch.from_numpy(codes) for codes, _ in profiles.multivalent.values()]

    def table(self) -> Tensor:
        """e_j, (I, h); of an item that nobody clicked that of its categories."""
        own = self.item * self._clicked.unsqueeze(1)
        return own + F.embedding_bag(self._categories, self.category, mode="sum", padding_idx=0)

    def profile(self, users: Tensor) -> Tensor:
        """P_u of users (B), (B, h)."""
        made = self.bias + self._centred[users] @ self.continuous  # (B, c) x (c, h)
        for table, codes in zip(self.categorical, self._codes, strict=True):
            made = made + F.embedding(codes[users], table) * (codes[users] > 0).unsqueeze(1)
        for table, codes in zip(self.multivalent, self._bags, strict=True):
            made = made + F.embedding_bag(codes[users], table, mode="mean", padding_idx=0)
        return made

    @torch.no_grad()
    def part(self) -> EncoderPart:
        """The encoder as it is used."""
        bias = self.bias.numpy().copy()
        profile = ProfileWeights(
            bias,
            dict(zip(self._profiles.categorical, map(_without_unknown, self.categorical), strict=True)),
            dict(zip(self._profiles.multivalent, map(_without_unknown, self.multivalent), strict=True)),
            self.continuous.numpy().copy(),
            self._middle,
        )
        return EncoderPart(self.table().numpy().copy(), profile, direction_or_first_axis(bias))


def _without_unknown(table: Tensor) -> Floats:
    weights: Floats = table.detach().numpy().copy()
    weights[0] = 0
    return weights


@dataclass(frozen=True)
class _Drawn:
    """What a step sees: I items with ``total`` clickers each, the targets first, and the histories of those B users.

    Attributes:
        items: (I).
        users: (B), distinct.
        at: of each clicker its place among ``users``, (I, total).
        once: 1 where a user is in its row for the first time, else 0, (I, total).
        own: 1 where the item is in the history that its clicker keeps, else 0, (I, total).
        kept: items of the kept histories, user by user, (n).
        counts: kept items of each user, (B).
        clicked: whether a user ever clicked an item of the step, bool (B, I).
    """

    items: Tensor
    users: Tensor
    at: Tensor
    once: Tensor
    own: Tensor
    kept: Tensor
    counts: Tensor
    clicked: Tensor


class _Training:
    """The steps; a user's pairs stand newest first, an item's clickers in order of their numbers."""

    def __init__(self, options: Learned, clicks: Interactions, profiles: Profiles, rng: torch.Generator) -> None:
        self._options, self._rng, self._items = options, rng, clicks.items
        histories = Histories.of_clicks(clicks, None)
        by_item = np.lexsort((histories.owners, histories.items))
        self._start, self._item_of = torch.from_numpy(histories.start), torch.from_numpy(histories.items)
        self._clicker = torch.from_numpy(histories.owners[by_item])
        self._place = torch.from_numpy(by_item)  # of each pair in the order by item, its place in the order by user
        clickers = np.bincount(histories.items, minlength=clicks.items)
        self._item_start = torch.from_numpy(np.concatenate([[0], np.cumsum(clickers)]))
        self._chance = _chance(clickers, options.targets + options.seeds[0])
        self.parameters = _Parameters(clicks, profiles, options, rng)

    def run(self, report: Report) -> None:
        """All steps."""
        options, parameters = self._options, list(self.parameters.parameters())
        optimiser = torch.optim.AdamW(parameters, lr=options.learning_rate, weight_decay=options.weight_decay)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, self._rate)
        report("encoder", 0, options.steps, float("nan"))
        losses: list[float] = []
        for step in range(1, options.steps + 1):
            loss = self._loss(self._draw())
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(parameters, 5.0)
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
            if not math.isfinite(losses[-1]):
                msg = f"the loss of the encoder is {losses[-1]} in step {step}: try a smaller learning rate"
                raise ValueError(msg)
            if step % _REPORT_EVERY == 0 or step == options.steps:
                report("encoder", step, options.steps, sum(losses) / len(losses))
                losses.clear()

    def _rate(self, step: int) -> float:
        """Warm-up, then a cosine from 1 to 0.02."""
        done = min(1.0, step / self._options.steps)
        return min(1.0, (step + 1) / _WARM_UP) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))

    def _draw(self) -> _Drawn:
        options, rng = self._options, self._rng
        least, most = options.seeds
        total = options.targets + int(torch.randint(least, most + 1, (1,), generator=rng))
        many = min(options.items, int((self._chance > 0).sum()))
        items = torch.multinomial(self._chance, many, generator=rng)  # (I)
        by_item = self._clickers_of(items, total)
        places, clickers = self._place[by_item], self._clicker[by_item]  # (I, total)
        users, at = torch.unique(clickers, return_inverse=True)  # (B), (I, total)
        # All pairs of these users, user by user: first[b] is where user b's begin.
        counts = self._start[users + 1] - self._start[users]  # (B)
        first = torch.cumsum(counts, 0) - counts
        within = torch.arange(int(counts.sum())) - torch.repeat_interleave(first, counts)  # 0: the newest
        owner = torch.repeat_interleave(torch.arange(len(users)), counts)
        item_of = self._item_of[self._start[users][owner] + within]
        low, high = options.keep
        share = low + (high - low) * torch.rand(len(users), generator=rng)
        share = torch.where(torch.rand(len(users), generator=rng) < options.no_history, 0.0, share)
        kept = (torch.rand(len(owner), generator=rng) < share[owner]) & (within < MOST_ITEMS)
        column = torch.full((self._items,), -1).index_put((items,), torch.arange(many))[item_of]
        clicked = torch.zeros(len(users), many, dtype=torch.bool)
        clicked[owner[column >= 0], column[column >= 0]] = True
        own = kept[first[at] + places - self._start[clickers]].float()
        counted = torch.bincount(owner[kept], minlength=len(users))
        return _Drawn(items, users, at, _first_times(clickers), own, item_of[kept], counted, clicked)

    def _clickers_of(self, items: Tensor, total: int) -> Tensor:
        """Places in the order by item of ``total`` clickers of each item, evenly over its list, (I, total)."""
        count = self._item_start[items + 1] - self._item_start[items]  # (I)
        shape = (len(items), total)
        stratum = torch.argsort(torch.rand(shape, generator=self._rng), dim=1)
        at = (stratum + torch.rand(shape, generator=self._rng)) / total * count[:, None]
        return self._item_start[items][:, None] + at.long().minimum(count[:, None] - 1)

    def _loss(self, drawn: _Drawn) -> Tensor:
        count, total = drawn.at.shape
        targets = self._options.targets
        table, profile = self.parameters.table(), self.parameters.profile(drawn.users)  # (I_all, h), (B, h)
        sums = F.embedding_bag(drawn.kept, table, torch.cumsum(drawn.counts, 0) - drawn.counts, mode="sum")  # (B, h)
        flat, own = drawn.at.reshape(-1), drawn.own * float(self._options.leave_out)  # (I total), (I, total)
        taken = own.unsqueeze(2) * table[drawn.items].unsqueeze(1)  # (I, total, 1) x (I, 1, h)
        n = drawn.counts.float()[flat] - own.reshape(-1)
        z = _finish(sums[flat] - taken.view(count * total, -1), n, profile[flat]).view(count, total, -1)

        asked = z[:, :targets].reshape(count * targets, -1)  # (T, h), T = I targets
        once = drawn.once[:, :targets].reshape(-1)  # (T)
        means = F.normalize((z[:, targets:] * drawn.once[:, targets:, None]).sum(1), dim=1)  # (I, h)
        s = asked @ means.T * self.parameters.log_scale.exp()  # (T, I)
        target, column = torch.arange(len(asked)), torch.arange(count).repeat_interleave(targets)
        not_negative = drawn.clicked[flat.view(count, total)[:, :targets].reshape(-1)]  # (T, I)
        is_own = F.one_hot(column, count).bool()  # (T, I)
        s = s.masked_fill(not_negative & ~is_own, float("-inf"))
        right = s[target, column]  # (T)
        among_items = torch.logsumexp(s, 1) - right
        others = torch.logsumexp(s.masked_fill(is_own, -1e9), 0)  # (I)
        among_users = F.softplus(others[column] - right)
        return 0.5 * ((among_items + among_users) * once).sum() / once.sum()


def _finish(sums: Tensor, n: Tensor, profile: Tensor) -> Tensor:
    """``unit(S / (n + 3)^1/2 + P)``: (B, h), (B) and (B, h) to (B, h)."""
    return F.normalize(sums / (n + SHIFT).sqrt().unsqueeze(1) + profile, dim=1)


def _chance(clickers: np.ndarray, wanted: int) -> Tensor:
    """How likely an item is drawn: ``sqrt(clickers)`` of those with enough clickers, float64 (I).

    Raises:
        ValueError: when no two items have two clickers.
    """
    for least in (wanted, 2):
        if (clickers >= least).sum() >= 2:
            return torch.from_numpy(np.where(clickers >= least, np.sqrt(clickers), 0.0))
    msg = f"the encoder learns from items with 2 clickers or more; there are {(clickers >= 2).sum()}, and 2 are needed"
    raise ValueError(msg)


def _first_times(users: Tensor) -> Tensor:
    """1 where a user stands in its row for the first time, else 0: an item with few clickers draws some twice."""
    ordered, at = users.sort(dim=1, stable=True)
    again = torch.zeros_like(ordered, dtype=torch.bool)
    again[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
    return 1.0 - torch.zeros_like(again).scatter(1, at, again).float()
