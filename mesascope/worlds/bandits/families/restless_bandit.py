"""Two arms pay with probabilities p and 1 - p; p changes slowly in some blocks of a lifetime and fast in others.

After the restless bandits of Wang et al. (2016, arXiv 1611.05763) and the stable and volatile blocks of Behrens et al.
(2007, Nature Neuroscience 10:1214). Slow and fast blocks alternate; each lifetime begins with a random kind. Either p
follows a random walk, reflected at 0 and 1, with the block's standard deviation per trial, or it jumps between `level`
and 1 - `level` with the block's probability per trial.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mesascope.contracts import Split, keep_settings, make_configured_name, make_payoff_latents
from mesascope.contracts.bank_draws import draw_bank
from mesascope.contracts.family import make_reference_roles
from mesascope.errors import MesascopeError
from mesascope.keys import derive_key
from mesascope.worlds.bandits.bandit_family import BanditFamily


class Tasks(NamedTuple):
    """means [N, T, K] of arms; volatility [N, T], 0 for slow, 1 for fast; inversion [N], 1 for inverted feedback."""

    means: jax.Array
    volatility: jax.Array
    inversion: jax.Array


class RestlessBandit(BanditFamily):
    """A bandit whose means change at two rates; see `family` for the settings."""

    change: str
    slow_rate: float
    fast_rate: float
    block: int
    level: float
    is_coupled: bool

    controls: ClassVar = {"learner": "drift_filter", "lookalike": "two_loss_reflex", "still": "uniform"}
    # the filter is the exact optimum for coupled arms
    references: ClassVar = make_reference_roles(
        "drift_filter", "rescorla_wagner:rate=0.3,beta=8", "path_locator", strongest="drift_filter"
    ) | {"discounting against": "rescorla_wagner:rate=0.3,beta=-8"}

    @property
    def bank_paths(self) -> jax.Array | None:
        """The means of the training tasks by trial, [M, T, K]; None without a bank."""
        return None if self.bank_tasks is None else self.bank_tasks.means

    def list_splits(self) -> tuple[Split, ...]:
        """Lists the splits; the restructured split makes coupled arms independent, or independent arms coupled."""
        split, half = self.make_split, self.horizon // 2
        other_coupling = "independent" if self.is_coupled else "coupled"
        # at most .5, because jumps with a probability of one half make the past uninformative
        faster = 2 * self.fast_rate if self.change == "drift" else min(2 * self.fast_rate, 0.5)

        def reverse_arms(means: jax.Array) -> jax.Array:
            """Reverses the order of the arms in means [n, T, K] from the middle trial on."""
            return means.at[:, half:].set(jnp.flip(means[:, half:], -1))

        return (
            *self.make_seen_split(),
            split("fresh"),
            split("shifted:still", rate=0.0),
            split("shifted:close", change_means=lambda means: 0.5 + 0.3 * (means - 0.5)),
            split("exchanged:reversal", change_trial=half, change_means=reverse_arms),
            split(f"restructured:{other_coupling}", is_coupled=not self.is_coupled),
            split("shifted:faster", is_counted=False, rate=faster),
            split("horizon:longer", is_counted=False, trials=5 * self.horizon),
            split("inverted:feedback", is_counted=False, inversion=1.0),
        )

    def draw(
        self,
        key: jax.Array,
        n: int,
        *,
        rate: float | None = None,
        is_coupled: bool | None = None,
        change_means: Callable[[jax.Array], jax.Array] = lambda means: means,
        trials: int = 0,
        inversion: float = 0.0,
    ) -> Tasks:
        """Draws n tasks.

        Args:
            key: the random key of all draws.
            n: the number of tasks.
            rate: the rate of change on all trials, in the unit of the setting `slow_rate`; None for the rates of slow
                and fast blocks, which alternate.
            is_coupled: whether a random arm pays with p and the others with 1 - p; None for the family's setting.
            change_means: a function of the means [n, T, K] of the arms that returns other means of this shape.
            trials: T; 0 for the family's horizon.
            inversion: 1 for inverted feedback, else 0.
        """
        first_kind = jax.random.bernoulli(derive_key(key, "first"), 0.5, (n, 1)).astype(jnp.int32)
        block_index = jnp.arange(trials or self.horizon) // self.block
        volatility = ((first_kind + block_index) % 2).astype(jnp.float32)
        rates = jnp.where(volatility > 0, self.fast_rate, self.slow_rate)
        if rate is not None:
            volatility, rates = jnp.full_like(volatility, float(rate > 0)), jnp.full_like(rates, rate)
        path = self._draw_means(derive_key(key, "means"), rates, self.is_coupled if is_coupled is None else is_coupled)
        return Tasks(change_means(path), volatility, jnp.full((n,), inversion))

    def _draw_means(self, key: jax.Array, rates: jax.Array, is_coupled: bool) -> jax.Array:
        """Draws means [n, T, K] that change before each trial except the first, at that trial's rate [n, T]."""
        n, trials = rates.shape
        shape = (n, trials, 1 if is_coupled else self.choices)
        start_key, change_key = derive_key(key, "start"), derive_key(key, "change")
        step_sizes = rates.at[:, 0].set(0.0)[..., None]
        if self.change == "drift":
            start = jax.random.uniform(start_key, (n, 1, shape[-1]))
            walk = start + jnp.cumsum(step_sizes * jax.random.normal(change_key, shape), 1)
            paths = 1.0 - jnp.abs(1.0 - jnp.mod(walk, 2.0))
        else:
            start = jax.random.bernoulli(start_key, 0.5, (n, 1, shape[-1]))
            jumps = jnp.cumsum(jax.random.uniform(change_key, shape) < step_sizes, 1)
            paths = jnp.where((start + jumps) % 2 == 1, self.level, 1.0 - self.level)
        if not is_coupled:
            return paths
        arm = jax.random.randint(derive_key(key, "arm"), (n, 1, 1), 0, self.choices)
        return jnp.where(jnp.arange(self.choices) == arm, paths, 1.0 - paths)

    def compute_latents(self, tasks: Tasks, split: str) -> dict[str, np.ndarray]:
        """Computes the means [N, T, K]; and volatility (0 slow, 1 fast), chance, best, worst and fixed, each [N, T].

        On 'seen', 'fixed' is the pay-off of pulling, on each trial, the arm that pays most on average over the bank. On
        other splits it equals 'chance'.
        """
        means = np.asarray(tasks.means)
        fixed = means.mean(-1)
        if split == "seen":
            best_arm = np.asarray(self.bank_paths).mean(0).argmax(-1)  # [T] the best arm on average over the bank
            fixed = means[:, np.arange(means.shape[1]), best_arm]
        return make_payoff_latents(means, fixed) | {"volatility": np.asarray(tasks.volatility)}


