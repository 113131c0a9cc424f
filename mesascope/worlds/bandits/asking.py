"""What the subjects of the informative bandit share: reading the number, and a carry that holds what it said."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mesascope.contracts.scripted import Choosing, Family, Percept, choose, require_family
from mesascope.worlds.bandits.families.informative_bandit import HIGH, LOW, InformativeBandit

ENOUGH = (HIGH + LOW) / 2  # an arm that pays more is taken for the target


class Knowledge(NamedTuple):
    """What an asker carries: the arm that the number named and the one that paid [N], -1 for none; tried [N, K - 1]."""

    said: jax.Array
    paid: jax.Array
    tried: jax.Array


def require_informative(family: Family) -> InformativeBandit:
    """The family, if it has an informative arm.

    Raises:
        MesascopeError: it has none.
    """
    return require_family(
        family, InformativeBandit, "has no informative arm to ask", "Take --family informative_bandit."
    )


def informed_arm(feedback: jax.Array, known: jax.Array) -> jax.Array:
    """[N] the arm among the known ones [K - 1] whose number is nearest to what the informative arm paid."""
    number = (1.0 + jnp.arange(len(known))) / len(known)
    away = jnp.abs(feedback[:, None] - number)
    return jnp.where(known, away, jnp.inf).argmin(-1).astype(jnp.int32)


class Asker(Choosing):
    """Asks first, holds what the number said and acts on it for good; see `asker` for the settings.

    All but K is data, so that askers and locators share compiled code.
    """

    known: jax.Array  # [K - 1] the arms that may be the target
    doubts: jax.Array

    def fresh(self, n: int) -> Knowledge:
        """Nothing was said, nothing tried."""
        none = jnp.full(n, -1, jnp.int32)
        return Knowledge(none, none, jnp.zeros((n, self.choices - 1), bool))

    def respond(self, key, carry: Knowledge, percept: Percept):
        """Reads the number where it asked; then the arm that it named, or as doubts have it."""
        arms = jnp.arange(self.choices - 1)
        asked = percept.action == self.choices - 1
        pulled = (percept.action >= 0) & ~asked
        held = self._doubt(carry, percept, pulled & self.doubts)
        said = jnp.where(asked, informed_arm(percept.feedback, self.known), held.said)
        tried = held.tried & ~asked[:, None]
        mirrored = self.choices - 2 - said
        was_tried = (tried & (arms == said[:, None])).any(-1)
        other_tried = (tried & (arms == mirrored[:, None])).any(-1)
        arm = jnp.where(was_tried, mirrored, said)
        arm = jnp.where(held.paid >= 0, held.paid, arm)
        lost = was_tried & other_tried & (held.paid < 0)
        one = jax.nn.one_hot(jnp.where(said < 0, self.choices - 1, arm), self.choices)
        rest = jnp.concatenate([~tried, jnp.zeros((len(said), 1), bool)], -1).astype(jnp.float32)
        search = rest / jnp.maximum(rest.sum(-1, keepdims=True), 1.0)
        probabilities = jnp.where((lost & (said >= 0))[:, None], search, one)
        return Knowledge(said, held.paid, tried), choose(key, jnp.log(probabilities))

    def _doubt(self, carry: Knowledge, percept: Percept, pulled: jax.Array) -> Knowledge:
        """Books whether the pulled arm paid; one that stopped paying, or a search in vain, makes it ask anew."""
        paid = pulled & (percept.feedback > ENOUGH)
        failed = pulled & ~paid
        this = jax.nn.one_hot(percept.action, self.choices - 1, dtype=bool)
        tried = carry.tried | (this & failed[:, None])
        anew = (failed & (percept.action == carry.paid)) | tried.all(-1)
        return Knowledge(
            jnp.where(anew, -1, carry.said),
            jnp.where(anew, -1, jnp.where(paid, percept.action, carry.paid)),
            tried & ~anew[:, None],
        )
