"""What a percept of an association task tells about the previous cue's right action."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mesascope.contracts.family import Family, require_family
from mesascope.contracts.percept import Percept
from mesascope.contracts.subject import Choosing
from mesascope.worlds.associations.families.associations import Associations

TRIED = "associations:cues=4,trials=12,bank=2"  # what `mesascope check` tries the subjects on
EDGE = 1e-4  # probabilities are kept this far from 0 and 1


class Evidence(NamedTuple):
    """cue [N, S] one-hot, zero before the first trial; nats [N, K] log-likelihoods of the outcome by right action."""

    cue: jax.Array
    nats: jax.Array

    @property
    def table(self) -> jax.Array:
        """[N, S, K] the log-likelihood in the row of its cue, zero elsewhere."""
        return self.cue[..., None] * self.nats[:, None]


class Cued(Choosing):
    """A scripted subject of association tasks.

    Attributes:
        slots: S, the cues that the observation has room for.
        shows: 'right' or 'payoff'.
        pays: [2] what a wrong and the right action pay.
    """

    slots: int
    shows: str
    pays: jax.Array

    def present(self, percept: Percept) -> jax.Array:
        """[N, S] the cue that is shown now."""
        return percept.observation[:, : self.slots]

    def evidence(self, percept: Percept) -> Evidence:
        """What the last trial told."""
        low, high = self.pays
        if self.shows == "right":
            shown = percept.observation[:, 2 * self.slots :]
            wrong, right = (jnp.clip(p, EDGE, 1.0) for p in (low, 1.0 - low * (self.choices - 1)))
            nats = shown * (jnp.log(right) - jnp.log(wrong))
        else:
            low, high = (jnp.clip(p, EDGE, 1.0 - EDGE) for p in (low, high))
            won, lost = jnp.log(high) - jnp.log(low), jnp.log1p(-high) - jnp.log1p(-low)
            nats = jax.nn.one_hot(percept.action, self.choices) * jnp.where(percept.feedback > 0.5, won, lost)[:, None]
        return Evidence(percept.observation[:, self.slots : 2 * self.slots], nats)


def require_associations(family: Family) -> Associations:
    """The family, if it is of association tasks.

    Raises:
        MesascopeError: another family.
    """
    return require_family(family, Associations, "shows no cues with one right action each", "Take associations.")


def of_task(family: Family) -> tuple[int, int, str, jax.Array]:
    """What every scripted subject of association tasks is made with: K, S, what is shown, and the pay-offs.

    Raises:
        MesascopeError: another family.
    """
    task = require_associations(family)
    return task.choices, task.slots, task.shows, task.pays
