"""Places a subject on the spectrum from 'just doing the task' to 'acquiring it', or says why that is undetermined.

The ladder has the rungs inert, reactive, tracking, locating, acquiring and general. A placement is an interval on it:
`lowest` is the highest rung whose own bar is passed, and `highest` is the lowest rung that few resamples exceed.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from mesascope.contracts import axis as axes
from mesascope.contracts.metric import DoesNotApply, Splits, gains, replicates
from mesascope.errors import MesascopeError
from mesascope.questions.spectrum.changes import choices_changed
from mesascope.questions.spectrum.inexpressible import read_beyond_banks
from mesascope.questions.spectrum.position import BANK_LIMIT, position
from mesascope.stats import linearise, ratio, resampling, standard_error
from mesascope.trials import FEW, gain, reflex_window

LADDER = ("inert", "reactive", "tracking", "locating", "acquiring", "general")
UNCLEAR = len(LADDER)  # the level of a resample in which the bank cannot tell
REPLICATES = 4  # of the run with shuffled feedback; a single replicate has nearly twice the error
KINDS = ("shifted", "exchanged", "restructured")
WORDS = {
    "inert": "nothing in the lifetime changes what it does",
    "reactive": "it answers the current percept only; a fresh carry would act alike",
    "tracking": "its carry matters, but feedback older than a few trials makes no difference to its score",
    "locating": "older feedback matters, as far as picking among the training tasks explains",
    "acquiring": "fresh tasks of the family are acquired as well as those of its bank, each beside its reference",
    "general": "changed splits are acquired too: of every kind one at least keeps half of the efficiency on fresh "
    "tasks",
}
UNBANKED = "fresh tasks of the family are acquired, and it had no bank of tasks to locate them in"
BEYOND = "tasks are acquired that no bank of training tasks could hold"
OPEN = {
    "inert": "whether anything in the lifetime changes what it does is open",
    "reactive": "it answers its percept; whether its carry adds to that is open",
    "tracking": "its carry matters; whether feedback older than a few trials does is open",
    "locating": "older feedback matters; whether more than picking among training tasks explains that is open",
}


@dataclasses.dataclass(frozen=True)
class Rule:
    """The constants of the placement rule, which are printed with every placement.

    Attributes:
        older_than: w, the number of latest trials whose feedback is not shuffled; a fifth of the lifetime if that is
            less.
        smallest_benefit: the smallest benefit that counts, as a share of what could be gained.
        smallest_change: the smallest share of changed choices that counts.
        errors: the number of standard errors by which the benefit must exceed the smallest benefit.
        cut: the position that separates locators from learners.
        hold: the smallest retention that counts as holding.
        share: the share of resamples that must pass a bar.
        bank_limit: if the ideal locator keeps at least this share on fresh tasks, the bank cannot distinguish locating
            from acquiring.
        resamples: how many times the bootstrap resamples the lifetimes.
        seed: the seed of the bootstrap.
    """

    older_than: int = FEW
    smallest_benefit: float = 0.05
    smallest_change: float = 0.05
    errors: float = 3.09
    cut: float = 0.5
    hold: float = 0.5
    share: float = 0.95
    bank_limit: float = BANK_LIMIT
    resamples: int = 1000
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class Placement:
    """Where a subject stands on the spectrum.

    Attributes:
        level: the rung if lowest and highest coincide, else 'undetermined'.
        lowest: the highest rung whose own bar is passed.
        highest: the lowest rung that at most 5 % of resamples exceed.
        direction: 'for' or 'against' the pay-off, 'none' below locating.
        probability: the share of resamples in which the rule returns each level; not a posterior.
        numbers: the numbers that the rule used.
        reason: the reason in words, and what would settle the placement if it is open.
        axes: readings on other axes, by name; each is a `mesascope.contracts.axis.Verdict` as plain data.
        rule: the constants of the rule.
    """

    level: str
    lowest: str
    highest: str
    direction: str
    probability: dict[str, float]
    numbers: dict[str, Any]
    reason: str
    axes: dict[str, Any] = dataclasses.field(default_factory=dict)
    rule: Rule = dataclasses.field(default_factory=Rule)

    def text(self) -> str:
        """The placement in one line."""
        if self.lowest == self.highest:
            return f"{self.level} (in {self.probability[self.level]:.0%} of resamples)"
        return f"undetermined: {self.lowest}, perhaps {self.highest}"

    def _repr_html_(self) -> str:
        """The placement as HTML, for notebooks."""
        import html

        return f"<b>{html.escape(self.text())}</b><br>{html.escape(self.reason)}"


def conditions(horizon: int, rule: Rule | None = None) -> tuple[str, ...]:
    """The labels of the conditions that a placement needs on the fresh split, for lifetimes of `horizon` trials."""
    older = reflex_window(horizon, (rule or Rule()).older_than)
    return (
        "intact",
        *(f"feedback_shuffled:older_than={older},replicate={r}" for r in range(REPLICATES)),
        *(f"percept_exchanged_once:action={i}" for i in (0, 1)),
        *(f"carry_exchanged_once:fresh={i}" for i in (0, 1)),
    )


def place(
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
        percept, carry = _measure_dependence(fresh)
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
    locating, obstacle = _test_locating(gained, trained_on, rule, numbers)
    retained, missing = _test_retention(gained, rule, numbers)
    reach = np.where(retained, 5, 4)
    if locating is None:
        above = reach if obstacle is None else np.full(len(reach), UNCLEAR)
    else:
        above = np.where(locating == 1, 3, np.where(locating == 0, reach, UNCLEAR))
    level = np.where(np.abs(resampled) >= rule.smallest_benefit, above, below)
    probability = {rung: float((level == i).mean()) for i, rung in enumerate(LADDER)}
    probability["undetermined"] = float((level == UNCLEAR).mean())

    if passed:
        lowest = 3
        if obstacle is None and (locating is None or (locating == 0).mean() >= rule.share):
            lowest = 5 if not missing and (level == 5).mean() >= rule.share else 4
    else:
        lowest = max(i for i in range(3) if (np.minimum(below, 2) >= i).mean() >= rule.share)
    top = len(LADDER) - 1
    highest = min((i for i in range(top) if (level > i).mean() <= 1 - rule.share + 1e-9), default=top)
    if passed and obstacle is not None:  # the bank is unknown or cannot tell, so higher rungs stay possible
        highest = 4 if retained.mean() <= 1 - rule.share and not missing else 5
    if passed and missing and highest >= 4:
        highest = 5
    highest = max(highest, lowest)
    unlimited = locating is None and obstacle is None
    reason = _explain(lowest, highest, numbers, obstacle, missing, rule=rule, unlimited=unlimited)
    return Placement(
        level=LADDER[lowest] if lowest == highest else "undetermined",
        lowest=LADDER[lowest],
        highest=LADDER[highest],
        direction=("against" if against else "for") if passed else "none",
        probability=probability,
        numbers=numbers,
        reason=reason,
        axes=axes.read(trials),
        rule=rule,
    )


def _measure_dependence(fresh: xr.Dataset) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The shares of choices that change with the percept and with the carry, each under two conditions."""
    for label in ("percept_exchanged_once:action=0", "carry_exchanged_once:fresh=0"):
        replicates(fresh, label)
    ways = [f"percept_exchanged_once:action={i}" for i in (0, 1)]  # real actions have only the first
    percept = [choices_changed(fresh, way) for way in ways if way in fresh.condition]
    carry = [choices_changed(fresh, f"carry_exchanged_once:fresh={i}") for i in (0, 1)]
    return percept, carry


