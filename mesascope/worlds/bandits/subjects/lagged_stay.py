"""Win-stay, lose-shift with a lag: repeats the arm of some trials ago if it paid then, and leaves it otherwise."""

import jax
import jax.numpy as jnp

from mesascope.contracts import (
    ChoosingSubject,
    Family,
    Percept,
    choose,
    compute_log_probs_with_lapses,
    compute_stay_probabilities,
    keep_settings,
)


class LaggedStay(ChoosingSubject):
    """Carries the actions (-1 if none) and the feedback of the last trials, each [N, lag] with the newest last."""

    lag: int
    lapse: float

    def initialize_carry(self, n: int) -> tuple[jax.Array, jax.Array]:
        return jnp.full((n, self.lag), -1, jnp.int32), jnp.zeros((n, self.lag))

    def respond(self, key, carry, percept: Percept):
        """Repeats or leaves the arm of the oldest trial in its carry; chooses at random before that trial exists."""
        actions, feedback = carry
        actions = jnp.concatenate([actions[:, 1:], percept.action[:, None].astype(jnp.int32)], 1)
        feedback = jnp.concatenate([feedback[:, 1:], percept.feedback[:, None]], 1)
        probabilities = compute_stay_probabilities(actions[:, 0], self.choices, feedback[:, 0])
        return (actions, feedback), choose(key, compute_log_probs_with_lapses(probabilities, self.lapse))


@keep_settings(lag=(1, 1000), lapse=(0.0, 1.0))
def subject(family: Family, lag: int = 4, lapse: float = 0.0) -> LaggedStay:
    """Repeats the arm of some trials ago if it paid then, and takes another arm otherwise.

    Args:
        family: the bandit.
        lag: how many trials before the present one the repeated arm was pulled; 1 for the last trial.
        lapse: the probability of choosing uniformly at random among all arms.
    """
    return LaggedStay(family.choices, lag, lapse)
