"""Caches the values of first choices by SARSA(λ) or Q(λ); announcements change these values only through experience."""

from mesascope.contracts import Family, keep_settings
from mesascope.worlds.two_step.mixture import REAL_RANGE, UNIT_RANGE, Mixture, make_mixture


@keep_settings(rate=UNIT_RANGE, decay=UNIT_RANGE, beta=REAL_RANGE, stay_bonus=REAL_RANGE, initial_value=REAL_RANGE)
def subject(
    family: Family,
    *,
    rate: float = 0.5,
    decay: float = 1.0,
    beta: float = 5.0,
    stay_bonus: float = 0.0,
    initial_value: float = 0.5,
    greedy: bool = False,
) -> Mixture:
    """Caches the values of first choices: SARSA(λ), or Q-learning if greedy.

    Args:
        family: the two-step task.
        rate: the learning rate of all values.
        decay: λ, the part of the prediction error of the second stage that also updates the first choice's value; 1
            gives the Rescorla-Wagner rule for the first choices.
        beta: the inverse temperature of the softmax over values.
        stay_bonus: a bonus on the value of repeating the first choice of the last trial.
        initial_value: the initial value of every first choice and option.
        greedy: whether to learn from the better option of a state, not from the chosen one.
    """
    return make_mixture(
        family,
        weight=0.0,
        is_greedy=greedy,
        rate=rate,
        decay=decay,
        beta=beta,
        stay_bonus=stay_bonus,
        initial_value=initial_value,
    )
