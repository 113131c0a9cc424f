"""Code for scripted bandit subjects: counts for each arm, and choices from values or from the last action.

In shapes, N is the number of lifetimes and K the number of arms, which are the choices.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mesascope.contracts.percept import Percept
from mesascope.contracts.subject import ChoosingSubject

TIE_RULES = ("random", "first")


class CountingSubject(ChoosingSubject):
    """A subject that carries counts [N, K, 2] of wins and losses."""

    def initialize_carry(self, n: int) -> jax.Array:
        """Returns counts [N, K, 2] that are all 0."""
        return jnp.zeros((n, self.choices, 2))


class StepCountingSubject(ChoosingSubject):
    """A subject that carries one integer for each lifetime [N], starting at 0, such as the number of past trials."""

    def initialize_carry(self, n: int) -> jax.Array:
        """Returns 0 for every lifetime."""
        return jnp.zeros(n, jnp.int32)


class ActionValueSubject(ChoosingSubject):
    """A subject that carries a number for each choice [N, K]; these numbers start at 0."""

    def initialize_carry(self, n: int) -> jax.Array:
        """Returns the number 0 for every choice [N, K]."""
        return jnp.zeros((n, self.choices))


class CountsAndTime(NamedTuple):
    """The counts [N, K, 2] of wins and losses, and the number of past trials, `past_trials` [N]."""

    counts: jax.Array
    past_trials: jax.Array


class CountingSubjectWithTime(ChoosingSubject):
    """A subject that carries counts of wins and losses, and the number of past trials (see `CountsAndTime`)."""

    def initialize_carry(self, n: int) -> CountsAndTime:
        """Returns counts of 0 wins and losses, and 0 past trials."""
        return CountsAndTime(jnp.zeros((n, self.choices, 2)), jnp.zeros(n, jnp.int32))


def count_last_outcome(percept: Percept, choices: int) -> jax.Array:
    """Counts the last pull as `feedback` wins and 1 - `feedback` losses of its arm, and returns the counts [N, K, 2].

    All other counts are 0; before the first pull, all are.
    """
    pulled = jax.nn.one_hot(percept.action, choices)  # all zero for action -1
    wins = percept.feedback[:, None]
    return jnp.stack([pulled * wins, pulled * (1.0 - wins)], axis=-1)


def compute_posterior_means(counts: jax.Array, a: float | jax.Array = 1.0, b: float | jax.Array = 1.0) -> jax.Array:
    """Computes the arms' posterior means [N, K] from counts [N, K, 2] of wins and losses and the prior Beta(a, b)."""
    return (counts[..., 0] + a) / (counts.sum(-1) + a + b)


def compute_greedy_probabilities(values: jax.Array, tie_rule: str = "random") -> jax.Array:
    """Computes the probabilities [N, K] of a greedy choice among arms with these values [N, K].

    If `tie_rule` is 'random', all arms whose values are within 1e-6 of the largest value are equally likely. If it is
    'first', the first arm with the largest value has probability 1.
    """
    if tie_rule == "first":
        return jax.nn.one_hot(values.argmax(-1), values.shape[-1])
    top = (values >= values.max(-1, keepdims=True) - 1e-6).astype(jnp.float32)
    return top / top.sum(-1, keepdims=True)


def compute_stay_probabilities(action: jax.Array, choices: int, stay_probability: jax.Array | float) -> jax.Array:
    """Computes the probabilities [N, K] of a choice that repeats the last action [N] with a given probability.

    This probability, `stay_probability`, is a number or an array [N]. The other actions share the rest equally. Before
    the first action (-1), all actions are equally likely.
    """
    last = jax.nn.one_hot(action, choices)
    stay_probability = jnp.broadcast_to(jnp.asarray(stay_probability, jnp.float32), action.shape)[:, None]
    probabilities = stay_probability * last + (1.0 - stay_probability) * (1.0 - last) / (choices - 1)
    return jnp.where((action < 0)[:, None], 1.0 / choices, probabilities)


def compute_log_probs_with_lapses(probabilities: jax.Array, lapse: jax.Array | float) -> jax.Array:
    """Computes log-probabilities [N, K] of choices of which a fraction `lapse` is drawn uniformly from all arms.

    The other choices are drawn with `probabilities` [N, K]. `lapse` is a number or an array [N, 1].
    """
    return jnp.log((1.0 - lapse) * probabilities + lapse / probabilities.shape[-1])


def has_last_pull_paid(percept: Percept) -> jax.Array:
    """Checks in which lifetimes [N] the last pull paid, that is, in which its feedback was above 0.5."""
    return percept.feedback > 0.5