@keep_settings(arms=(2, 26), trials=(2, 100_000), change=("drift", "reversal"), block=(1, 100_000), bank=(0, 100_000))
def family(
    arms: int = 2,
    trials: int = 100,
    change: str = "drift",
    slow_rate: float = 0.01,
    fast_rate: float = 0.1,
    block: int = 50,
    level: float = 0.7,
    is_coupled: bool = True,
    bank: int = 0,
    bank_seed: int = 0,
) -> RestlessBandit:
    """Arms pay with probabilities p and 1 - p; p changes slowly in some blocks and fast in others.

    Args:
        arms: K, the number of arms, which must be 2 for coupled arms.
        trials: T, the number of trials, at least 2.
        change: how p changes: 'drift' (it follows a reflected random walk) or 'reversal' (it jumps from `level` to
            1 - `level` and back).
        slow_rate: the standard deviation of the walk, or the probability of a jump, per trial in slow blocks.
        fast_rate: the standard deviation of the walk, or the probability of a jump, per trial in fast blocks.
        block: the number of trials in a block; slow and fast blocks alternate, and the kind of the first is random.
        level: with change=reversal, the higher of the two values between which p jumps.
        is_coupled: whether the arms pay with p and 1 - p; otherwise each arm changes independently.
        bank: M, the number of training tasks, each with the means of all its trials; 0 for no limit.
        bank_seed: the seed that the bank is drawn from.
    """
    if is_coupled and arms != 2:
        raise MesascopeError(f"{arms} arms cannot be coupled as p and 1 - p.", "Use arms=2 or is_coupled=False.")
    highest = 0.5 if change == "reversal" else 1.0
    if not 0 <= slow_rate <= fast_rate <= highest:
        raise MesascopeError(
            f"slow_rate={slow_rate} and fast_rate={fast_rate} are out of order or out of range.",
            f"Give 0 <= slow_rate <= fast_rate <= {highest:g}.",
        )
    if not 0.5 < level <= 1:
        raise MesascopeError(f"level={level} is out of range.", "Give a number above 0.5 and at most 1.")
    fields: dict[str, Any] = {"change": change, "slow_rate": float(slow_rate), "fast_rate": float(fast_rate)}
    fields |= {"block": block, "level": float(level), "is_coupled": is_coupled}
    name = make_configured_name(family, arms=arms, trials=trials, **fields, bank=bank, bank_seed=bank_seed)
    bandit = RestlessBandit(**fields, name=name, choices=arms, horizon=trials)
    bank_tasks = draw_bank(
        lambda key: bandit.draw(key, bank),
        bank,
        bank_seed,
        find_property=lambda tasks: np.asarray(tasks.means).mean(1).argmax(-1),  # the best arm on average
        description="with two different best arms",
    )
    return dataclasses.replace(bandit, bank_tasks=bank_tasks)
