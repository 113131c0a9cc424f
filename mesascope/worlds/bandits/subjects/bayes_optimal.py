"""The exact Bayes-optimal policy, computed by dynamic programming over all counts.

For independent arms, a table stores the best arm of each state in one byte. A state is the vector of wins and losses by
arm. If s_i is the sum of a state's first i entries, the state's rank is Σ_i C(s_i + i - 1, i), so states with fewer
pulls have lower ranks.
For two dependent arms (Wang et al. 2016) every pull is equally informative about both, so it is optimal to pull
the arm with the larger posterior mean.
"""

import functools
import hashlib
from math import comb

import jax
import jax.numpy as jnp
import numpy as np

from mesascope.contracts import Family, HasArms, Percept, choose, keep_settings, require_family
from mesascope.contracts.choices import (
    CountingSubject,
    compute_greedy_probabilities,
    compute_posterior_means,
    count_last_outcome,
)
from mesascope.errors import MesascopeError
from mesascope.files import PROCESS_NAME, make_cache_path, replace_when_written

MAX_STATES = 70_000_000  # enough for two arms up to 200 trials, or five arms up to 21 trials
ALL_TIED = 255


class BayesOptimal(CountingSubject):
    """Carries counts [N, K, 2]; looks up the best arm in a table by the rank of the counts (not for dependent arms)."""

    table: jax.Array  # [states] bytes, ALL_TIED if all arms are equally good
    rank_terms: jax.Array  # [T, 2K] C(s + i - 1, i)
    a: tuple[float, ...]
    b: tuple[float, ...]
    has_dependent_arms: bool

    def respond(self, key, carry, percept: Percept):
        """Counts the last outcome and looks up the best arm.

        After the horizon, and with dependent arms, the subject pulls the arm with the largest posterior mean.
        """
        carry = carry + count_last_outcome(percept, self.choices)
        if self.has_dependent_arms:
            return carry, choose(key, jnp.log(compute_greedy_probabilities(carry[..., 0] + carry[..., ::-1, 1])))
        sums = jnp.cumsum(jnp.round(carry).astype(jnp.int32).reshape(len(carry), -1), -1)
        is_tabulated = sums[:, -1] < len(self.rank_terms)
        rank = self.rank_terms[jnp.clip(sums, 0, len(self.rank_terms) - 1), jnp.arange(sums.shape[1])].sum(-1)
        best_arm = self.table[rank]
        planned_probabilities = jax.nn.one_hot(best_arm, self.choices)
        planned_probabilities = jnp.where((best_arm == ALL_TIED)[:, None], 1.0 / self.choices, planned_probabilities)
        greedy_probabilities = compute_greedy_probabilities(
            compute_posterior_means(carry, jnp.asarray(self.a), jnp.asarray(self.b))
        )
        return carry, choose(
            key, jnp.log(jnp.where(is_tabulated[:, None], planned_probabilities, greedy_probabilities))
        )


@functools.lru_cache(maxsize=4)
def compute_optimal_plan(trial_count: int, shapes: tuple[tuple[float, float], ...]) -> tuple[np.ndarray, float]:
    """Computes the best arm in each state with fewer than `trial_count` pulls, and the expected total pay-off.

    Args:
        trial_count: T, the number of trials in a lifetime.
        shapes: for each of the K arms, the parameters (a, b) of its Beta prior.

    Returns:
        The index of the best arm by rank, as bytes [C(T + 2K - 1, 2K)], with `ALL_TIED` where all arms are equally
        good; and the expected total pay-off of the policy.
    """
    entries = 2 * len(shapes)
    # [R, 2K - 1] partial sums of all states with T - 1 pulls; the first rows are also those of states with t pulls
    sums = _list_partial_sums(trial_count, entries - 1)
    # steps[i]: by how much the rank among states with t + 1 pulls grows if entry i grows by 1
    steps = np.zeros((entries, len(sums)), np.int32)
    for i in range(entries - 2, -1, -1):
        growth = np.array([comb(s + i, i) for s in range(trial_count)], np.int64)
        steps[i] = steps[i + 1] + growth[sums[:, i]]
    table = np.empty(comb(trial_count - 1 + entries, entries), np.uint8)
    value = np.zeros(comb(trial_count + entries - 1, entries - 1))
    for t in range(trial_count - 1, -1, -1):
        rows = np.arange(comb(t + entries - 1, entries - 1))
        best_value, arm, is_tied = np.full(len(rows), -np.inf), np.zeros(len(rows), np.uint8), np.ones(len(rows), bool)
        for k, (a, b) in enumerate(shapes):
            earlier_pulls = sums[: len(rows), 2 * k - 1] if k else 0  # the pulls of the arms before this one
            wins = sums[: len(rows), 2 * k] - earlier_pulls
            pulls = (sums[: len(rows), 2 * k + 1] if 2 * k + 2 < entries else t) - earlier_pulls
            p = (wins + a) / (pulls + a + b)
            value_if_won, value_if_lost = (
                value[rows + steps[2 * k, : len(rows)]],
                value[rows + steps[2 * k + 1, : len(rows)]],
            )
            arm_value = p * (1.0 + value_if_won) + (1.0 - p) * value_if_lost
            is_tied &= (k == 0) | (np.abs(arm_value - best_value) < 1e-9)
            arm[arm_value > best_value + 1e-9] = k
            best_value = np.maximum(best_value, arm_value)
        start = comb(t + entries - 1, entries)
        table[start : start + len(rows)] = np.where(is_tied, ALL_TIED, arm)
        value = best_value
    return table, float(value[0])


