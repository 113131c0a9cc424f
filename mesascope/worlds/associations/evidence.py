"""Shared code of the association tasks' subjects, which infer the previous cue's right action from a percept."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mesascope.contracts.family import Family, require_family
from mesascope.contracts.percept import Percept
from mesascope.contracts.subject import Choosing
from mesascope.worlds.associations.families.associations import Associations

TRIED = "associations:cues=4,trials=12,bank=2"  # `mesascope check` tries the subjects on it
EDGE = 1e-4  # probabilities are kept at least this far from 0 and 1


class Evidence(NamedTuple):
    """The evidence from one trial.

    Attributes:
        cue: [N, S] the previous cue, one-hot; zeros before the first trial ends.
        nats: [N, K] the log-likelihood of the outcome if each action is the right one, up to a constant.
    """

    cue: jax.Array
    nats: jax.Array

    @property
    def table(self) -> jax.Array:
        """[N, S, K] The log-likelihoods in the row of the previous cue; zeros elsewhere."""
        return self.cue[..., None] * self.nats[:, None]


class Cued(Choosing):
    """A scripted subject of association tasks.

    Attributes:
        slots: S, the number of cues that the observation has room for.
        shows: what the subject observes after a trial: 'right' (the right action) or 'payoff'.
        pays: [2] the settings low and high of the family.
    """

    slots: int
    shows: str
    pays: jax.Array

    def present(self, percept: Percept) -> jax.Array:
        """[N, S] The current cue, one-hot."""
        return percept.observation[:, : self.slots]

    def evidence(self, percept: Percept) -> Evidence:
        """The evidence that the last trial gives about its cue's right action."""
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
    """Returns the family if it has association tasks.

    Raises:
        MesascopeError: the family does not have association tasks.
    """
    return require_family(family, Associations, "shows no cues with one right action each", "Take associations.")


def of_task(family: Family) -> tuple[int, int, str, jax.Array]:
    """The first arguments of every scripted subject of association tasks: K, S, `shows` and the pay-offs.

    Raises:
        MesascopeError: the family does not have association tasks.
    """
    task = require_associations(family)
    return task.choices, task.slots, task.shows, task.pays
