"""Places a subject on the spectrum from 'just doing the task' to 'acquiring it', or says why that is undetermined.

The ladder has the rungs inert, reactive, tracking, locating and acquiring. A placement is an interval on it: `lowest`
is the highest rung whose own bar is passed, and `highest` is the lowest rung that few resamples exceed. From locating
on, the subject's acts must both need trials more than w back (deletion) and show the task that those trials told of
(transplant); see `mesascope.questions.spectrum.carried`. docs/spectrum.md explains the rule.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from mesascope.contracts import axis as axes
from mesascope.contracts.banks import parse_bank, parse_most
from mesascope.contracts.metric import DoesNotApply, Splits
from mesascope.errors import MesascopeError
from mesascope.questions.spectrum import first_rule
from mesascope.questions.spectrum.carried import (
    LIVES,
    Carried,
    bits_of_donor,
    carried_benefit,
    counted,
    life_curve,
    measure_carried,
    read_span,
    read_window,
    transplanted,
)
from mesascope.questions.spectrum.changes import measure_dependence
from mesascope.questions.spectrum.explanation import explain
from mesascope.questions.spectrum.ladder import LADDER, Placement, Rule
from mesascope.questions.spectrum.locating import Gains, Located, read_bank
from mesascope.questions.spectrum.parts import VIEWS, acquired_bits
from mesascope.questions.spectrum.reach import read_reach
from mesascope.stats import ratio, resampling, standard_error
from mesascope.trials import gain, reflex_window

__all__ = ["Placement", "Rule", "conditions", "place"]

UNCLEAR = len(LADDER)  # the level of a resample in which the bank cannot tell
TRACKING, LOCATING, ACQUIRING = (LADDER.index(x) for x in ("tracking", "locating", "acquiring"))


class Passed(NamedTuple):
    """Whether what is carried passes its bars.

    Attributes:
        all: whether deletion, transplant and strict transplant pass, with one sign.
        transplant: whether the transplant and the strict transplant pass.
        deletion: whether deletion passes.
        fits: the strict transplant's distance from its bar, in standard errors.
        sign: the sign of the benefit.
    """

    all: bool
    transplant: bool
    deletion: bool
    fits: float
    sign: float


def conditions(family: Any, rule: Rule | None = None) -> tuple[str, ...]:
    """The labels of the conditions that a placement needs on the fresh split of a family."""
    if not family.judges:
        return first_rule.conditions(family.horizon, rule)
    w = reflex_window(family.horizon, (rule or Rule()).older_than)
    labels = (
        "intact",
        *(f"past_deleted_once:of={v},birth={b}" for v in sorted({1, 2, 4, w}) if v <= w for b in (0, 1)),
        *(f"past_transplanted_once:of={w},replicate={r}" for r in (0, 1)),
        *(c for c in LIVES if read_window(c) < family.horizon),
        *(f"past_deleted:of={w},birth={b}" for b in (0, 1)),
        *(f"percept_exchanged_once:action={i}" for i in (0, 1)),
        *(["percept_swapped_once"] if family.shown != (0,) else []),
        *(f"carry_exchanged_once:fresh={i}" for i in (0, 1)),
    )
    return tuple(dict.fromkeys(labels))


def place(
    trials: Splits, references: Mapping[str, Splits], trained_on: str = "unknown", rule: Rule | None = None
) -> Placement:
    """Places a subject on the spectrum.

    Args:
        trials: the subject's data set for each split; 'fresh' needs the conditions that `conditions` names.
        references: the references' data sets on the same tasks, by role ('learner', 'discounting', 'locator'); for a
            subject that goes against the pay-off also 'learner against' and 'locator against', if they were run.
        trained_on: 'unlimited', 'bank:M@seed', 'at-most:M' or 'unknown'.
        rule: the constants of the rule.

    Raises:
        MesascopeError: the fresh split or one of its conditions is missing.
    """
    rule = rule or Rule()
    fresh = require_fresh(trials)
    if "transplant" not in fresh.coords and any(str(c).startswith("feedback_shuffled") for c in fresh.condition.values):
        return _place_by_first_rule(trials, references, trained_on, rule)
    window = reflex_window(fresh.sizes["trial"], rule.older_than)
    try:
        carried, early = measure_carried(fresh, window), _measure_early(fresh, window)
        percept, carry = measure_dependence(fresh)
    except DoesNotApply as lacking:
        raise MesascopeError(
            f"Placement cannot be made: {lacking}.", "Run examine with its default conditions."
        ) from None
    passed = _test(carried, rule)
    gave_up = not passed.all and early is not None and _test(early, rule).all
    if gave_up and early is not None:
        carried, passed = early, _test(early, rule)
    against = passed.all and passed.sign < 0
    n = fresh.sizes["lifetime"]
    weights = {split: resampling(n, rule.resamples, rule.seed + i) / n for i, split in enumerate(sorted(trials))}
    numbers = _collect(carried, passed, fresh, window, gave_up)
    numbers |= {
        "dependence_on_percept": float(max(p.mean() for p in percept)),
        "dependence_on_carry": float(max(c.mean() for c in carry)),
    }
    numbers |= read_span(fresh, weights["fresh"], passed.sign if passed.all else 1.0)
    located = _locate(trials, references, trained_on, rule, weights, against, window, numbers)
    doubt = _doubt(located, rule) if passed.all else ""
    if doubt:
        located = located._replace(obstacle=f"the label of its bank is doubtful: {doubt}")

    benefit = _resample(carried, weights["fresh"], rule)
    below = _resample_below(fresh, percept, carry, weights["fresh"], rule)
    above = np.full(len(below), ACQUIRING if located.obstacle is None else UNCLEAR)
    if located.locating is not None and located.obstacle is None:
        above = np.where(located.locating == 1, LOCATING, np.where(located.locating == 0, ACQUIRING, UNCLEAR))
    level = np.where(np.abs(benefit) >= rule.smallest_benefit, above, below)
    if not passed.all and passed.fits <= rule.strict_errors:
        level = below  # its acts may only show whether the past fits
    lowest, highest = _find_ends(level, below, passed, located, rule)
    if not passed.all and _is_held_in_acts(carried, passed, rule):
        highest = ACQUIRING  # what older trials told may lie in its own last acts
    other = not passed.all and _pursues_other_goal(fresh, window, rule, numbers)
    if other:
        lowest = max(lowest, ACQUIRING if trained_on == "unlimited" else LOCATING)
        highest = ACQUIRING
    reach = read_reach(trials, references, against, rule) if passed.all else None
    if reach is not None:
        numbers |= {"retention": reach.retention, "retention_error": reach.error}
    flags = reach.flags if reach is not None and lowest == ACQUIRING else {}
    direction = "other" if other else "none" if not passed.all else "against" if against else "for"
    probability = {rung: float((level == i).mean()) for i, rung in enumerate(LADDER)}
    probability["undetermined"] = float((level == UNCLEAR).mean())
    return Placement(
        level=LADDER[lowest] if lowest == highest else "undetermined",
        lowest=LADDER[lowest],
        highest=LADDER[highest],
        direction=direction,
        probability=probability,
        numbers=numbers,
        reason=explain(
            lowest,
            highest,
            numbers,
            passed=passed,
            located=located,
            flags=flags,
            trained_on=trained_on,
            direction=direction,
            rule=rule,
        ),
        axes=axes.read(trials),
        rule=rule,
        flags=flags,
        span=_describe_span(numbers) if lowest >= TRACKING else "",
    )


def require_fresh(trials: Splits) -> xr.Dataset:
    """Returns the trials on fresh tasks.

    Raises:
        MesascopeError: they were not run, are too few, or nothing can be gained there.
    """
    if "fresh" not in trials:
        raise MesascopeError(
            f"Placement needs the fresh split; there are {', '.join(trials)}.", "Add 'fresh' to --splits."
        )
    fresh = trials["fresh"]
    if fresh.sizes["lifetime"] < 3:
        raise MesascopeError(
            f"{fresh.sizes['lifetime']} lifetimes are too few to resample.", "Give --lifetimes 64 or more."
        )
    if gain(fresh)[1].sum() <= 0:
        raise MesascopeError(
            "On the fresh split the best act pays no more than chance.", "There is nothing to gain there."
        )
    return fresh


def _place_by_first_rule(trials: Splits, references: Mapping[str, Splits], trained_on: str, rule: Rule) -> Placement:
    """A placement by the first rule, without its rung 'general'."""
    first = first_rule.place_by_benefit(trials, references, trained_on, rule)
    ends = {end: getattr(first, end).replace("general", "acquiring") for end in ("lowest", "highest")}
    shares = dict(first.probability)
    shares["acquiring"] += shares.pop("general")
    level = ends["lowest"] if ends["lowest"] == ends["highest"] else "undetermined"
    return dataclasses.replace(first, level=level, probability=shares, **ends)


def _measure_early(fresh: xr.Dataset, window: int) -> Carried | None:
    """What is carried in the first half of a lifetime; None if nothing can be gained there."""
    try:
        return measure_carried(fresh, window, early=True)
    except DoesNotApply:
        return None


def _exceeds(estimate: float, error: float, sign: float, rule: Rule) -> bool:
    """Whether a number of this sign exceeds the smallest benefit."""
    return bool(sign * estimate - rule.smallest_benefit > rule.errors * error)


def _test(carried: Carried, rule: Rule) -> Passed:
    """Compares what is carried with the bars."""
    deletion, transplant = carried.deletion.mean(), carried.transplant.mean()
    sign = float(np.sign(transplant))
    fits = max(
        (sign * x.mean() - rule.smallest_strict) / max(standard_error(x), 1e-9) if len(x) else -np.inf
        for x in carried.strict
    )
    shown = _exceeds(transplant, standard_error(carried.transplant), sign, rule)
    needed = _exceeds(deletion, standard_error(carried.deletion), float(np.sign(deletion)), rule)
    informed = shown and fits > rule.strict_errors
    return Passed(informed and needed and deletion * transplant > 0, informed, needed, fits, sign)


def _is_held_in_acts(carried: Carried, passed: Passed, rule: Rule) -> bool:
    """Whether lives that forget older trials lose by it, and acts show a donor's task: both more than nothing."""
    numbers = (carried.life, carried.transplant)
    if passed.fits <= rule.strict_errors or any(x is None for x in numbers):
        return False
    return all(passed.sign * x.mean() > rule.errors * standard_error(x) for x in numbers if x is not None)