def _list_partial_sums(trial_count: int, columns: int) -> np.ndarray:
    """Lists all rows of sums s_1 <= s_2 <= ... < `trial_count`, one sum per column.

    The rows are ordered by the last sum, then by the second to last, and so on.
    """
    rows = np.arange(trial_count, dtype=np.int32)[:, None]
    for i in range(1, columns):
        sizes = np.array([comb(s + i, i) for s in range(trial_count)])
        index = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        rows = np.concatenate([rows[index], np.repeat(np.arange(trial_count, dtype=np.int32), sizes)[:, None]], 1)
    return rows


def load_plan(trial_count: int, shapes: tuple[tuple[float, float], ...]) -> np.ndarray:
    """Loads the table of `compute_optimal_plan` from the user's cache folder.

    If the file is missing or broken, the table is computed, and stored if the folder is writable.
    """
    digest = hashlib.sha256(repr((1, trial_count, shapes)).encode()).hexdigest()[:16]
    path = make_cache_path(f"bayes_optimal-{len(shapes)}-{trial_count}-{digest}.bin")
    try:
        data = path.read_bytes()
    except OSError:
        data = b""
    if len(data) > 32 and hashlib.sha256(data[32:]).digest() == data[:32]:
        return np.frombuffer(data, np.uint8, offset=32)
    table = compute_optimal_plan(trial_count, shapes)[0]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replace_when_written(path, PROCESS_NAME) as part:
            part.write_bytes(hashlib.sha256(table.tobytes()).digest() + table.tobytes())
    except OSError:
        pass  # the result does not depend on the cache
    return table


@keep_settings
def subject(family: Family) -> BayesOptimal:
    """Follows the exact Bayes-optimal policy for the family's prior and horizon.

    The table covers two arms up to 200 trials, and more arms over shorter horizons. If all arms are equally good, the
    policy draws one uniformly; if only some arms tie for the best, it pulls the first of them.

    Args:
        family: the bandit; if its arms are dependent, there must be two.
    """
    lacks = "has no independent arms with fixed means, so no optimum can be computed"
    bandit = require_family(family, HasArms, lacks, "Use --family bernoulli_bandit.")
    arms, trials = family.choices, family.horizon
    shapes = bandit.shapes or ((1.0, 1.0),) * arms
    a, b = (tuple(float(shape[i]) for shape in shapes) for i in (0, 1))
    if bandit.prior.startswith("dependent"):
        if arms != 2:
            raise MesascopeError(
                f"The exact optimum of {arms} dependent arms is not tabulated.", "Use two arms: arms=2."
            )
        return BayesOptimal(arms, jnp.zeros(0, jnp.uint8), jnp.zeros((0, 4), jnp.int32), a, b, has_dependent_arms=True)
    states = comb(trials - 1 + 2 * arms, 2 * arms)
    if states > MAX_STATES:
        raise MesascopeError(
            f"The exact optimum of {arms} arms over {trials} trials has {states:,} states.",
            f"At most {MAX_STATES:,} can be tabulated: use two arms up to 200 trials, or five arms up to 21.",
        )
    ranks = [[comb(s + i - 1, i) for i in range(1, 2 * arms + 1)] for s in range(trials)]
    table = load_plan(trials, tuple(zip(a, b, strict=True)))
    return BayesOptimal(arms, jnp.asarray(table), jnp.asarray(ranks, jnp.int32), a, b, has_dependent_arms=False)
