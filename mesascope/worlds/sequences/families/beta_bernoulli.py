"""Each symbol is 1 with a hidden probability p and otherwise 0; the action predicts the next symbol.

As in Ortega et al. (2019, arXiv 1905.03030) and Mikulik et al. (2020, arXiv 2010.11223), p ~ Beta(a, b). The best
predictor is the Bayes mixture; under Beta(1, 1), its exact expected log loss over 20 symbols is 11.147 nats. The
observation shows the last symbol, or -1 before the first symbol.
"""

from collections.abc import Callable
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mesascope.contracts import DrawTasks, Split, keep_settings, make_configured_name
from mesascope.contracts.bank_draws import draw_bank, draw_from_bank
from mesascope.contracts.family import ConfiguredFamily, make_reference_roles
from mesascope.contracts.percept import Array, Percept, make_first_percept, make_next_percept
from mesascope.errors import MesascopeError
from mesascope.keys import derive_key

DRIFT_DEVIATION = 0.1  # the standard deviation of one step of the reflected random walk of p
RARE_DISTANCE = 0.05  # the largest distance of p from 0 or 1 on the rare split


class Tasks(NamedTuple):
    """N sequences.

    Attributes:
        p: [N, T] the probability of symbol 1; if `repeats_last_symbol` is 1, the probability that the last symbol
            occurs again.
        repeats_last_symbol: [N] 1 if the last symbol occurs again with probability p; 0 if symbols are independent.
    """

    p: jax.Array
    repeats_last_symbol: jax.Array


