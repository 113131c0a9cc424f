"""The first placement rule, by the benefit of older feedback: for studies that were committed with it.

It is also the rule for families whose trials have several steps. Its benefit is what the score loses when feedback
older than a few trials comes from other lifetimes. That loss can be harm: a subject may answer a past that it could not
have lived with worse choices. `mesascope.questions.spectrum.placement` has the rule that replaced it.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mesascope.contracts import axis as axes
from mesascope.contracts.metric import DoesNotApply, Splits, gains
from mesascope.errors import MesascopeError
from mesascope.questions.spectrum.changes import measure_dependence
from mesascope.questions.spectrum.inexpressible import read_beyond_banks
from mesascope.questions.spectrum.ladder import FIRST_LADDER, Placement, Rule
from mesascope.questions.spectrum.locating import Gains, read_bank
from mesascope.stats import ratio, resampling, standard_error
from mesascope.trials import gain, reflex_window

UNCLEAR = len(FIRST_LADDER)  # the level of a resample in which the bank cannot tell
REPLICATES = 4  # of the run with shuffled feedback; a single replicate has nearly twice the error
KINDS = ("shifted", "exchanged", "restructured")
WORDS = {
    "inert": "neither its percept nor its carry was seen to change {change:.0%} of its choices",
    "reactive": "it answers its present percept; its carry was not seen to change {change:.0%} of its choices",
    "tracking": "its carry changes what it does; that feedback older than a few trials changes its score by {bar:.0%} "
    "of what could be gained was not shown",
    "locating": "older feedback matters, as far as picking among the training tasks explains",
    "acquiring": "fresh tasks of the family are acquired as well as those of its bank, each beside its reference",
    "general": "changed splits are acquired too: of every kind one at least keeps half of the efficiency on fresh "
    "tasks",
}
UNBANKED = "fresh tasks of the family are acquired, and it had no bank of tasks to locate them in"
BEYOND = "tasks are acquired that no bank of training tasks could hold"
OPEN = {
    "inert": "whether its percept or its carry changes {change:.0%} of its choices is open",
    "reactive": "it answers its percept; whether its carry adds to that is open",
    "tracking": "its carry matters; whether feedback older than a few trials does is open",
    "locating": "older feedback matters; whether more than picking among training tasks explains that is open",
}


def conditions(horizon: int, rule: Rule | None = None) -> tuple[str, ...]:
    """The labels of the conditions that this rule needs on the fresh split, for lifetimes of `horizon` trials."""
    older = reflex_window(horizon, (rule or Rule()).older_than)
    return (
        "intact",
        *(f"feedback_shuffled:older_than={older},replicate={r}" for r in range(REPLICATES)),
        *(f"percept_exchanged_once:action={i}" for i in (0, 1)),
        *(f"carry_exchanged_once:fresh={i}" for i in (0, 1)),
    )


def place_by_benefit(
    trials: Splits, references: Mapping[str, Splits], trained_on: str = "unknown", rule: Rule | None = None
) -> Placement:
    """Places a subject on the spectrum.

    Args:
        trials: the subject's data set for each split; 'fresh' needs the conditions of the benefit and dependence
            metrics.
        references: the references' data sets on the same tasks, by role ('learner', 'discounting', 'locator'); for a
            subject that goes against the pay-off also 'learner against' and 'locator against', if they were run.
        trained_on: 'unlimited', 'bank:M@seed' or 'unknown'.
        rule: the constants of the rule.

    Raises:
        MesascopeError: the fresh split or one of its conditions is missing.
    """
    rule = rule or Rule()
    if "fresh" not in trials:
        raise MesascopeError(
            f"Placement needs the fresh split; there are {', '.join(trials)}.", "Add 'fresh' to --splits."
        )
    fresh = trials["fresh"]
    n = fresh.sizes["lifetime"]
    if n < 3:
        raise MesascopeError(f"{n} lifetimes are too few to resample.", "Give --lifetimes 64 or more.")
    weights = {split: resampling(n, rule.resamples, rule.seed + i) / n for i, split in enumerate(sorted(trials))}
    if gain(fresh)[1].sum() <= 0:
        raise MesascopeError(
            "On the fresh split the best act pays no more than chance.", "There is nothing to gain there."
        )
    try:
        older = reflex_window(fresh.sizes["trial"], rule.older_than)
        values = ratio(*gain(fresh)) - ratio(*gains(fresh, f"feedback_shuffled:older_than={older}"))
        percept, carry = measure_dependence(fresh)
    except DoesNotApply as lacking:
        raise MesascopeError(
            f"Placement cannot be made: {lacking}.", "Run examine with its default conditions."
        ) from None
    benefit, error = float(values.mean()), standard_error(values)
    resampled = weights["fresh"] @ values
    against = benefit < 0
    by_percept = np.max([weights["fresh"] @ p for p in percept], 0)
    by_carry = np.max([weights["fresh"] @ c for c in carry], 0)
    below = np.where(by_carry >= rule.smallest_change, 2, np.where(by_percept >= rule.smallest_change, 1, 0))
    passed = abs(benefit) - rule.smallest_benefit > rule.errors * error
    numbers: dict[str, Any] = {
        "benefit": benefit,
        "benefit_error": error,
        "dependence_on_percept": float(max(p.mean() for p in percept)),
        "dependence_on_carry": float(max(c.mean() for c in carry)),
        "gain_fresh": float(ratio(*gain(fresh)).mean()),
        "lifetimes": n,
    }
    gained = Gains(trials, references, against and passed, weights)
    locating = obstacle = None
    if trained_on == "unknown":
        locating, obstacle, by_split = read_beyond_banks(trials, weights, gained.against, rule)
        numbers |= {"inexpressible": by_split} if by_split else {}
    elif trained_on != "unlimited":
        locating, obstacle, *_ = read_bank(gained, trained_on, rule, numbers)
    retained, missing = _test_retention(gained, rule, numbers)
    reach = np.where(retained, 5, 4)
    if locating is None:
        above = reach if obstacle is None else np.full(len(reach), UNCLEAR)
    else:
        above = np.where(locating == 1, 3, np.where(locating == 0, reach, UNCLEAR))
    level = np.where(np.abs(resampled) >= rule.smallest_benefit, above, below)
    probability = {rung: float((level == i).mean()) for i, rung in enumerate(FIRST_LADDER)}
    probability["undetermined"] = float((level == UNCLEAR).mean())

    if passed:
        lowest = 3
        if obstacle is None and (locating is None or (locating == 0).mean() >= rule.share):
            lowest = 5 if not missing and (level == 5).mean() >= rule.share else 4
    else:
        lowest = max(i for i in range(3) if (np.minimum(below, 2) >= i).mean() >= rule.share)
    top = len(FIRST_LADDER) - 1
    highest = min((i for i in range(top) if (level > i).mean() <= 1 - rule.share + 1e-9), default=top)
    if passed and obstacle is not None:  # the bank is unknown or cannot tell, so higher rungs stay possible
        highest = 4 if retained.mean() <= 1 - rule.share and not missing else 5
    if passed and missing and highest >= 4:
        highest = 5
    highest = max(highest, lowest)
    unlimited = locating is None and obstacle is None
    reason = _explain(lowest, highest, numbers, obstacle, missing, rule=rule, unlimited=unlimited)
    return Placement(
        level=FIRST_LADDER[lowest] if lowest == highest else "undetermined",
        lowest=FIRST_LADDER[lowest],
        highest=FIRST_LADDER[highest],
        direction=("against" if against else "for") if passed else "none",
        probability=probability,
        numbers=numbers,
        reason=reason,
        axes=axes.read(trials),
        rule=rule,
    )


def _test_retention(gained: Gains, rule: Rule, numbers: dict[str, Any]) -> tuple[np.ndarray, list[str]]:
    """Whether, in each resample, the gain holds on changed splits of every kind; and the kinds that were not run."""
    learner = gained.of("learner", "fresh")
    numbers["retention"], numbers["held"] = {}, []
    retained = np.ones(len(next(iter(gained.weights.values()))), bool)
    if learner is None:
        return retained, list(KINDS)
    own = gained.of(None, "fresh")
    assert own is not None
    q = own.mean() / learner.mean()
    numbers["efficiency"] = float(q)
    if own.mean() <= 2 * standard_error(own):  # nothing is gained on fresh tasks, so there is nothing to keep
        return ~retained, []
    efficiency = (gained.weights["fresh"] @ own) / (gained.weights["fresh"] @ learner)
    efficiency = np.where(efficiency > 0, efficiency, np.nan)  # without a gain there is nothing to keep
    if not (efficiency > 0).any():
        return ~retained, []
    missing = []
    for kind in KINDS:
        splits = gained.splits(kind)
        if not splits:
            missing.append(kind)
            continue
        per_split = []
        for split in splits:
            changed, best = gained.of(None, split), gained.best(split)
            assert changed is not None and best is not None
            numbers["retention"][split] = float(changed.mean() / best.mean() / q)
            per_split.append((gained.weights[split] @ changed) / (gained.weights[split] @ best) / efficiency)
        strongest = per_split[int(np.argmax([np.nanmean(p) for p in per_split]))]
        holds = strongest >= rule.hold
        numbers.setdefault("retention_error", {})[kind] = float(np.nanstd(strongest))
        if holds.mean() >= rule.share:
            numbers["held"].append(kind)
        retained &= holds
    return retained, missing


def _count_needed(distance: float, error: float, n: int, errors: float = 1.645) -> int | None:
    """How many lifetimes would separate a number from its bar; None if the distance is about zero."""
    if abs(distance) < 1e-3 or not np.isfinite(error):
        return None
    return int(np.ceil(n * (errors * error / distance) ** 2 / 64) * 64)


def _explain(lowest, highest, numbers, obstacle, missing, *, rule, unlimited) -> str:
    """Explains the placement in words, and says what would settle it if it is open."""
    n, settled = numbers["lifetimes"], lowest == highest
    fresh = UNBANKED if unlimited else WORDS["acquiring"] if "position" in numbers else BEYOND
    fresh = [fresh, WORDS["general"]][: lowest - 3]
    bars = {"change": rule.smallest_change, "bar": rule.smallest_benefit}
    parts = fresh if lowest >= 4 else [(WORDS if settled else OPEN)[FIRST_LADDER[lowest]].format(**bars)]
    if lowest >= 3 and unlimited:
        parts.append("inference within the family; a prior over the family explains it")
    if highest >= 4 and len(missing) < len(KINDS):
        parts.append(f"kinds of changed split that hold: {', '.join(numbers['held']) or 'none'}")
    if settled:
        return "; ".join(parts) + "."
    open_ends = []
    if lowest < 3:
        size, error = abs(numbers["benefit"]), numbers["benefit_error"]
        more = _count_needed(
            size - rule.smallest_benefit, error, n, rule.errors if size > rule.smallest_benefit else 1.645
        )
        remedy = f"about {more} lifetimes" if more else "no number of lifetimes while it stays at its bar"
        open_ends.append(
            f"the benefit of older feedback is {size:.3f} ± {error:.3f} against {rule.smallest_benefit}: {remedy}"
        )
    if lowest == 3 and obstacle:
        open_ends.append(f"at least locating, because {obstacle}")
    elif lowest == 3 and "position" in numbers:
        more = _count_needed(numbers["position"] - rule.cut, numbers["position_error"], n)
        remedy = f"about {more} lifetimes" if more else "a smaller bank"
        open_ends.append(
            f"the position between locator and learner is {numbers['position']:.2f} "
            f"± {numbers['position_error']:.2f}: {remedy}"
        )
    if highest == 5:
        if missing:
            compared = "efficiency" in numbers
            open_ends.append(
                f"no split of kind {', '.join(missing)} was run: add it to the splits"
                if compared
                else "the family has no reference learner to compare changed splits with: add one to its references"
            )
        for kind in KINDS:
            splits = {r: v for r, v in numbers["retention"].items() if r.partition(":")[0] == kind}
            if splits and kind not in numbers["held"]:
                split = max(splits, key=lambda r: splits[r])
                more = _count_needed(splits[split] - rule.hold, numbers["retention_error"][kind], n)
                remedy = f"about {more} lifetimes on it would settle it" if more else "it lies on the bar"
                open_ends.append(f"the {split} split keeps {splits[split]:.2f}: {remedy}")
    remedy = "; ".join(open_ends or ["a share of resamples near its bar: more lifetimes"])
    return f"{'; '.join(parts)}. Open: {remedy}."
