"""Each arm pays 1 with its own hidden probability, which is fixed for a lifetime.

Priors: independent U[0,1] (Duan et al. 2016, arXiv 1611.02779), the four dependent priors of Wang et al.
(2016, arXiv 1611.05763), and a Beta(a, b) for each arm.
"""

import functools
from collections.abc import Callable
from typing import ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mesascope.contracts import (
    Split,
    draw_bank,
    draw_from_bank,
    keep_settings,
    make_payoff_latents,
    make_reference_roles,
)
from mesascope.errors import MesascopeError, make_unknown_name_error
from mesascope.keys import derive_key, draw_permutations
from mesascope.worlds.bandits.bandit_family import BanditFamily

DEPENDENT_PRIORS = {  # the two values that a mean can have; for 'dependent', the ends of a uniform distribution
    "dependent": (0.0, 1.0),
    "dependent_easy": (0.1, 0.9),
    "dependent_medium": (0.25, 0.75),
    "dependent_hard": (0.4, 0.6),
}
DRIFT_DEVIATION = 0.05  # the standard deviation of the reflected random walk, per trial
ChangeFunction = Callable[[jax.Array, jax.Array], jax.Array]  # a function of a key and means that returns changed means


class Tasks(NamedTuple):
    """means [N, T, K], the mean of each arm on each trial; inversion [N], 1 if the feedback is inverted, else 0."""

    means: jax.Array
    inversion: jax.Array


class BernoulliBandit(BanditFamily):
    """A Bernoulli bandit; see `family` for the settings."""

    prior: str
    bank_means: jax.Array | None  # [M, K]
    shapes: tuple[tuple[float, float], ...] | None = eqx.field(default=None)

    controls: ClassVar = {"learner": "thompson", "lookalike": "two_loss_reflex", "still": "uniform"}

    @property
    def references(self) -> dict[str, str]:
        """The reference procedures by role; the strongest is the exact optimum for two arms and at most 200 trials.

        With more arms, more trials or a Beta prior, the strongest is `gittins`.
        """
        is_exact = self.choices == 2 and self.horizon <= 200 and not self.shapes
        best = "bayes_optimal" if is_exact else "gittins"
        return make_reference_roles(
            "thompson", "thompson:discount=0.93", "locator", strongest=best, against_setting="should_minimise=true"
        )

    def list_splits(self) -> tuple[Split, ...]:
        """Lists the splits; on one restructured split, the means come from a prior that training does not use."""
        split, half = self.make_split, self.horizon // 2
        other_prior = "independent" if self.prior in DEPENDENT_PRIORS else "dependent"

        def make_halfway_change(change: ChangeFunction) -> ChangeFunction:
            """Returns a function that applies a change of means [n, K] to the second half of means [n, T, K]."""
            return lambda key, path: path.at[:, half:].set(change(key, path[:, 0])[:, None, :])

        return (
            *(() if self.bank_means is None else (split("seen", is_seen=True),)),
            split("fresh"),
            split("shifted:low", scale=0.3),
            split("shifted:high", scale=0.3, offset=0.7),
            split("exchanged:reversal", change_trial=half, change_over_trials=make_halfway_change(_swap_extremes)),
            split(f"restructured:{other_prior}", prior=other_prior),
            split("restructured:drift", change_over_trials=_draw_walk, is_drifting=True),
            # not counted, because it is less sensitive than a reversal: the retention of `gittins` is .46 here, not .30
            split(
                "exchanged:random",
                change_trial=half,
                is_counted=False,
                change_over_trials=make_halfway_change(_permute_arms),
            ),
            split("horizon:longer", is_counted=False, trials=5 * self.horizon),
            split("inverted:feedback", is_counted=False, inversion=1.0),
        )

    def draw(
        self,
        key: jax.Array,
        n: int,
        *,
        is_seen: bool = False,
        prior: str = "",
        scale: float = 1.0,
        offset: float = 0.0,
        change_over_trials: ChangeFunction = lambda key, path: path,
        trials: int = 0,
        inversion: float = 0.0,
    ) -> Tasks:
        """Draws n tasks.

        Args:
            key: the random key of all draws.
            n: the number of tasks.
            is_seen: whether the means come from the bank.
            prior: the prior of the means, 'independent' or a dependent one of `family`; '' for the family's own prior.
            scale: the factor by which the means are multiplied.
            offset: what is added to the scaled means; it is ignored if `scale` is 1.
            change_over_trials: a function of a key and the means [n, T, K] that returns other means [n, T, K].
            trials: T; 0 for the family's horizon.
            inversion: 1 for inverted feedback, else 0.
        """
        means_key = derive_key(key, "means")
        if is_seen:
            arm_means = draw_from_bank(means_key, self.bank_means, n)
        else:
            shapes = None if prior else self.shapes
            arm_means = _draw_means(means_key, n, self.choices, prior or self.prior, shapes)
        arm_means = arm_means if scale == 1.0 else offset + scale * arm_means
        fixed_path = jnp.repeat(arm_means[:, None, :], trials or self.horizon, axis=1)
        return Tasks(change_over_trials(derive_key(key, "change"), fixed_path), jnp.full((n,), inversion))

    def compute_latents(self, tasks: Tasks, split: str) -> dict[str, np.ndarray]:
        """Computes the means [N, T, K], and chance, best, worst and fixed [N, T]."""
        means = np.asarray(tasks.means)
        if split == "seen":
            fixed = means[..., int(np.asarray(self.bank_means).mean(0).argmax())]
        else:
            fixed = means[..., self.favourite_arm] if self.shapes else means.mean(-1)
        return make_payoff_latents(means, fixed)

    @property
    def favourite_arm(self) -> int:
        """The arm with the largest prior mean; 0 if all arms have the same prior."""
        return int(np.argmax([a / (a + b) for a, b in self.shapes])) if self.shapes else 0


