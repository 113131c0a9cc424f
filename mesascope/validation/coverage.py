"""Measures how often intervals of the main numbers cover the truth, in many studies of subjects with known answers."""

import contextlib
from typing import Any

import numpy as np
import xarray as xr

from mesascope import catalogue
from mesascope.agents.opening import open_subject
from mesascope.contracts import DoesNotApply
from mesascope.questions.spectrum.carried import Estimate, combine_benefit, measure_carry_effects, measure_span
from mesascope.questions.spectrum.ladder import Rule
from mesascope.questions.spectrum.parts import measure_bits
from mesascope.questions.spectrum.placement import list_conditions
from mesascope.rollouts.rollouts import rollout
from mesascope.stats import compute_intervals, draw_bootstrap_counts
from mesascope.trials import BLOCK_SIZE, find_reflex_window

STUDY_SIZES = (64, 256)  # lifetimes in a study
N_STUDIES = 2000  # of each size
POOL_SIZE = 8192  # lifetimes in one rollout
BANDIT, ASSOCIATIONS = "bernoulli_bandit:arms=5,trials=100", "associations"
SUBJECTS = {  # by subject: its family, and whether older trials add nothing to the worth of its actions
    "thompson": (BANDIT, False),
    "epsilon_greedy": (BANDIT, False),
    "two_loss_reflex": (BANDIT, True),
    "hash_commit": (BANDIT, True),
    "associator": (ASSOCIATIONS, False),
    "associator:lapse=0.5": (ASSOCIATIONS, False),
    "last_cues:window=4": (ASSOCIATIONS, True),
    "last_cues:window=6": (ASSOCIATIONS, False),
}


def measure_coverage(name: str, first_seed: int, n_studies: int = N_STUDIES) -> list[dict[str, Any]]:
    """Measures how often intervals cover the truth, for every main number of one subject and every size of study.

    The truth is the number computed from all lifetimes of all studies together.

    Returns:
        Rows with the name of the number (`study`), the lifetimes of a study (`n`), the number of `studies`, the
        `truth`, the share of studies whose interval covers the truth (`covered`), the share whose low end is `above`
        the truth, the mean `half_width`, and whether older trials are known to add nothing (`null`).
    """
    family = catalogue.make("families", SUBJECTS[name][0])
    subject = open_subject(name, family)
    # scripted subjects ignore whether a percept is marked as first, so one version of each condition is enough
    versions = {
        c.partition(",birth")[0]: c for c in list_conditions(family) if "exchanged" not in c and "swapped" not in c
    }
    conditions = [catalogue.make("conditions", c) for c in versions.values()]
    numbers_by_size: dict[int, list[dict[str, Estimate]]] = {n: [] for n in STUDY_SIZES}
    pooled_numbers = []
    for j in range(-(-n_studies * max(STUDY_SIZES) // POOL_SIZE)):
        seed = first_seed + j
        trials = rollout(
            subject,
            family,
            "fresh",
            POOL_SIZE,
            seed,
            conditions=conditions,
            should_keep_log_probs=False,
            blocks_per_call=16,
        )
        for n, numbers in numbers_by_size.items():
            numbers += [
                measure_estimates(trials.isel(lifetime=slice(i, i + n))) for i in range(0, POOL_SIZE - n + 1, n)
            ]
        pooled_numbers.append(measure_estimates(trials))
    rows = []
    for key in pooled_numbers[0]:
        truth = float(np.mean([numbers[key].estimate for numbers in pooled_numbers if key in numbers]))
        for n, numbers in numbers_by_size.items():
            _, low, high = np.reshape([found[key] for found in numbers[:n_studies] if key in found], (-1, 3)).T
            is_covered = (low <= truth) & (truth <= high)
            half_width = (high - low)[np.isfinite(high - low)].mean() / 2
            row = {"study": f"{key} of {name}", "n": n, "studies": len(low), "truth": truth}
            shares = {
                "covered": float(is_covered.mean()),
                "above": float((low > truth).mean()),
                "half_width": float(half_width),
            }
            rows.append(row | shares | {"null": SUBJECTS[name][1]})
    return rows


def measure_estimates(trials: xr.Dataset) -> dict[str, Estimate]:
    """The main numbers of one study, with their 95 % intervals."""
    assert trials.sizes["lifetime"] % BLOCK_SIZE == 0  # donors are in the block of their recipients
    window = find_reflex_window(trials.sizes["trial"], Rule().older_than)
    effects = measure_carry_effects(trials, window)
    estimates = {
        "deletion": _estimate_mean(effects.deletion),
        "transplant": _estimate_mean(effects.transplant),
        "benefit": combine_benefit(effects),
    }
    n = trials.sizes["lifetime"]
    span = measure_span(trials, draw_bootstrap_counts(n, 400, 0) / n, 1.0)
    if span and np.isfinite(span["span_half"]):
        estimates["span"] = Estimate(span["span_half"], span["span_half_low"], span["span_half_high"])
    if "parts" in trials.attrs:
        intact = trials.sel(condition="intact")
        for key, strict in (("bits", False), ("strict bits", True)):
            with contextlib.suppress(DoesNotApply):
                estimates[key] = _estimate_mean(measure_bits(intact, window, is_strict=strict))
    return estimates


def _estimate_mean(values: np.ndarray) -> Estimate:
    """The mean of values, with its interval."""
    return Estimate(*(float(x[0]) for x in compute_intervals(values[None])[:3]))
