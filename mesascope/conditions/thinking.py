"""Lets the subject respond several times to one observation; only the last response counts.

The subject has time to think, but it observes nothing new. Only the percept of the first tick contains the last action
and outcome. Optionally, the first ticks show another lifetime's observation, so that the problem changes during the
ticks. Also optionally, the last tick uses another lifetime's carry, so that earlier ticks cannot help the subject.
"""

import jax.numpy as jnp
import numpy as np

from mesascope.contracts import AllowsPlanning, Condition, Family, Number, check_range, select, take_rows
from mesascope.keys import derive_key

CHECK_FAMILY = "tree_choice:depth=2,trials=12,bank=3"  # the family on which `mesascope check` tests this condition
MAX_TICKS = 128  # the maximum number of ticks for one observation


class Thinking(Condition):
    """Gives the subject several ticks for one observation; see `condition` for the settings."""

    ticks: Number
    other_ticks: Number
    is_scrambled: Number

    @property
    def label(self) -> str:
        """The label 'thinking:ticks=n', followed by the other settings that are not 0."""
        other_ticks = f",other_ticks={self.other_ticks}" if self.other_ticks else ""
        is_scrambled = f",is_scrambled={self.is_scrambled}" if self.is_scrambled else ""
        return f"thinking:ticks={self.ticks}{other_ticks}{is_scrambled}"

    @property
    def response_count(self) -> int:
        """The number of responses, one per tick."""
        return int(self.ticks)

    def explain_mismatch(self, family: Family) -> str | None:
        """Explains in a clause why a family without `AllowsPlanning` does not fit; returns None if the family fits."""
        return None if isinstance(family, AllowsPlanning) else "its tasks do not define which plans can be made"

    def apply(self, carry, percept, second_carry, context):
        """Runs all ticks except the last one, and returns the inputs of the last tick."""
        other_observation = take_rows(percept.observation, context.partners)

        def run_tick(i, carry):
            observation = select(i < self.other_ticks, other_observation, percept.observation)
            shown = percept._replace(observation=observation)
            return context.update_carry(
                derive_key(context.draw_key(), i), carry, select(i == 0, shown, _remove_outcome(shown))
            )

        carry = context.repeat(0, self.ticks - 1, run_tick, carry)
        carry = select(self.is_scrambled == 1, take_rows(carry, context.partners), carry)
        return carry, select(self.ticks > 1, _remove_outcome(percept), percept), second_carry


def _remove_outcome(percept):
    """Removes the last action, the feedback and the mark as first from a percept; all else is unchanged."""
    xp = np if isinstance(percept.feedback, np.ndarray) else jnp
    no_action = xp.full_like(percept.action, -1 if percept.action.dtype.kind == "i" else 0)
    no_feedback, not_first = xp.zeros_like(percept.feedback), xp.zeros_like(percept.first)
    return percept._replace(action=no_action, feedback=no_feedback, first=not_first)


def condition(ticks: int = 8, other_ticks: int = 0, is_scrambled: int = 0) -> Thinking:
    """The subject responds several times to every observation, and only the last response counts.

    Args:
        ticks: the number of responses to one observation, including the last one; at most 128.
        other_ticks: the number of ticks, from the first one on, that show another lifetime's observation.
        is_scrambled: 1 if the last tick uses another lifetime's carry, 0 if not.
    """
    check_range(1, MAX_TICKS, ticks=ticks)
    check_range(0, ticks - 1, other_ticks=other_ticks)
    check_range(0, 1, is_scrambled=is_scrambled)
    return Thinking(ticks, other_ticks, is_scrambled)
