"""Pulls the arm with the largest upper bound: its mean plus a bonus for uncertainty (Auer et al. 2002)."""

import jax.numpy as jnp

from mesascope.contracts import (
    CountingSubject,
    Family,
    Percept,
    choose,
    compute_greedy_probabilities,
    count_last_outcome,
    keep_settings,
)


class UCB1(CountingSubject):
    """Carries counts of wins and losses, [N, K, 2]."""

    constant: float
    is_growing: bool
    tries_each_first: bool

    def respond(self, key, carry, percept: Percept):
        """Pulls the arm with the largest mean + constant · √(ln t / n); ties are equally likely."""
        carry = carry + count_last_outcome(percept, self.choices)
        trial = carry.sum((-2, -1))[:, None] + 1.0
        counts = carry if self.tries_each_first else carry + 1.0
        pulls = jnp.maximum(counts.sum(-1), 1.0)
        bonus = self.constant * jnp.sqrt((jnp.log(trial) if self.is_growing else 1.0) / pulls)
        bound = jnp.where(counts.sum(-1) > 0, counts[..., 0] / pulls + bonus, jnp.inf)
        return carry, choose(key, jnp.log(compute_greedy_probabilities(bound)))


@keep_settings(constant=(0, 100))
def subject(family: Family, constant: float = 0.2, is_growing: bool = True, tries_each_first: bool = False) -> UCB1:
    """Pulls the arm with the largest upper confidence bound.

    Args:
        family: the bandit.
        constant: c in mean + c · √(ln t / n) at trial t, with n pulls of the arm.
        is_growing: whether the bonus grows with ln t; False for c · √(1 / n).
        tries_each_first: whether to try each arm once and count from zero; otherwise each arm starts with one win and
            one loss (as in Duan et al. 2016).
    """
    return UCB1(family.choices, constant, is_growing, tries_each_first)