def _draw_means(key, n, arms, prior, shapes) -> jax.Array:
    """Draws means [n, K] from a prior."""
    if prior in DEPENDENT_PRIORS:
        low, high = DEPENDENT_PRIORS[prior]
        mean_key, arm_key = jax.random.split(key)
        if prior == "dependent":
            mean = jax.random.uniform(mean_key, (n, 1))
        else:
            mean = jnp.where(jax.random.bernoulli(mean_key, 0.5, (n, 1)), high, low)
        is_best = jax.random.randint(arm_key, (n, 1), 0, arms) == jnp.arange(arms)
        return jnp.where(is_best, mean, 1.0 - mean)
    if shapes:
        a, b = jnp.asarray(shapes).T
        return jax.random.beta(key, a, b, (n, arms))
    return jax.random.uniform(key, (n, arms))


def _swap_extremes(key: jax.Array, means: jax.Array) -> jax.Array:
    """Swaps the means of the best and the worst arm of each task."""
    best, worst = means.argmax(-1, keepdims=True), means.argmin(-1, keepdims=True)
    arm = jnp.arange(means.shape[-1])
    high, low = means.max(-1, keepdims=True), means.min(-1, keepdims=True)
    return jnp.where(arm == best, low, jnp.where(arm == worst, high, means))


def _permute_arms(key: jax.Array, means: jax.Array) -> jax.Array:
    """Permutes the arms along one random cycle, so that every mean moves to another arm."""
    order = draw_permutations(key, *means.shape)
    rows = jnp.arange(len(means))[:, None]
    return means.at[rows, order].set(means[rows, jnp.roll(order, 1, axis=-1)])


def _draw_walk(key: jax.Array, means: jax.Array) -> jax.Array:
    """Draws reflected Gaussian random walks [n, T, K] that start at the means of the first trial."""
    steps = DRIFT_DEVIATION * jax.random.normal(key, means.shape).at[:, 0].set(0.0)
    return 1.0 - jnp.abs(1.0 - jnp.mod(means + jnp.cumsum(steps, axis=1), 2.0))


def _parse_shapes(prior: str, arms: int) -> tuple[tuple[float, float], ...] | None:
    """Parses the Beta shapes (a, b) of each arm from a prior such as 'beta:3/1+1/1'; returns None for other priors.

    Raises:
        MesascopeError: there is no such prior, or its shapes are not one pair of positive numbers for each arm.
    """
    if not prior.startswith("beta:"):
        if prior != "independent" and prior not in DEPENDENT_PRIORS:
            raise make_unknown_name_error("prior", prior, ["independent", *DEPENDENT_PRIORS, "beta:a/b+a/b+..."])
        return None
    try:
        shapes = tuple((float(a), float(b)) for a, b in (p.split("/") for p in prior[5:].split("+")))
    except ValueError:
        raise MesascopeError(f"The prior {prior!r} is not a list of shapes.", "Type e.g. beta:3/1+1/1.") from None
    if len(shapes) != arms:
        raise MesascopeError(
            f"The prior {prior!r} has {len(shapes)} arms, but the family has {arms}.", "Give one a/b per arm."
        )
    if not all(np.isfinite(v) and v > 0 for shape in shapes for v in shape):
        raise MesascopeError(
            f"The prior {prior!r} has a shape that is not positive and finite.", "Give finite, positive numbers."
        )
    return shapes


@keep_settings(arms=(2, 26), trials=(2, 100_000), bank=(0, 1_000_000))
def family(
    arms: int = 5, trials: int = 100, prior: str = "independent", bank: int = 0, bank_seed: int = 0
) -> BernoulliBandit:
    """Each arm pays 1 with its own hidden probability, which is fixed for a lifetime.

    Args:
        arms: K, the number of arms, from 2 to 26.
        trials: T, the number of trials, at least 2.
        prior: the distribution of the means. With 'independent', each mean is drawn from U[0, 1]. With 'dependent', one
            arm has the mean p and all others have 1 - p, with p from U[0, 1]; with 'dependent_easy', p is .1 or .9;
            with 'dependent_medium', .25 or .75; with 'dependent_hard', .4 or .6. With 'beta:a/b+a/b+…', each arm has
            its own Beta(a, b).
        bank: M, the number of training tasks; 0 for no limit.
        bank_seed: the seed that the bank is drawn from.
    """
    shapes = _parse_shapes(prior, arms)
    draw_means = functools.partial(_draw_means, n=bank, arms=arms, prior=prior, shapes=shapes)
    bank_means = draw_bank(
        jax.jit(draw_means) if shapes else draw_means,  # compiled, so that an impossible bank is refused in a second
        bank,
        bank_seed,
        find_property=lambda means: np.asarray(means).argmax(-1),
        description="with two different best arms",
        remedy="Take a larger bank or another prior.",
    )
    name = f"bernoulli_bandit:arms={arms},trials={trials}"
    name += f",prior={prior}" if prior != "independent" else ""
    name += f",bank={bank},bank_seed={bank_seed}" if bank else ""
    return BernoulliBandit(prior, bank_means, shapes, name=name, choices=arms, horizon=trials)