class BetaBernoulli(ConfiguredFamily):
    """Prediction of the symbols 0 and 1, which have a hidden probability; see `family` for the settings."""

    a: float
    b: float
    bank_means: jax.Array | None  # [M, 2]: 1 - p and p, the pay-offs of predicting 0 and 1

    controls: ClassVar = {"learner": "bayes_predictor", "lookalike": "last_symbol", "still": "uniform"}
    # the strongest reference always predicts the more probable symbol
    references: ClassVar = make_reference_roles(
        "bayes_predictor", "bayes_predictor:discount=0.8", "locator", strongest="bayes_predictor:greedy=True"
    ) | {"locator against": "locator:should_minimise=true"}

    def list_splits(self) -> tuple[Split, ...]:
        """Lists the splits: seen (with a bank), fresh, two with other p, and four others.

        These have exchanged symbols, a drift of p, repetition of symbols, or more trials.
        """
        split, half = self.make_split, self.horizon // 2

        def draw_seen_probabilities(key: jax.Array, n: int) -> jax.Array:
            return draw_from_bank(derive_key(key, "p"), self.bank_means, n)[:, 1]

        def draw_high_probabilities(key: jax.Array, n: int) -> jax.Array:
            return _draw_beta(derive_key(key, "p"), self.a + 4.0, self.b, n)

        def draw_uniform_probabilities(key: jax.Array, n: int) -> jax.Array:
            return jax.random.uniform(derive_key(key, "p"), (n,))

        def exchange_symbols(_: jax.Array, probabilities: jax.Array) -> jax.Array:
            return probabilities.at[:, half:].set(1.0 - probabilities[:, half:])

        return (
            *(() if self.bank_means is None else (split("seen", draw_probabilities=draw_seen_probabilities),)),
            split("fresh"),
            split("shifted:high", draw_probabilities=draw_high_probabilities),
            split("shifted:rare", draw_probabilities=_draw_rare_probabilities),
            split("exchanged:symbols", change_trial=half, change_over_trials=exchange_symbols),
            split("restructured:drift", change_over_trials=_draw_random_walk, is_drifting=True),
            # this split is not counted: counts of symbols contain no information about its tasks, so no reference gains
            split(
                "restructured:repeats",
                is_counted=False,
                draw_probabilities=draw_uniform_probabilities,
                repeats_last_symbol=1.0,
            ),
            split("horizon:longer", is_counted=False, trials=5 * self.horizon),
        )

    def draw(
        self,
        key: jax.Array,
        n: int,
        *,
        draw_probabilities: DrawTasks | None = None,
        change_over_trials: Callable[[jax.Array, jax.Array], jax.Array] = lambda key, path: path,
        repeats_last_symbol: float = 0.0,
        trials: int = 0,
    ) -> Tasks:
        """Draws n tasks.

        Args:
            key: the random key for all draws.
            n: the number of tasks.
            draw_probabilities: a function of a key and n that draws the probabilities [n]; by default they come from
                the family's Beta distribution.
            change_over_trials: a function of the key and the probabilities [n, T] that returns other
                probabilities of this shape, which can change over the trials.
            repeats_last_symbol: 1 if p is the probability that the last symbol occurs again, else 0.
            trials: T, the number of trials; 0 for the family's horizon.
        """
        probability = (
            draw_probabilities(key, n) if draw_probabilities else _draw_beta(derive_key(key, "p"), self.a, self.b, n)
        )
        probabilities = jnp.repeat(probability[:, None], trials or self.horizon, 1)
        return Tasks(change_over_trials(key, probabilities), jnp.full((n,), repeats_last_symbol))

    def begin(self, key: jax.Array, tasks: Tasks) -> tuple[tuple[jax.Array, jax.Array], Percept]:
        """Starts one lifetime per task; the state is the trial index [N] and the last symbol [N] (-1 if none)."""
        n = len(tasks.p)
        percept = make_first_percept(jnp.full((n, 1), -1.0))
        return (jnp.zeros(n, jnp.int32), jnp.full(n, -1.0)), percept

    def step(self, key: jax.Array, tasks: Tasks, state: tuple[jax.Array, jax.Array], action: jax.Array):
        """Draws the next symbol of each lifetime; symbols do not depend on predictions."""
        trial, last = state
        p = tasks.p[jnp.arange(len(action)), trial]
        repeat_probability = jnp.where(last < 0, 0.5, jnp.where(last > 0, p, 1.0 - p))
        p = jnp.where(tasks.repeats_last_symbol > 0, repeat_probability, p)
        symbol = (jax.random.uniform(key, action.shape) < p).astype(jnp.float32)
        score = jnp.where(action == 1, p, 1.0 - p)
        is_correct = (action == symbol).astype(jnp.float32)
        return (trial + 1, symbol), make_next_percept(symbol[:, None], action, is_correct, trial + 1), score

    def compute_latents(self, tasks: Tasks, split: str) -> dict[str, np.ndarray]:
        """Returns the latents p, chance, best, worst and fixed, each [N, T].

        If symbols are independent, the result also contains `means` [N, T, 2], the pay-offs of predicting 0 and 1.
        """
        p, repeats = np.asarray(tasks.p), np.asarray(tasks.repeats_last_symbol)[:, None] > 0
        half = np.full_like(p, 0.5)
        best = np.where(repeats & (np.arange(p.shape[1]) == 0), half, np.maximum(p, 1 - p))
        result = {"p": p, "best": best, "chance": half, "worst": 1 - best, "fixed": half}
        if repeats.any():
            return result
        means = np.stack([1 - p, p], -1)
        return result | {"means": means, "fixed": self._compute_fixed(means, split)}

    def _compute_fixed(self, means: np.ndarray, split: str) -> np.ndarray:
        """Computes the pay-off [N, T] of predicting the symbol that is more probable, on average, in the split's tasks.

        If both symbols are equally probable, this is the mean of the pay-offs of both predictions.
        """
        prior_mean = self.a / (self.a + self.b)
        if split == "seen":
            prior_mean = float(np.asarray(self.bank_means)[:, 1].mean())
        elif split == "shifted:high":
            prior_mean = (self.a + 4) / (self.a + 4 + self.b)
        elif split == "shifted:rare":
            prior_mean = 0.5
        if abs(prior_mean - 0.5) < 1e-9:
            return means.mean(-1)
        fixed = means[..., int(prior_mean > 0.5)]
        if split == "exchanged:symbols":
            fixed = np.where(np.arange(means.shape[1]) >= self.horizon // 2, 1 - fixed, fixed)
        return fixed

    def read_target(self, percept: Percept) -> Array:
        """Returns the symbol of the last trial, [N]; -1 before the first trial."""
        return percept.observation[:, 0].astype(int)

    def with_outcome(self, percept: Percept, feedback: Array, observation: Array) -> Percept:
        """Returns the percept with another lifetime's symbol; the feedback is 1 if the subject predicted it, else 0."""
        is_correct = (percept.action == observation[:, 0]).astype(percept.feedback.dtype)
        return percept._replace(feedback=is_correct, observation=observation)

    def with_opposite_outcome(self, percept: Percept) -> Percept:
        """Returns the percept with the other symbol; the feedback is 1 if the subject predicted this symbol, else 0."""
        return self.with_outcome(percept, percept.feedback, 1.0 - percept.observation)

    def describe_step(self, action: int, feedback: float) -> str:
        """Describes one trial in words."""
        return f"predicted {action}, it was {action if feedback > 0.5 else 1 - action}"


def _draw_beta(key: jax.Array, a: float, b: float, n: int) -> jax.Array:
    """Draws n numbers from Beta(a, b), by inversion if a or b is 1, because this compiles faster."""
    if b == 1:
        return jax.random.uniform(key, (n,)) ** (1.0 / a)
    if a == 1:
        return 1.0 - jax.random.uniform(key, (n,)) ** (1.0 / b)
    return jax.random.beta(key, a, b, (n,))


def _draw_rare_probabilities(key: jax.Array, n: int) -> jax.Array:
    """Draws n probabilities within RARE_DISTANCE of 0 or 1."""
    distance = RARE_DISTANCE * jax.random.uniform(derive_key(key, "p"), (n,))
    return jnp.where(jax.random.bernoulli(derive_key(key, "end"), 0.5, (n,)), 1.0 - distance, distance)


def _draw_random_walk(key: jax.Array, probabilities: jax.Array) -> jax.Array:
    """Draws reflected Gaussian random walks [n, T] that start at the first values of `probabilities` [n, T]."""
    steps = DRIFT_DEVIATION * jax.random.normal(derive_key(key, "drift"), probabilities.shape).at[:, 0].set(0.0)
    return 1.0 - jnp.abs(1.0 - jnp.mod(probabilities + jnp.cumsum(steps, 1), 2.0))


@keep_settings(trials=(2, 100_000), bank=(0, 1_000_000))
def family(trials: int = 20, a: float = 1.0, b: float = 1.0, bank: int = 0, bank_seed: int = 0) -> BetaBernoulli:
    """Each symbol is 1 with a hidden probability p ~ Beta(a, b) and otherwise 0; the action predicts the next symbol.

    Args:
        trials: T, the number of trials, at least 2.
        a: the parameter of the Beta prior that counts symbol 1; the prior mean of p is a / (a + b).
        b: the parameter of the Beta prior that counts symbol 0.
        bank: M, the number of training tasks; 0 for no limit.
        bank_seed: the seed that the bank is drawn from.
    """
    if not (0 < a < 1e6 and 0 < b < 1e6):
        raise MesascopeError(f"The prior Beta({a}, {b}) is out of range.", "Give a and b above 0 and below 1,000,000.")
    a, b = float(a), float(b)
    p = draw_bank(
        lambda key: _draw_beta(key, a, b, bank),
        bank,
        bank_seed,
        find_property=lambda p: np.asarray(p) > 0.5,
        description="with symbol 0 more probable in one task and symbol 1 in another",
        remedy="Take a larger bank or another prior.",
    )
    means = None if p is None else jnp.stack([1.0 - p, p], -1)
    name = make_configured_name(family, trials=trials, a=a, b=b, bank=bank, bank_seed=bank_seed)
    return BetaBernoulli(a, b, means, name=name, choices=2, horizon=trials)
