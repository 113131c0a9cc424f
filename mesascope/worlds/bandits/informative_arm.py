"""Shared code of the informative bandit's subjects, which decode the pay-off of the informative arm."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mesascope.contracts import ChoosingSubject, Family, Percept, choose, require_family
from mesascope.worlds.bandits.families.informative_bandit import HIGH, LOW, InformativeBandit

TARGET_THRESHOLD = (HIGH + LOW) / 2  # an arm that pays more than this is the target


class AskerCarry(NamedTuple):
    """The carry of an `Asker`; without doubts, only `named_arm` ever changes.

    Attributes:
        named_arm: [N] the arm that the pay-off of the informative arm named, -1 for none.
        paying_arm: [N] the last arm that paid more than `TARGET_THRESHOLD`, -1 for none.
        failed_arms: [N, K - 1] whether each arm has paid `TARGET_THRESHOLD` or less since the last pull of the
            informative arm.
    """

    named_arm: jax.Array
    paying_arm: jax.Array
    failed_arms: jax.Array


def require_informative_bandit(family: Family) -> InformativeBandit:
    """Returns the family if it has an informative arm.

    Raises:
        MesascopeError: the family has no informative arm.
    """
    return require_family(family, InformativeBandit, "has no informative arm", "Use --family informative_bandit.")


def decode_arm(feedback: jax.Array, may_be_target: jax.Array) -> jax.Array:
    """Decodes the arm [N] that the informative arm's pay-off names.

    If K - 1 arms may in principle be the target, the pay-off (i + 1) / (K - 1) names arm i. The result is the arm whose
    number (i + 1) / (K - 1) is nearest to the feedback [N], among the arms for which `may_be_target` [K - 1] is True.
    """
    number = (1.0 + jnp.arange(len(may_be_target))) / len(may_be_target)
    distance = jnp.abs(feedback[:, None] - number)
    return jnp.where(may_be_target, distance, jnp.inf).argmin(-1).astype(jnp.int32)


class Asker(ChoosingSubject):
    """Pulls the informative arm first, then the arm that its pay-off named; see `asker` for the settings.

    The fields `may_be_target` and `has_doubts` are arrays, so `asker` and `asking_locator` share compiled code.
    """

    may_be_target: jax.Array  # [K - 1] whether each arm may be the target
    has_doubts: jax.Array

    def initialize_carry(self, n: int) -> AskerCarry:
        """Makes the carry before any arm is named or pulled."""
        none = jnp.full(n, -1, jnp.int32)
        return AskerCarry(none, none, jnp.zeros((n, self.choices - 1), bool))

    def respond(self, key, carry: AskerCarry, percept: Percept):
        """Pulls the informative arm, then the named arm; with doubts, tries others if the named arm pays too little."""
        arms = jnp.arange(self.choices - 1)
        is_informative = percept.action == self.choices - 1
        has_pulled_other = (percept.action >= 0) & ~is_informative
        knowledge = self._update_knowledge(carry, percept, has_pulled_other & self.has_doubts)
        named = jnp.where(is_informative, decode_arm(percept.feedback, self.may_be_target), knowledge.named_arm)
        has_failed = knowledge.failed_arms & ~is_informative[:, None]
        mirrored_arm = self.choices - 2 - named
        has_named_failed = (has_failed & (arms == named[:, None])).any(-1)
        has_mirrored_failed = (has_failed & (arms == mirrored_arm[:, None])).any(-1)
        arm = jnp.where(has_named_failed, mirrored_arm, named)
        arm = jnp.where(knowledge.paying_arm >= 0, knowledge.paying_arm, arm)
        should_search = has_named_failed & has_mirrored_failed & (knowledge.paying_arm < 0)
        arm_probabilities = jax.nn.one_hot(jnp.where(named < 0, self.choices - 1, arm), self.choices)
        is_untried = jnp.concatenate([~has_failed, jnp.zeros((len(named), 1), bool)], -1).astype(jnp.float32)
        search_probabilities = is_untried / jnp.maximum(is_untried.sum(-1, keepdims=True), 1.0)
        probabilities = jnp.where((should_search & (named >= 0))[:, None], search_probabilities, arm_probabilities)
        return AskerCarry(named, knowledge.paying_arm, has_failed), choose(key, jnp.log(probabilities))

    def _update_knowledge(self, carry: AskerCarry, percept: Percept, has_pulled: jax.Array) -> AskerCarry:
        """Records whether the pulled arm paid more than `TARGET_THRESHOLD`.

        The carry is reset if the paying arm no longer pays as much, or if all arms have failed.
        """
        has_paid = has_pulled & (percept.feedback > TARGET_THRESHOLD)
        has_not_paid = has_pulled & ~has_paid
        pulled_arm = jax.nn.one_hot(percept.action, self.choices - 1, dtype=bool)
        has_failed = carry.failed_arms | (pulled_arm & has_not_paid[:, None])
        should_forget = (has_not_paid & (percept.action == carry.paying_arm)) | has_failed.all(-1)
        paying_arm = jnp.where(has_paid, percept.action, carry.paying_arm)
        named_arm, paying_arm = (jnp.where(should_forget, -1, arm) for arm in (carry.named_arm, paying_arm))
        return AskerCarry(named_arm, paying_arm, has_failed & ~should_forget[:, None])