def _collect(carried: Carried, passed: Passed, fresh: xr.Dataset, window: int, gave_up: bool) -> dict[str, Any]:
    """The numbers of what is carried, with standard errors."""
    deletion, transplant = float(carried.deletion.mean()), float(carried.transplant.mean())
    benefit = carried_benefit(carried)
    smaller = carried.deletion if abs(deletion) < abs(transplant) else carried.transplant
    numbers: dict[str, Any] = {
        "lifetimes": fresh.sizes["lifetime"],
        "window": window,
        "benefit": benefit.estimate,
        "benefit_low": benefit.low,
        "benefit_high": benefit.high,
        "benefit_error": standard_error(smaller),
        "deletion": deletion,
        "deletion_error": standard_error(carried.deletion),
        "transplant": transplant,
        "transplant_error": standard_error(carried.transplant),
        "strict": float(carried.strict[0].mean()) if len(carried.strict[0]) else 0.0,
        "strict_errors": float(passed.fits),
        "gain_fresh": float(ratio(*gain(fresh)).mean()),
        "gave_up": bool(gave_up),
    }
    if carried.life is not None:
        numbers |= {"life": float(carried.life.mean()), "life_error": standard_error(carried.life)}
    if "part" in fresh:
        old = ratio(*gain(fresh, "intact", counted(fresh, window)))
        numbers |= {"gain_old": float(old.mean()), "gain_old_error": standard_error(old)}
    if "part" in fresh and "parts" in fresh.attrs and "right" in fresh:
        intact = fresh.sel(condition="intact")
        for name, strict in (("bits", False), ("strict_bits", True)):
            values = acquired_bits(intact, window, strict=strict)
            numbers |= {name: float(values.mean()), f"{name}_error": standard_error(values)}
    return numbers


