"""One of ten arms pays 5 and the others 1; the small pay-off of an eleventh arm tells which arm pays 5.

After Wang et al. (2016, arXiv 1611.05763, section 3.1.3): five pulls with deterministic pay-offs. Each split draws
uniformly from a finite list of tasks, so the largest expected total is known exactly: on fresh tasks, it is 20.55 of
25. The expected total is 11.0 at most without the informative arm, 7.00 without adapting, and 6.61 for random pulls.
"""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mesascope.contracts import Percept, Split, check_range, keep_settings, make_payoff_latents, make_reference_roles
from mesascope.errors import make_unknown_name_error
from mesascope.keys import derive_key
from mesascope.worlds.bandits.bandit_family import BanditFamily

HIGH, LOW = 5.0, 1.0  # pay-offs of the target and of the other arms


class Tasks(NamedTuple):
    """means [N, T, K]: the pay-off of each arm on each trial; the last arm is the informative one."""

    means: jax.Array


class InformativeBandit(BanditFamily):
    """A bandit with an informative arm, the last one, and a target, the arm that pays well; see `family`."""

    bank_targets: jax.Array | None  # [M]

    controls: ClassVar = {"learner": "asker", "lookalike": "asking_reflex", "still": "uniform"}
    # there are no references 'against', because a subject can minimise the pay-off without knowing the task
    references: ClassVar = make_reference_roles(
        "asker", "asker:has_doubts=True", "asking_locator", strongest="asker", against_setting=""
    )

    @property
    def n_targets(self) -> int:
        """The number of arms that may be the target."""
        return self.choices - 1

    def list_splits(self) -> tuple[Split, ...]:
        """Lists the splits.

        On 'restructured:code', the pay-off of the last arm counts the arms from the other end. On
        'restructured:lies', this pay-off names a random arm.
        """
        half = self.horizon // 2

        def make_named_split(name: str, **attributes: Any) -> Split:
            return dataclasses.replace(self.make_split(name, split=name), **attributes)

        return (
            *(() if self.bank_targets is None else (make_named_split("seen"),)),
            *(make_named_split(name) for name in ("fresh", "shifted:low", "shifted:high")),
            make_named_split("exchanged:target", change_trial=half),
            *(make_named_split(name) for name in ("restructured:code", "restructured:lies")),
            # not counted, because no subject can know that the code of the last arm's pay-off changes
            make_named_split("exchanged:code", change_trial=half, is_counted=False),
            make_named_split("horizon:longer", trial_count=5 * self.horizon, is_counted=False),
        )

    def list_payoffs(self, split: str) -> np.ndarray:
        """Lists the pay-offs [H, T, K] of the H equally likely tasks of a split.

        Raises:
            MesascopeError: the family has no such split.
        """
        if split not in self.split_names:
            raise make_unknown_name_error("split", split, self.split_names)
        if split == "seen":
            return self.list_payoffs("fresh")[np.asarray(self.bank_targets)]
        arms = np.arange(self.n_targets)
        pairs = np.indices((self.n_targets, self.n_targets)).reshape(2, -1).T  # [targets², 2] all pairs of arms
        # [H, 2] the target and the arm that the last arm's pay-off names, in the first and in the second half
        target = named_arm = np.stack([arms, arms], -1)
        if split.startswith("exchanged"):
            target = named_arm = pairs[pairs[:, 0] != pairs[:, 1]]
        elif split == "restructured:lies":
            target, named_arm = pairs[:, [0, 0]], pairs[:, [1, 1]]
        mirrored_arm = self.n_targets - 1 - named_arm
        if split == "restructured:code":
            named_arm = mirrored_arm
        elif split == "exchanged:code":
            named_arm = np.stack([named_arm[:, 0], mirrored_arm[:, 1]], -1)
        low, high = LOW, HIGH
        if split == "shifted:low":
            high = LOW + (HIGH - LOW) / 4
        elif split == "shifted:high":
            low, high = 2 * LOW, 2 * HIGH
        half_index = (np.arange(self.get_split(split).trial_count) >= self.horizon // 2).astype(int)  # [T]
        payoffs = np.where(target[:, half_index, None] == arms, high, low)
        number = (1 + named_arm[:, half_index, None]) / self.n_targets
        return np.concatenate([payoffs, number], -1)

    def draw(self, key: jax.Array, n: int, split: str = "fresh") -> Tasks:
        """Draws n tasks uniformly from the list of a split's tasks."""
        tables = jnp.asarray(self.list_payoffs("fresh" if split == "seen" else split), jnp.float32)
        if split == "seen":
            tables = tables[self.bank_targets]
        return Tasks(tables[jax.random.randint(derive_key(key, "task"), (n,), 0, len(tables))])

    def draw_feedback(self, key: jax.Array, tasks: Tasks, score: jax.Array) -> jax.Array:
        """Returns the score itself, because pay-offs are deterministic."""
        return score

    def compute_latents(self, tasks: Tasks, split: str) -> dict[str, np.ndarray]:
        """Computes the pay-offs `means` [N, T, K], and chance, best, worst and fixed [N, T].

        'fixed' is the mean pay-off of the arms that may be the target on this split.
        """
        means = np.asarray(tasks.means)
        arms = np.asarray(self.bank_targets) if split == "seen" else np.arange(self.n_targets)
        return make_payoff_latents(means, means[..., arms].mean(-1))

    def with_opposite_outcome(self, percept: Percept) -> Percept:
        """Replaces the last outcome in a percept with the opposite one, as on tasks whose arms pay 5 or 1.

        The pay-off of the informative arm then counts the arms from the other end, and the two pay-offs of the other
        arms are exchanged.
        """
        return self._exchange_payoffs(percept, HIGH + LOW)

    def with_opposite_outcome_of(self, tasks: Tasks, percept: Percept) -> Percept:
        """Does the same on these tasks, whose arms may have two other pay-offs than 5 and 1."""
        payoffs = tasks.means[:, 0, : self.n_targets]
        return self._exchange_payoffs(percept, payoffs.max(-1) + payoffs.min(-1))

    def _exchange_payoffs(self, percept: Percept, payoff_sum: Any) -> Percept:
        """Replaces the last outcome with the opposite one; `payoff_sum` is the sum of the arms' two pay-offs."""
        is_informative = percept.action == self.n_targets
        mirrored_payoff = (1 + self.n_targets) / self.n_targets - percept.feedback
        xp = np if isinstance(is_informative, np.ndarray) else jnp  # subjects in a Python loop use NumPy arrays
        return percept._replace(feedback=xp.where(is_informative, mirrored_payoff, payoff_sum - percept.feedback))


@keep_settings(targets=(2, 25), trials=(2, 100_000))
def family(targets: int = 10, trials: int = 5, bank: int = 0, bank_seed: int = 0) -> InformativeBandit:
    """One arm pays 5 and the others 1; the last arm pays n / targets if the good arm is the n-th.

    Args:
        targets: the number of arms that may be the good one, without the last arm, which is the informative one.
        trials: T, the number of trials, at least 2.
        bank: M, the number of training tasks, all different; 0 to train on all tasks.
        bank_seed: the seed that the bank is drawn from.
    """
    check_range(0, targets, bank=bank)
    key = derive_key(jax.random.key(bank_seed), "bank")
    bank_targets = jax.random.permutation(key, targets)[:bank] if bank else None
    return InformativeBandit(bank_targets, choices=targets + 1, horizon=trials)
