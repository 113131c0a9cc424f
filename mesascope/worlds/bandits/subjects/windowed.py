"""Mostly pulls the arm that paid most in the last few pulls, otherwise another arm uniformly at random."""

import jax
import jax.numpy as jnp

from mesascope.contracts import ChoosingSubject, Family, Percept, choose, compute_greedy_probabilities, keep_settings


class WindowedChooser(ChoosingSubject):
    """Carries the pay-offs of the last pulls by arm, [N, window, K], the newest last."""

    window: int
    best_probability: float

    def initialize_carry(self, n: int) -> jax.Array:
        return jnp.zeros((n, self.window, self.choices))

    def respond(self, key, carry, percept: Percept):
        """Shares `best_probability` equally among the arms that paid most, and the rest among the others."""
        payoff = jax.nn.one_hot(percept.action, self.choices) * percept.feedback[:, None]
        carry = jnp.concatenate([carry[:, 1:], payoff[:, None]], 1)
        best = compute_greedy_probabilities(carry.sum(1))
        others = (best == 0).astype(jnp.float32)
        count = others.sum(-1, keepdims=True)
        probabilities = jnp.where(
            count > 0,
            self.best_probability * best + (1.0 - self.best_probability) * others / jnp.maximum(count, 1),
            best,
        )
        return carry, choose(key, jnp.log(probabilities))


@keep_settings(window=(1, 1000), focus=(0, 1))
def subject(family: Family, window: int = 10, focus: float = 0.9) -> WindowedChooser:
    """Mostly pulls the arm that paid most in the last few pulls, otherwise another arm uniformly at random.

    Args:
        family: the bandit.
        window: the number of last pulls, of all arms together, that count.
        focus: the probability of pulling the arm that paid most; the other arms share the rest.
    """
    return WindowedChooser(family.choices, window, focus)
