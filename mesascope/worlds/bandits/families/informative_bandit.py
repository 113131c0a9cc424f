"""One arm of ten pays 5 and the others 1; an eleventh pays little and its number says which (Wang et al. 2016).

arXiv 1611.05763, section 3.1.3: five pulls, pay-offs that do not scatter. Every split is an even draw from a list of
tasks that can be written down, so what can be had on it is found exactly (`optimum`): 20.55 of 25 in total, 11.0
without the informative arm, 7.00 without adapting, 6.61 at random.
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

HIGH, LOW = 5.0, 1.0  # what the target and the other arms pay


class Tasks(NamedTuple):
    """means [N, T, K]: what every arm pays on every trial; the informative arm is the last one."""

    means: jax.Array


class InformativeBandit(Pulling):
    """A bandit with an informative arm; see `family` for the settings."""

    bank_targets: jax.Array | None  # [M]

    controls: ClassVar = {"learner": "asker", "lookalike": "asking_reflex", "still": "uniform"}
    # going against the pay-off needs nothing to be acquired, so none does
    references: ClassVar = reference_roles(
        "asker", "asker:doubts=True", "asking_locator", strongest="asker", against=""
    )

    @property
    def targets(self) -> int:
        """The number of arms one of which is the target."""
        return self.choices - 1

    def splits(self) -> tuple[Split, ...]:
        """On the restructured splits the informative arm counts from the other end, or lies."""
        half = self.horizon // 2

        def split(name: str, **told: Any) -> Split:
            return dataclasses.replace(self.varied(name, split=name), **told)

        return (
            *(() if self.bank_targets is None else (split("seen"),)),
            *(split(name) for name in ("fresh", "shifted:low", "shifted:high")),
            split("exchanged:target", changes_at=half),
            *(split(name) for name in ("restructured:code", "restructured:lies")),
            # nobody can know that the code is exchanged, too
            split("exchanged:code", changes_at=half, counted=False),
            split("horizon:longer", trials=5 * self.horizon, counted=False),
        )

    def tables(self, split: str) -> np.ndarray:
        """[H, T, K] every task of a split; they are equally likely.

        Raises:
            MesascopeError: no such split.
        """
        if split not in self.split_names:
            raise unknown("split", split, self.split_names)
        arms = np.arange(self.targets)
        if split == "seen":
            return self.tables("fresh")[np.asarray(self.bank_targets)]
        early = late = arms
        if split.startswith("exchanged"):
            early, late = (x[~np.eye(len(arms), dtype=bool)] for x in np.meshgrid(arms, arms, indexing="ij"))
        says, then = early, late
        if split == "restructured:lies":
            early, says = (x.ravel() for x in np.meshgrid(arms, arms, indexing="ij"))
            late, then = early, says
        if split == "restructured:code":
            says = then = self.targets - 1 - says
        elif split == "exchanged:code":
            then = self.targets - 1 - then
        low, high = LOW, HIGH
        if split == "shifted:low":
            high = LOW + (HIGH - LOW) / 4
        elif split == "shifted:high":
            low, high = 2 * LOW, 2 * HIGH
        changed = (np.arange(self.split(split).trials) >= self.horizon // 2)[None, :]
        target = np.where(changed, late[:, None], early[:, None])  # [H, T]
        number = (1 + np.where(changed, then[:, None], says[:, None])) / self.targets
        paid = np.where(target[..., None] == arms, high, low)
        return np.concatenate([paid, number[..., None]], -1)

    def optimum(self, split: str = "fresh", informed: bool = True) -> float:
        """The expected total pay-off of the best adaptive policy that knows the split, exactly.

        Args:
            split: one of the splits.
            informed: whether it may pull the informative arm.
        """
        return deterministic.optimum(self.tables(split), () if informed else (self.targets,))

    def draw(self, key: jax.Array, n: int, split: str = "fresh") -> Tasks:
        """Draws n tasks of those that a split lists."""
        tables = jnp.asarray(self.tables("fresh" if split == "seen" else split), jnp.float32)
        if split == "seen":
            tables = tables[self.bank_targets]
        return Tasks(tables[jax.random.randint(address(key, "task"), (n,), 0, len(tables))])

    def paid(self, key: jax.Array, tasks: Tasks, score: jax.Array) -> jax.Array:
        """What is expected: pay-offs do not scatter."""
        return score

    def latents(self, tasks: Tasks, split: str) -> dict[str, np.ndarray]:
        """The pay-offs [N, T, K], and chance, best, worst and fixed [N, T]; equally good fixed arms share."""
        means = np.asarray(tasks.means)
        arms = np.asarray(self.bank_targets) if split == "seen" else np.arange(self.targets)
        return payoff_latents(means, means[..., arms].mean(-1))

    def with_opposite_outcome(self, percept: Percept) -> Percept:
        """The informative arm's number counted from the other end; what the target pays for the others' and back."""
        asked = percept.action == self.targets
        other = (1 + self.targets) / self.targets - percept.feedback
        return percept._replace(feedback=_where(asked, other, HIGH + LOW - percept.feedback))

    def text(self, action: int, feedback: float) -> str:
        """One pull in words."""
        return f"pulled arm {LETTERS[action]}, got {feedback:.3g}"


def _where(mask: Array, yes: Array, no: Array) -> Array:
    """Where, of NumPy for NumPy arrays (looped subjects)."""
    return (np if isinstance(mask, np.ndarray) else jnp).where(mask, yes, no)


@keep_settings(targets=(2, 25), trials=(2, 100_000))
def family(targets: int = 10, trials: int = 5, bank: int = 0, bank_seed: int = 0) -> InformativeBandit:
    """One arm pays 5, others 1, and the last one's pay-off, index / targets, says which it is.

    Args:
        targets: the arms one of which is the target; one more is informative.
        trials: T, at least 2.
        bank: M, the number of training tasks, all different; 0 for all of them.
        bank_seed: the seed that the bank is drawn from.
    """
    check_range(0, targets, bank=bank)
    order = jax.random.permutation(address(jax.random.key(bank_seed), "bank"), targets) if bank else None
    return InformativeBandit(
        choices=targets + 1,
        horizon=trials,
        bank_targets=order[:bank] if order is not None else None,
    )