def _resample(carried: Carried, weights: np.ndarray, rule: Rule) -> np.ndarray:
    """[resamples] The benefit: the smaller of deletion and transplant, 0 where their signs differ."""
    donors = len(carried.transplant)
    deletion = weights @ carried.deletion
    transplant = resampling(donors, rule.resamples, rule.seed + 50) @ carried.transplant / donors
    smaller = np.sign(deletion) * np.minimum(np.abs(deletion), np.abs(transplant))
    return np.where(deletion * transplant > 0, smaller, 0.0)


def _resample_below(fresh, percept, carry, weights, rule: Rule) -> np.ndarray:
    """[resamples] The rung below locating: what changes choices, and whether the carry changes the score of a life."""
    by_percept, by_carry = (np.max([weights @ x for x in found], 0) for found in (percept, carry))
    curve = life_curve(fresh)
    reset = np.abs(weights @ (curve[0] - curve[1])) if 1 in curve else np.zeros(len(weights))
    tracks = (by_carry >= rule.smallest_change) | (reset >= rule.smallest_benefit)
    return np.where(tracks, TRACKING, np.where(by_percept >= rule.smallest_change, 1, 0))


def _find_ends(level, below, passed: Passed, located: Located, rule: Rule) -> tuple[int, int]:
    """The lowest and the highest rung."""
    if passed.all:
        decided = located.obstacle is None
        acquires = located.locating is None or (located.locating == 0).mean() >= rule.share
        lowest = ACQUIRING if decided and acquires else LOCATING
    else:
        lowest = max(i for i in range(LOCATING) if (below >= i).mean() >= rule.share)
    highest = min((i for i in range(ACQUIRING) if (level > i).mean() <= 1 - rule.share + 1e-9), default=ACQUIRING)
    return lowest, max(highest, lowest)


