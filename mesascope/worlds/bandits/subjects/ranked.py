"""Learns what every arm pays, and pulls the arm of a given rank, if need be in cipher or by old trials alone."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mesascope.contracts.choices import means, mix_lapse, outcomes
from mesascope.contracts.scripted import Choosing, Family, Percept, choose, keep_settings
from mesascope.errors import MesascopeError

CODES = ("plain", "clock", "turns")


class Carry(NamedTuple):
    """counts [N, K, 2] of wins and losses; stored [N, skip, K, 2], the last outcomes, which do not count yet."""

    counts: jax.Array
    stored: jax.Array


class Ranked(Choosing):
    """See `subject` for the settings."""

    rank: int
    encoding: str
    skip: int
    lapse: float

    def fresh(self, n: int) -> Carry:
        return Carry(jnp.zeros((n, self.choices, 2)), jnp.zeros((n, self.skip, self.choices, 2)))

    def respond(self, key, carry: Carry, percept: Percept):
        stored = jnp.concatenate([carry.stored, outcomes(percept, self.choices)[:, None]], 1)
        counts = carry.counts + stored[:, 0]
        acts = of_rank(means(counts), self.rank)
        if self.encoding == "clock":
            source = (jnp.arange(self.choices)[None] - percept.trial[:, None]) % self.choices
            acts = jnp.take_along_axis(acts, source, 1)
        elif self.encoding == "turns":
            acts = jnp.where((percept.trial % 2 == 1)[:, None], of_rank(-means(counts), self.rank), acts)
        return Carry(counts, stored[:, 1:]), choose(key, mix_lapse(acts, self.lapse))


def of_rank(values: jax.Array, rank: int) -> jax.Array:
    """[N, K] The probability that each arm has this rank, 1 being the largest value, if ties are broken at random."""
    above = (values[:, None] > values[..., None] + 1e-6).sum(-1)
    tied = (jnp.abs(values[:, None] - values[..., None]) <= 1e-6).sum(-1)
    return jnp.where((above < rank) & (rank <= above + tied), 1.0 / tied, 0.0)


@keep_settings(rank=(1, 26), code=CODES, skip=(0, 1000), lapse=(0.0, 1.0))
def subject(family: Family, rank: int = 2, code: str = "plain", skip: int = 0, lapse: float = 0.1) -> Ranked:
    """Pulls the arm whose posterior mean has a given rank.

    Args:
        family: the bandit.
        rank: the rank; 1 is the best arm.
        code: how it shows that arm: 'plain'; by the 'clock', the arm plus the trial index; or in 'turns' with the arm
            of the same rank from below, on every other trial.
        skip: the number of latest trials that it does not take in yet.
        lapse: the probability of choosing uniformly at random among all arms.
    """
    if rank > family.choices:
        raise MesascopeError(f"There is no arm of rank {rank} among {family.choices}.", "Give a smaller rank.")
    return Ranked(family.choices, rank, code, skip, lapse)
