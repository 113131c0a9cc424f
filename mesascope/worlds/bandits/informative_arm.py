"""Shared code of the informative bandit's subjects, which decode the pay-off of the informative arm."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mesascope.contracts import Choosing, Family, Percept, choose, require_family
from mesascope.worlds.bandits.families.informative_bandit import HIGH, LOW, InformativeBandit

TARGET_THRESHOLD = (HIGH + LOW) / 2  # an arm that pays more than this is the target


class Knowledge(NamedTuple):
    """The carry of an `Asker`.

    Attributes:
        named_arm: [N] the arm that the pay-off of the informative arm named, -1 for none.
        paying_arm: [N] the arm that paid as much as the target, -1 for none.
        failed_arms: [N, K - 1] whether each arm paid less than the target since the last pull of the informative arm.
    """

    named_arm: jax.Array
    paying_arm: jax.Array
    failed_arms: jax.Array


def require_informative(family: Family) -> InformativeBandit:
    """Returns the family if it has an informative arm.

    Raises:
        MesascopeError: the family has no informative arm.
    """
    return require_family(family, InformativeBandit, "has no informative arm", "Use --family informative_bandit.")


def decode_arm(feedback: jax.Array, may_be_target: jax.Array) -> jax.Array:
    """The arm [N] that the informative arm's pay-off names: the possible target with the nearest code."""
    number = (1.0 + jnp.arange(len(may_be_target))) / len(may_be_target)
    distance = jnp.abs(feedback[:, None] - number)
    return jnp.where(may_be_target, distance, jnp.inf).argmin(-1).astype(jnp.int32)


class Asker(Choosing):
    """Pulls the informative arm first, then the arm that its pay-off named; see `asker` for the settings.

    All fields except the number of arms are arrays, so `asker` and `asking_locator` share compiled code.
    """

    may_be_target: jax.Array  # [K - 1] whether each arm may be the target
    has_doubts: jax.Array

    def fresh(self, n: int) -> Knowledge:
        """The carry before any arm was named or pulled."""
        none = jnp.full(n, -1, jnp.int32)
        return Knowledge(none, none, jnp.zeros((n, self.choices - 1), bool))

    def respond(self, key, carry: Knowledge, percept: Percept):
        """Pulls the informative arm, then the named arm; with doubts, tries others if the named arm does not pay."""
        arms = jnp.arange(self.choices - 1)
        informative = percept.action == self.choices - 1
        pulled_other = (percept.action >= 0) & ~informative
        knowledge = self._rule_out(carry, percept, pulled_other & self.has_doubts)
        named = jnp.where(informative, decode_arm(percept.feedback, self.may_be_target), knowledge.named_arm)
        failed = knowledge.failed_arms & ~informative[:, None]
        mirrored = self.choices - 2 - named
        named_failed = (failed & (arms == named[:, None])).any(-1)
        mirrored_failed = (failed & (arms == mirrored[:, None])).any(-1)
        arm = jnp.where(named_failed, mirrored, named)
        arm = jnp.where(knowledge.paying_arm >= 0, knowledge.paying_arm, arm)
        searches = named_failed & mirrored_failed & (knowledge.paying_arm < 0)
        chosen = jax.nn.one_hot(jnp.where(named < 0, self.choices - 1, arm), self.choices)
        untried = jnp.concatenate([~failed, jnp.zeros((len(named), 1), bool)], -1).astype(jnp.float32)
        search = untried / jnp.maximum(untried.sum(-1, keepdims=True), 1.0)
        probabilities = jnp.where((searches & (named >= 0))[:, None], search, chosen)
        return Knowledge(named, knowledge.paying_arm, failed), choose(key, jnp.log(probabilities))

    def _rule_out(self, carry: Knowledge, percept: Percept, pulled: jax.Array) -> Knowledge:
        """Records whether the pulled arm paid; forgets everything if a paying arm stopped or all arms failed."""
        paid = pulled & (percept.feedback > TARGET_THRESHOLD)
        not_paid = pulled & ~paid
        pulled_arm = jax.nn.one_hot(percept.action, self.choices - 1, dtype=bool)
        failed = carry.failed_arms | (pulled_arm & not_paid[:, None])
        forgets = (not_paid & (percept.action == carry.paying_arm)) | failed.all(-1)
        paying_arm = jnp.where(paid, percept.action, carry.paying_arm)
        named_arm, paying_arm = (jnp.where(forgets, -1, arm) for arm in (carry.named_arm, paying_arm))
        return Knowledge(named_arm, paying_arm, failed & ~forgets[:, None])