def _locate(trials, references, trained_on, rule: Rule, weights, against, window, numbers) -> Located:
    """Whether picking among training tasks explains what the subject acquires."""
    if trained_on == "unlimited":
        return Located(None, None)
    least = numbers.get("strict_bits", 0.0) - rule.errors * numbers.get("strict_bits_error", 0.0)
    bank = trained_on.startswith("bank:")
    size, resamples = parse_bank(trained_on)[0] if bank else parse_most(trained_on), len(next(iter(weights.values())))
    if size and least > np.log2(size):
        return Located(np.zeros(resamples), None)  # more than any holder of so many tasks can show
    if bank:
        return read_bank(Gains(trials, references, against, weights, older=window), trained_on, rule, numbers)
    if size:
        return Located(
            None, f"its acts show {max(0.0, least):.1f} bits or more, and one of {size} tasks has {np.log2(size):.1f}"
        )
    beyond = [split for split, here in trials.items() if here.attrs.get("inexpressible")]
    if beyond and all(_gains_there(trials[split], rule) for split in beyond):
        return Located(np.zeros(resamples), None)
    return Located(None, "its training tasks are unknown (say them with --trained-on)")


def _gains_there(here: xr.Dataset, rule: Rule) -> bool:
    """Whether a subject gains on a split, and its acts show a donor's task there."""
    gained = ratio(*gain(here))
    try:
        window = reflex_window(here.sizes["trial"], rule.older_than)
        shown = transplanted(here, counted(here, window), window)
    except DoesNotApply:
        return False
    return all(_exceeds(x.mean(), standard_error(x), 1.0, rule) for x in (gained, shown))


def _doubt(located: Located, rule: Rule) -> str:
    """Why the label of the bank is doubtful; '' if it is not."""
    if located.position is None or located.seen is None or (located.position < rule.cut).mean() >= rule.share:
        return ""  # a locator is a locator, however far below the ideal one
    if (located.seen < rule.short_of_locator).mean() >= rule.share:
        return f"on its tasks the subject gains {located.seen.mean():.2f} of what the ideal locator does"
    if (located.position > rule.beyond_learner).mean() >= rule.share:
        return f"its position, {located.position.mean():.2f}, is beyond any learner"
    return ""


def _pursues_other_goal(fresh: xr.Dataset, window: int, rule: Rule, numbers: dict[str, Any]) -> bool:
    """Whether its acts show the task without going for its pay-off."""
    shown, error = numbers["transplant"], numbers["transplant_error"]
    if numbers["strict_errors"] > rule.strict_errors and abs(shown) > rule.smallest_strict + rule.errors * error:
        return False  # they go for the pay-off
    if "bits" in numbers:
        choices, parts = int(fresh.right.max()) + 1, int(fresh.attrs["parts"])
        rows = [acquired_bits(fresh.sel(condition="intact"), window, view=view) for view in VIEWS]
        bits, bar = max(rows, key=np.mean), parts * np.log2(choices / (choices - 1))
    else:
        try:
            rows = [row for each in (False, True) for row in bits_of_donor(fresh, counted(fresh, window), window, each)]
            bits, bar = max(rows, key=np.mean), rule.smallest_bits
        except DoesNotApply:
            return False
    numbers |= {"bits_shown": float(bits.mean()), "bits_shown_error": standard_error(bits), "bits_bar": float(bar)}
    return bool(bits.mean() - bar > rule.errors * standard_error(bits))


def _describe_span(numbers: Mapping[str, Any]) -> str:
    """How many of its last trials give 95 % of its gain, in words; '' if that was not measured."""
    if "span_most" not in numbers:
        return ""
    most = numbers["span_most"]
    if not np.isfinite(most):
        return f"from more than its last {numbers['longest_span']} trials"
    return f"from its last {max(1, int(np.ceil(most)))} trials"
