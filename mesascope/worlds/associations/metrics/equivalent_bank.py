"""With how many stored tables would an ideal locator's actions contain as many bits about the task as the subject's?

An ideal locator of M random tables is simulated on the cues that the subject saw. On every trial it draws a table from
its posterior. Its bits rise with M, and the metric inverts this curve. The result, in bits, is log2 of the equivalent
number of tables. It is a size, not evidence that the subject stores tables: a subject that infers each cue's right
action on its own corresponds to more tables than the metric simulates.
"""

import numpy as np
import xarray as xr

from mesascope import catalogue
from mesascope.contracts import (
    DoesNotApply,
    Reading,
    define_metric,
    require_choices,
    select_condition,
    select_fresh_trials,
)
from mesascope.questions.spectrum.parts import measure_bits
from mesascope.stats import compute_standard_error
from mesascope.trials import find_reflex_window
from mesascope.worlds.associations.association_subject import MARGIN
from mesascope.worlds.associations.families.associations import Associations

MAX_LOG = 12  # log2 of the largest simulated number of tables
N_BANKS = (16, 12, 12, 8, 8, 6, 6, 4, 4, 3, 3, 2)  # the numbers of simulated banks of 2, 4, … 4,096 tables
MARGIN_OF_STOP = 4.0  # the simulation stops at a number of tables whose bits exceed the subject's by 4 standard errors


@define_metric(
    "With how many stored tables would an ideal locator show as many bits about the task as the subject?",
    expected_signs={"learner": "any", "lookalike": "any", "still": "0"},
)
def metric(trials, references, replay):
    """With how many stored tables would an ideal locator show as many bits about the task as the subject?"""
    data = require_choices(select_fresh_trials(trials))
    if catalogue.parse_spec(str(data.attrs["family"]))[0] != "associations" or "parts" not in data.attrs:
        raise DoesNotApply("an ideal locator can be simulated only for association tasks with independent cues")
    family, window = catalogue.make("families", data.attrs["family"]), find_reflex_window(data.sizes["trial"])
    intact = select_condition(trials, "intact")
    values = measure_bits(intact, window)
    bits, error = values.mean(), compute_standard_error(values)
    curve = simulate_curve(intact, family, window, bits + MARGIN_OF_STOP * error)
    if curve[-1].mean() < bits:
        most = f"{2 ** (len(curve) - 1):,}"
        raise DoesNotApply(f"even an ideal locator of {most} tables shows only {curve[-1].mean():.1f} bits")
    position, slope, spread = invert_curve(curve, bits)
    inflation = np.hypot(error, spread) / error if error > 0 else 1.0
    return [Reading(position + slope * inflation * (values - bits), label="log2 of the number of tables")]


def simulate_curve(trials: xr.Dataset, family: Associations, window: int, min_bits: float) -> list[np.ndarray]:
    """Simulates the bits of ideal locators of 1, 2, 4, … tables; returns an array over random banks for each number.

    Args:
        trials: the subject's trials on one split.
        family: the association tasks.
        window: w; a trial counts only if its cue did not occur in the w trials before it.
        min_bits: the simulation ends with the first number of tables whose bits exceed this, or with 2 ** `MAX_LOG`.
    """
    curve = [np.zeros(1)]
    for log, n_banks in enumerate(N_BANKS, 1):
        bits = [measure_bits(run_locator(trials, family, 2**log, seed), window).mean() for seed in range(n_banks)]
        curve.append(np.array(bits))
        if curve[-1].mean() > min_bits:
            break
    return curve


def run_locator(trials: xr.Dataset, family: Associations, table_count: int, seed: int) -> xr.Dataset:
    """Simulates an ideal locator of random tables on the cues of a subject's lifetimes.

    Args:
        trials: the subject's trials, with the latents `part` and `right` [N, T].
        family: the association tasks, whose feedback the locator sees.
        table_count: M, the number of tables, which are drawn independently of the tasks.
        seed: the seed of the tables and of the locator's draws.

    Returns:
        The locator's trials: the latents `part` (the cue) and `right` (the correct action) and its `action`,
        [N, T] each; its `log_probs` [N, T, K]; and, as the attribute `parts`, the number of cues.
    """
    rng = np.random.default_rng((seed, table_count))
    part, right = (trials[name].values.astype(int) for name in ("part", "right"))
    (lifetimes, length), choices, low_high = part.shape, family.choices, np.asarray(family.payoffs, float)
    bank = rng.integers(0, choices, (table_count, family.slots))
    fit, rows = np.zeros((lifetimes, table_count)), np.arange(lifetimes)
    probability, action = np.zeros((lifetimes, length, choices)), np.zeros((lifetimes, length), int)
    for t in range(length):
        weights = np.exp(fit - fit.max(1, keepdims=True))
        weights /= weights.sum(1, keepdims=True)
        answers = bank.T[part[:, t]]  # [N, M]
        for choice in range(choices):
            probability[:, t, choice] = (weights * (answers == choice)).sum(1)
        action[:, t] = (probability[:, t].cumsum(1) < rng.random((lifetimes, 1))).sum(1).clip(max=choices - 1)
        if family.outcome == "right":
            low = low_high[0]
            shows_wrong = rng.random(lifetimes) < low * (choices - 1)
            shown = np.where(shows_wrong, (right[:, t] + rng.integers(1, choices, lifetimes)) % choices, right[:, t])
            wrong, correct = np.clip([low, 1.0 - low * (choices - 1)], MARGIN, 1.0)
            fit += np.log(correct / wrong) * (answers == shown[:, None])
        else:
            is_paid = rng.random(lifetimes) < low_high[(action[:, t] == right[:, t]).astype(int)]
            low, high = np.clip(low_high, MARGIN, 1.0 - MARGIN)
            log_ratio = np.where(is_paid, np.log(high / low), np.log((1.0 - high) / (1.0 - low)))
            fit += log_ratio[:, None] * (answers == action[rows, t][:, None])
    log_probs = np.log(np.maximum(probability, 1e-300))
    variables = {"part": part, "right": right, "action": action}
    return xr.Dataset(
        {**{name: (("lifetime", "trial"), x) for name, x in variables.items()},
         "log_probs": (("lifetime", "trial", "choice"), log_probs)},
        attrs={"parts": trials.attrs["parts"]},
    )  # fmt: skip


def invert_curve(curve: list[np.ndarray], bits: float) -> tuple[float, float, float]:
    """Finds log2 of the number of tables whose ideal locator shows these bits.

    Args:
        curve: the simulated bits of ideal locators, in one array [banks] for 1 table, one for 2 tables, one for 4
            tables, and so on; the mean of the last array is at least `bits`.
        bits: the bits about the task that the subject's actions contain.

    Returns:
        log2 of the number of tables; the slope of this logarithm against bits; and the standard error, in bits, of
        what one bank of that size shows, because the subject's tables would be one such bank.
    """
    means = np.maximum.accumulate([x.mean() for x in curve])
    upper = max(int(np.searchsorted(means, bits)), 1)
    step = max(means[upper] - means[upper - 1], 1e-6)
    spread = max(float(x.std(ddof=1)) if len(x) > 1 else 0.0 for x in curve[upper - 1 : upper + 1])
    return upper - 1 + (bits - means[upper - 1]) / step, 1.0 / step, spread
