"""Measures how often intervals of the main numbers cover the truth, in many studies of subjects with known answers."""

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from mesascope import catalogue
from mesascope.agents.opening import open_subject
from mesascope.contracts import Condition, DoesNotApply, Family, Subject
from mesascope.examination.bench import COMPARED_ROLES
from mesascope.questions.spectrum.carried import Estimate, combine_benefit, measure_carry_effects, measure_span
from mesascope.questions.spectrum.ladder import Rule
from mesascope.questions.spectrum.parts import measure_bits
from mesascope.questions.spectrum.placement import list_conditions
from mesascope.questions.spectrum.reach import decide_flags
from mesascope.rollouts.rollouts import rollout
from mesascope.stats import compute_intervals, draw_bootstrap_counts
from mesascope.trials import BLOCK_SIZE, find_reflex_window

STUDY_SIZES = (64, 256)  # the numbers of lifetimes in a study
N_STUDIES = 2000  # the number of studies of each size
POOL_SIZE = 2048  # the number of lifetimes in one rollout, which is divided into studies
BANDIT, ASSOCIATIONS = "bernoulli_bandit:arms=5,trials=100", "associations"
SUBJECTS = {  # for each subject: its family, and whether older trials add nothing to the worth of its actions
    "thompson": (BANDIT, False),
    "epsilon_greedy": (BANDIT, False),
    "two_loss_reflex": (BANDIT, True),
    "hash_commit": (BANDIT, True),
    "associator": (ASSOCIATIONS, False),
    "associator:lapse=0.5": (ASSOCIATIONS, False),
    "last_cues:window=4": (ASSOCIATIONS, True),
    "last_cues:window=6": (ASSOCIATIONS, False),
}

RETENTION_SUBJECTS = ("epsilon_greedy", "ucb1", "windowed:window=10", "gittins:discount=0.98")
RETENTION_SPLITS = ("shifted:low", "exchanged:reversal")
EstimatesBySize = dict[int, list[dict[str, Estimate]]]


def measure_coverage(name: str, first_seed: int, n_studies: int = N_STUDIES) -> list[dict[str, Any]]:
    """Measures how often intervals cover the truth, for every main number of one subject and every size of study.

    The truth is the number computed from all lifetimes of all studies together.

    Args:
        name: a subject in SUBJECTS.
        first_seed: the first seed of the rollouts.
        n_studies: the number of studies of each size.

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
    estimates: EstimatesBySize = {n: [] for n in (*STUDY_SIZES, POOL_SIZE)}
    for seed in _list_pool_seeds(first_seed, n_studies):
        trials = _run_pool(subject, family, "fresh", seed, conditions)
        for n, found in estimates.items():
            found += [measure_estimates(trials.isel(lifetime=rows)) for rows in _divide_pool(n)]
    return _count_covered(estimates, name, SUBJECTS[name][1], n_studies)


def measure_retention_coverage(name: str, first_seed: int, n_studies: int = N_STUDIES) -> list[dict[str, Any]]:
    """Measures how often the interval of a subject's retention covers the truth, on RETENTION_SPLITS of the bandit.

    The interval is the retention ± 1.96 standard errors. Returns rows like those of `measure_coverage`.
    """
    family = catalogue.make("families", BANDIT)
    procedures = {role: family.references[role] for role in COMPARED_ROLES}
    subjects = {role: open_subject(text, family) for role, text in {"own": name, **procedures}.items()}
    candidates = [catalogue.make("conditions", label) for label in list_conditions(family)]
    conditions = [c for c in candidates if c.trials_since_transplant is not None and c.replicate_number == 0]
    estimates: EstimatesBySize = {n: [] for n in (*STUDY_SIZES, POOL_SIZE)}
    for seed in _list_pool_seeds(first_seed, n_studies):
        trials = {
            role: {
                split: _run_pool(subject, family, split, seed, [catalogue.make("conditions", "intact"), *conditions])
                for split in ("fresh", *RETENTION_SPLITS)
            }
            for role, subject in subjects.items()
        }
        for n, found in estimates.items():
            for rows in _divide_pool(n):
                own, *compared = (
                    {split: t.isel(lifetime=rows) for split, t in by_split.items()} for by_split in trials.values()
                )
                reach = decide_flags(own, dict(zip(COMPARED_ROLES, compared, strict=True)), False, Rule())
                found.append(
                    {
                        f"retention on {split}": Estimate(kept, kept - 1.96 * error, kept + 1.96 * error)
                        for split, kept in reach.retention.items()
                        for error in [reach.standard_error[split]]
                    }
                )
    return _count_covered(estimates, name, False, n_studies)


def _list_pool_seeds(first_seed: int, n_studies: int) -> range:
    """Lists the seeds of as many pools of lifetimes as the studies need."""
    return range(first_seed, first_seed - (-n_studies * max(STUDY_SIZES) // POOL_SIZE))


def _divide_pool(size: int) -> list[slice]:
    """Divides a pool into studies of `size` lifetimes."""
    return [slice(i, i + size) for i in range(0, POOL_SIZE - size + 1, size)]


def _run_pool(subject: Subject, family: Family, split: str, seed: int, conditions: Sequence[Condition]) -> xr.Dataset:
    """Runs a pool of lifetimes of a subject on one split."""
    options = {"should_keep_log_probs": False, "blocks_per_call": 16}
    return rollout(subject, family, split, POOL_SIZE, seed, conditions=conditions, **options)


def _count_covered(estimates: EstimatesBySize, name: str, is_null: bool, n_studies: int) -> list[dict[str, Any]]:
    """Makes the rows of `measure_coverage` from estimates by the size of a study; the largest size is a pool's."""
    rows = []
    *sizes, pool_size = sorted(estimates)
    for key in estimates[pool_size][0]:
        truth = float(np.mean([found[key].estimate for found in estimates[pool_size] if key in found]))
        for n in sizes:
            _, low, high = np.reshape([found[key] for found in estimates[n][:n_studies] if key in found], (-1, 3)).T
            is_covered = (low <= truth) & (truth <= high)
            half_width = (high - low)[np.isfinite(high - low)].mean() / 2
            row = {"study": f"{key} of {name}", "n": n, "studies": len(low), "truth": truth}
            shares = {
                "covered": float(is_covered.mean()),
                "above": float((low > truth).mean()),
                "half_width": float(half_width),
            }
            rows.append(row | shares | {"null": is_null})
    return rows


def measure_estimates(trials: xr.Dataset) -> dict[str, Estimate]:
    """Measures the main numbers of one study, with their 95 % intervals."""
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
    """Computes the mean of values, with its interval."""
    return Estimate(*(float(x[0]) for x in compute_intervals(values[None])[:3]))
