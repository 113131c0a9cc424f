"""One of ten arms pays 5 and the others 1; the small pay-off of an eleventh names the good one (Wang et al. 2016).

arXiv 1611.05763, section 3.1.3: five pulls with deterministic pay-offs. Each split draws uniformly from a finite list
of tasks, so `optimum` computes its optimum exactly: 20.55 of 25 in total, 11.0 without the informative arm, 7.00
without adapting, and 6.61 at random.
"""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mesascope.contracts.configured import Array, Percept, Split, check_range, keep_settings, payoff_latents
from mesascope.contracts.family import reference_roles
from mesascope.errors import unknown
from mesascope.keys import address
from mesascope.worlds.bandits import deterministic
from mesascope.worlds.bandits.pulling import LETTERS, Pulling

HIGH, LOW = 5.0, 1.0  # pay-offs of the target and of the other arms


class Tasks(NamedTuple):
    """means [N, T, K]: the pay-off of each arm on each trial; the last arm is the informative one."""

    means: jax.Array


class InformativeBandit(Pulling):
    """A bandit with an informative arm; see `family` for the settings."""

    bank_targets: jax.Array | None  # [M]

    controls: ClassVar = {"learner": "asker", "lookalike": "asking_reflex", "still": "uniform"}
    # minimising the pay-off needs no acquisition, so there are no references 'against'
    references: ClassVar = reference_roles(
        "asker", "asker:doubts=True", "asking_locator", strongest="asker", against=""
    )

    @property
    def targets(self) -> int:
        """The number of arms that may be the target."""
        return self.choices - 1

    def splits(self) -> tuple[Split, ...]:
        """The splits; on the restructured ones, the number counts the arms from the other end, or is random."""
        half = self.horizon // 2

        def split(name: str, **attributes: Any) -> Split:
            return dataclasses.replace(self.varied(name, split=name), **attributes)

        return (
            *(() if self.bank_targets is None else (split("seen"),)),
            *(split(name) for name in ("fresh", "shifted:low", "shifted:high")),
            split("exchanged:target", changes_at=half),
            *(split(name) for name in ("restructured:code", "restructured:lies")),
            # not counted: no subject can know that the code changes as well
            split("exchanged:code", changes_at=half, counted=False),
            split("horizon:longer", trials=5 * self.horizon, counted=False),
        )

    def tables(self, split: str) -> np.ndarray:
        """The pay-offs [H, T, K] of the H equally likely tasks of a split.

        Raises:
            MesascopeError: the family has no such split.
        """
        if split not in self.split_names:
            raise unknown("split", split, self.split_names)
        arms = np.arange(self.targets)
        if split == "seen":
            return self.tables("fresh")[np.asarray(self.bank_targets)]
        early = late = arms
        if split.startswith("exchanged"):
            early, late = (x[~np.eye(len(arms), dtype=bool)] for x in np.meshgrid(arms, arms, indexing="ij"))
        early_number, late_number = early, late
        if split == "restructured:lies":
            early, early_number = (x.ravel() for x in np.meshgrid(arms, arms, indexing="ij"))
            late, late_number = early, early_number
        if split == "restructured:code":
            early_number = late_number = self.targets - 1 - early_number
        elif split == "exchanged:code":
            late_number = self.targets - 1 - late_number
        low, high = LOW, HIGH
        if split == "shifted:low":
            high = LOW + (HIGH - LOW) / 4
        elif split == "shifted:high":
            low, high = 2 * LOW, 2 * HIGH
        changed = (np.arange(self.split(split).trials) >= self.horizon // 2)[None, :]
        target = np.where(changed, late[:, None], early[:, None])  # [H, T]
        number = (1 + np.where(changed, late_number[:, None], early_number[:, None])) / self.targets
        paid = np.where(target[..., None] == arms, high, low)
        return np.concatenate([paid, number[..., None]], -1)

    def optimum(self, split: str = "fresh", informed: bool = True) -> float:
        """The exact expected total pay-off of the best adaptive policy that knows the split.

        Args:
            split: the name of a split.
            informed: whether the policy may pull the informative arm.
        """
        return deterministic.find_optimum(self.tables(split), () if informed else (self.targets,))

    def draw(self, key: jax.Array, n: int, split: str = "fresh") -> Tasks:
        """Draws n tasks uniformly from the list of a split's tasks."""
        tables = jnp.asarray(self.tables("fresh" if split == "seen" else split), jnp.float32)
        if split == "seen":
            tables = tables[self.bank_targets]
        return Tasks(tables[jax.random.randint(address(key, "task"), (n,), 0, len(tables))])

    def draw_feedback(self, key: jax.Array, tasks: Tasks, score: jax.Array) -> jax.Array:
        """The score itself: pay-offs are deterministic."""
        return score

    def latents(self, tasks: Tasks, split: str) -> dict[str, np.ndarray]:
        """The pay-offs [N, T, K], chance, best, worst and fixed [N, T]; 'fixed' is the mean over possible targets."""
        means = np.asarray(tasks.means)
        arms = np.asarray(self.bank_targets) if split == "seen" else np.arange(self.targets)
        return payoff_latents(means, means[..., arms].mean(-1))

    def with_opposite_outcome(self, percept: Percept) -> Percept:
        """Counts the number from the other end, and swaps the pay-offs of the target and the other arms."""
        informative = percept.action == self.targets
        mirrored = (1 + self.targets) / self.targets - percept.feedback
        return percept._replace(feedback=_select(informative, mirrored, HIGH + LOW - percept.feedback))

    def text(self, action: int, feedback: float) -> str:
        """Describes one pull in words."""
        return f"pulled arm {LETTERS[action]}, got {feedback:.3g}"


def _select(mask: Array, yes: Array, no: Array) -> Array:
    """NumPy's `where` for NumPy arrays (from subjects that run in a Python loop), otherwise JAX's."""
    xp = np if isinstance(mask, np.ndarray) else jnp
    return xp.where(mask, yes, no)


@keep_settings(targets=(2, 25), trials=(2, 100_000))
def family(targets: int = 10, trials: int = 5, bank: int = 0, bank_seed: int = 0) -> InformativeBandit:
    """One arm pays 5 and the others 1; the last arm pays n / targets if the good arm is the n-th.

    Args:
        targets: the number of arms that may be the target, excluding the informative arm.
        trials: T, at least 2.
        bank: M, the number of training tasks, all different; 0 for all of them.
        bank_seed: the seed that the bank is drawn from.
    """
    check_range(0, targets, bank=bank)
    order = jax.random.permutation(address(jax.random.key(bank_seed), "bank"), targets) if bank else None
    return InformativeBandit(
        choices=targets + 1, horizon=trials, bank_targets=order[:bank] if order is not None else None
    )
