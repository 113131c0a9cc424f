"""Measures how often intervals of the main numbers cover the truth, in many studies of subjects with known answers."""

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from scipy.special import stdtrit

from mesascope import catalogue
from mesascope.agents.opening import open_subject
from mesascope.contracts import Condition, DoesNotApply, Family, Subject
from mesascope.examination.bench import COMPARED_ROLES
from mesascope.questions.spectrum.carried import Estimate, compute_carried_benefit, measure_carry_effects, measure_span
from mesascope.questions.spectrum.ladder import Rule
from mesascope.questions.spectrum.parts import measure_bits
from mesascope.questions.spectrum.placement import list_conditions
from mesascope.questions.spectrum.reach import decide_flags
from mesascope.rollouts.rollouts import rollout
from mesascope.stats import compute_intervals, draw_bootstrap_counts
from mesascope.trials import BLOCK_SIZE, find_reflex_window

STUDY_SIZES = (64, 256)  # the numbers of lifetimes in a study
N_STUDIES = 2000  # the smallest number of studies of each size
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
POOLS_PER_UNIT = 10  # how many pools one unit of work measures


class Study(NamedTuple):
    """The main numbers of one study.

    Attributes:
        subject: the name of the subject, with its settings.
        n: the number of lifetimes.
        estimates: each number with the ends of its 95 % interval, by its name.
    """

    subject: str
    n: int
    estimates: Mapping[str, Sequence[float]]


