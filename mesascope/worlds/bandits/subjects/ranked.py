"""Pulls the arm whose posterior mean has a given rank, or an arm derived from it; can ignore the latest trials."""

import jax
import jax.numpy as jnp

from mesascope.contracts import ChoosingSubject, Family, Percept, choose, keep_settings
from mesascope.contracts.choices import compute_log_probs_with_lapses, compute_posterior_means, count_last_outcome
from mesascope.errors import MesascopeError


class RankChooser(ChoosingSubject):
    """Carries counts [N, K, 2], and the last outcomes [N, delay, K, 2], which do not count yet; see `subject`."""

    rank: int
    action_mapping: str
    delay: int
    lapse: float

    def initialize_carry(self, n: int) -> tuple[jax.Array, jax.Array]:
        return jnp.zeros((n, self.choices, 2)), jnp.zeros((n, self.delay, self.choices, 2))

    def respond(self, key, carry, percept: Percept):
        counts, stored_outcomes = carry
        stored_outcomes = jnp.concatenate([stored_outcomes, count_last_outcome(percept, self.choices)[:, None]], 1)
        counts = counts + stored_outcomes[:, 0]
        probabilities = compute_rank_probability(compute_posterior_means(counts), self.rank)
        if self.action_mapping == "clock":
            source = (jnp.arange(self.choices)[None] - percept.trial[:, None]) % self.choices
            probabilities = jnp.take_along_axis(probabilities, source, 1)
        elif self.action_mapping == "turns":
            reversed_rank = compute_rank_probability(-compute_posterior_means(counts), self.rank)
            probabilities = jnp.where((percept.trial % 2 == 1)[:, None], reversed_rank, probabilities)
        return (counts, stored_outcomes[:, 1:]), choose(key, compute_log_probs_with_lapses(probabilities, self.lapse))


def compute_rank_probability(values: jax.Array, rank: int) -> jax.Array:
    """Computes the probability [N, K] that each arm has this rank; rank 1 is the largest value.

    Ties are broken at random.
    """
    n_above = (values[:, None] > values[..., None] + 1e-6).sum(-1)
    n_tied = (jnp.abs(values[:, None] - values[..., None]) <= 1e-6).sum(-1)
    return jnp.where((n_above < rank) & (rank <= n_above + n_tied), 1.0 / n_tied, 0.0)


@keep_settings(rank=(1, 26), action_mapping=("plain", "clock", "turns"), delay=(0, 1000), lapse=(0.0, 1.0))
def subject(
    family: Family, rank: int = 2, action_mapping: str = "plain", delay: int = 0, lapse: float = 0.1
) -> RankChooser:
    """Pulls the arm whose posterior mean has a given rank, or an arm derived from it.

    Args:
        family: the bandit.
        rank: the rank of the arm by its posterior mean; 1 is the best arm.
        action_mapping: which arm the subject pulls: 'plain', the arm of that rank; 'clock', the arm that follows it by
            as many places as the trial index, cyclically; or 'turns', the arm of that rank, counted from the best arm
            on trials with even indices and from the worst arm on the others.
        delay: the number of latest trials that the subject ignores for the present; it counts each of them later.
        lapse: the probability of choosing uniformly at random among all arms.
    """
    if rank > family.choices:
        raise MesascopeError(f"There is no arm of rank {rank} among {family.choices}.", "Give a smaller rank.")
    return RankChooser(family.choices, rank, action_mapping, delay, lapse)