@dataclasses.dataclass
class Gains:
    """The gains of the subject and its references in each lifetime, for or against the pay-off, with their weights."""

    trials: Splits
    references: Mapping[str, Splits]
    against: bool
    weights: Mapping[str, np.ndarray]

    def splits(self, kind: str) -> list[str]:
        """The counted splits of a kind on which the subject and a reference were run."""
        counted = [r for r in self.trials if self.trials[r].attrs.get("counted", True)]
        return [r for r in counted if r.partition(":")[0] == kind and self.best(r) is not None]

    def of(self, role: str | None, split: str, label: str = "intact") -> np.ndarray | None:
        """The gain [N] of a reference, or of the subject if the role is None; None if the reference was not run."""
        if role is None:
            return gain(self.trials[split], label, against=self.against)[0]
        trials = self.reference(role, split)
        if trials is None or label not in trials.condition.values:
            return None
        return gain(trials, label, against=self.against)[0]

    def reference(self, role: str, split: str) -> xr.Dataset | None:
        """The trials of a reference on a split, in the subject's direction; None if the reference was not run."""
        return self.references.get(f"{role} against" if self.against else role, {}).get(split)

    def best(self, split: str) -> np.ndarray | None:
        """The gain of the reference that gains most on a split, whether restarted at the change or not.

        None if no reference gains more than two standard errors, because then there is nothing to compare with.
        """
        rows = []
        for role in ("learner", "discounting"):
            if (trials := self.reference(role, split)) is not None:
                rows += [self.of(role, split, label) for label in trials.condition.values.tolist()]
        rows = [row for row in rows if row is not None and row.mean() > 2 * standard_error(row)]
        return max(rows, key=np.sum) if rows else None


def _test_locating(
    gained: Gains, trained_on: str, rule: Rule, numbers: dict[str, Any]
) -> tuple[np.ndarray | None, str | None]:
    """Says for each resample whether the subject is nearer to the locator (1) or not (0); NaN if the bank cannot tell.

    The first value is None if this was not tested. The second is then the reason, or None for unlimited training tasks.
    """
    if trained_on == "unlimited":
        return None, None
    if trained_on == "unknown":
        locating, obstacle, by_split = read_beyond_banks(gained.trials, gained.weights, gained.against, rule)
        numbers |= {"inexpressible": by_split} if by_split else {}
        return locating, obstacle
    if trained_on.startswith("bank:1@"):
        return None, "the ideal locator of a bank of one is a fixed act, so there is no position between"
    if "seen" not in gained.trials:
        return None, "the seen split was not run"
    rows = [gained.of(role, split) for split in ("fresh", "seen") for role in (None, "learner", "locator")]
    if any(r is None for r in rows):
        return None, "the ideal locator or the learner was not run on these tasks"
    parts = np.stack([r for r in rows if r is not None])
    means = parts.mean(1)
    if (means[[1, 3, 4, 5]] <= 0).any():  # a locator, and a subject that locates, may lose on fresh tasks
        return None, "it gains nothing on seen tasks, or a reference nothing on either"
    lam = (means[2] / means[5]) * (means[4] / means[1])
    numbers |= {"kept_by_locator": float(lam), "kept_on_fresh": float((means[0] / means[3]) * (means[4] / means[1]))}
    if lam >= rule.bank_limit:
        return None, f"the ideal locator of this bank keeps {lam:.2f} on fresh tasks, so the bank cannot tell"
    positions = linearise(position, parts)
    numbers |= {"position": float(positions.mean()), "position_error": standard_error(positions)}
    resampled = np.stack([gained.weights["fresh" if i < 3 else "seen"] @ parts[i] for i in range(6)])
    keeps = (resampled[2] / resampled[5]) * (resampled[4] / resampled[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = position(resampled)
    return np.where(keeps < 1, spread < rule.cut, np.nan), None


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
    parts = fresh if lowest >= 4 else [(WORDS if settled else OPEN)[LADDER[lowest]]]
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