def list_calls(first_seed: int, n_studies: int = N_STUDIES) -> list[tuple]:
    """Lists the function calls whose results together are at least `n_studies` studies of every size and subject.

    Calls for the first pools come first, so the results of an unfinished run treat subjects alike.
    """
    pools = -(-n_studies * max(STUDY_SIZES) // POOL_SIZE)
    starts = range(first_seed, first_seed + pools, POOLS_PER_UNIT)
    chunks = [list(range(i, min(i + POOLS_PER_UNIT, first_seed + pools))) for i in starts]
    return [
        call for c in chunks for call in ((run_retention_studies, c), *((run_studies, c, name) for name in SUBJECTS))
    ]


def run_studies(seeds: Sequence[int], name: str) -> list[Study]:
    """Runs studies of one subject: the main numbers for every size of study, with one pool of lifetimes per seed.

    The pools themselves are also studies, of POOL_SIZE lifetimes.
    """
    family = catalogue.make("families", SUBJECTS[name][0])
    subject = open_subject(name, family)
    # scripted subjects ignore whether a percept is marked as first, so one version of each condition is enough
    versions = {
        c.partition(",birth")[0]: c for c in list_conditions(family) if "exchanged" not in c and "swapped" not in c
    }
    conditions = [catalogue.make("conditions", c) for c in versions.values()]
    studies = []
    for seed in seeds:
        trials = _run_pool(subject, family, "fresh", seed, conditions)
        for n in (*STUDY_SIZES, POOL_SIZE):
            studies += [Study(name, n, measure_estimates(trials.isel(lifetime=rows))) for rows in _divide_pool(n)]
    return studies


def run_retention_studies(seeds: Sequence[int]) -> list[Study]:
    """Runs studies of the retention of all RETENTION_SUBJECTS, on RETENTION_SPLITS of the bandit.

    The studies of all subjects share the rollouts of the reference procedures. The ends of the interval are the
    retention plus and minus its standard error times the .975 quantile of Student's t.
    """
    family = catalogue.make("families", BANDIT)
    procedures = {role: family.references[role] for role in COMPARED_ROLES}
    subjects = {text: open_subject(text, family) for text in {*RETENTION_SUBJECTS, *procedures.values()}}
    candidates = [catalogue.make("conditions", label) for label in list_conditions(family)]
    conditions = [c for c in candidates if c.trials_since_transplant is not None and c.replicate_number == 0]
    conditions = [catalogue.make("conditions", "intact"), *conditions]
    studies = []
    for seed in seeds:
        trials = {
            text: {split: _run_pool(subject, family, split, seed, conditions) for split in ("fresh", *RETENTION_SPLITS)}
            for text, subject in subjects.items()
        }
        for n in (*STUDY_SIZES, POOL_SIZE):
            for rows in _divide_pool(n):
                by_subject = {
                    text: {split: t.isel(lifetime=rows) for split, t in by_split.items()}
                    for text, by_split in trials.items()
                }
                compared = {role: by_subject[text] for role, text in procedures.items()}
                for name in RETENTION_SUBJECTS:
                    reach = decide_flags(by_subject[name], compared, False, Rule())
                    estimates = {
                        f"retention on {split}": Estimate(kept, kept - half_width, kept + half_width)
                        for split, kept in reach.retention.items()
                        for half_width in [float(stdtrit(n - 1, 0.975)) * reach.standard_error[split]]
                    }
                    studies.append(Study(name, n, estimates))
    return studies


def _divide_pool(size: int) -> list[slice]:
    """Divides a pool into studies of `size` lifetimes."""
    return [slice(i, i + size) for i in range(0, POOL_SIZE - size + 1, size)]


def _run_pool(subject: Subject, family: Family, split: str, seed: int, conditions: Sequence[Condition]) -> xr.Dataset:
    """Runs a pool of lifetimes of a subject on one split."""
    options = {"should_keep_log_probs": False, "blocks_per_call": 16}
    return rollout(subject, family, split, POOL_SIZE, seed, conditions=conditions, **options)


def count_covered(studies: Iterable[Study]) -> list[dict[str, Any]]:
    """Counts how often intervals cover the truth, for every main number of each subject and every size of study.

    The truth is the number computed from all lifetimes of all pools together.

    Args:
        studies: the studies; those of POOL_SIZE lifetimes are the pools.

    Returns:
        Rows with the name of the number (`study`), the lifetimes of a study (`n`), the number of `studies`, the
        `truth`, the share of studies whose interval covers the truth (`covered`), the share whose low end is `above`
        the truth, the mean `half_width` of finite intervals, and whether older trials add nothing by construction
        (`null`).
    """
    intervals: dict[tuple[str, str], dict[int, list[Sequence[float]]]] = defaultdict(lambda: defaultdict(list))
    for study in studies:
        for key, interval in study.estimates.items():
            intervals[study.subject, key][study.n].append(interval)
    rows = []
    for (name, key), by_size in intervals.items():
        pools = [estimate for estimate, _, _ in by_size[POOL_SIZE]]
        truth = float(np.mean(pools)) if pools else float("nan")
        for n in STUDY_SIZES:
            if not by_size[n]:
                continue
            _, low, high = np.reshape(by_size[n], (-1, 3)).T
            half_width = (high - low)[np.isfinite(high - low)].mean() / 2
            row = {"study": f"{key} of {name}", "n": n, "studies": len(low), "truth": truth}
            shares = {
                "covered": float(((low <= truth) & (truth <= high)).mean()),
                "above": float((low > truth).mean()),
                "half_width": float(half_width),
            }
            is_null = name in SUBJECTS and SUBJECTS[name][1] and key != "span" and not key.startswith("retention")
            rows.append(row | shares | {"null": is_null})
    return rows


def measure_estimates(trials: xr.Dataset) -> dict[str, Estimate]:
    """Measures the main numbers of one study, with their 95 % intervals; numbers that do not apply are left out."""
    assert trials.sizes["lifetime"] % BLOCK_SIZE == 0  # donors are in the block of their recipients
    window = find_reflex_window(trials.sizes["trial"], Rule().older_than)
    effects = measure_carry_effects(trials, window)
    estimates = {
        "deletion": _estimate_mean(effects.deletion),
        "transplant": _estimate_mean(effects.transplant),
        "benefit": compute_carried_benefit(effects),
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
