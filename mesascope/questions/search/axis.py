"""Search or control: is what it does worked out from candidates once a problem is shown, or was it settled beforehand?

Search is read only where all of these hold on the same subject, for none of them is evidence alone: it solves problems
that no table could hold, at their first trial, more than one step ahead; it follows at once, with nothing lived
through, both what the ends are now worth and where acts now lead; more ticks at the same observation help; and they
help near choices before far ones, as work does that goes on step by step (noise that averages out helps both alike).
Numbers of ticks that break a subject, as they may where it was trained with one, are left out.
Control is read where one of the announcements does not move acts that were right until then (cached values and
successors, filters, habits), or where what it does on its training problems is gone on others (tables).
"""

import dataclasses
from typing import Any

import numpy as np

from mesascope.contracts.axis import UNDETERMINED, Axis, Splits, Verdict
from mesascope.contracts.capabilities import ShowsPlans
from mesascope.errors import MesascopeError
from mesascope.questions.search.reading import Counted, follow_change, right_acts, success_by_depth, ticks_of
from mesascope.stats import resampling

TRIED = "tree_choice:depth=2,trials=12"  # what `mesascope check` tries it on
WORDS = {
    "search": "its acts are worked out from what is shown: farther with more ticks, and anew when worth or map change",
    "control": "its acts were settled beforehand: what is newly shown does not reach them until it is lived through",
    UNDETERMINED: "what was asked does not tell acts that are worked out from acts that were settled beforehand",
}
TICKS = (2, 4, 8)  # what is looked ahead is told by the same powers of two
WORTH, MAP = "revalued:worth", "revalued:map"


@dataclasses.dataclass(frozen=True)
class Rule:
    """The constants of the rule; printed with every verdict.

    Attributes:
        solved: the share of right acts from which problems so far ahead are solved.
        lost: the share of right acts below which they are not (chance is one half).
        follows: the share of acts that go with a change from which it is followed.
        ignores: the share below which it is not.
        gain: the smallest gain in right acts by ticks, and of near over far ones, that counts; so large a loss by ticks
            before anything has changed says that they break it.
        table: problems that a table may hold.
        acts: the fewest acts that are asked of anything.
        share: the share of resamples that passes.
        resamples: bootstrap resamples of lifetimes.
        seed: of the bootstrap.
    """

    solved: float = 0.875
    lost: float = 0.65
    follows: float = 0.75
    ignores: float = 0.4
    gain: float = 0.15
    table: float = 4096.0
    acts: int = 24
    share: float = 0.95
    resamples: int = 1000
    seed: int = 0


def axis() -> Axis:
    """Are its acts worked out once a problem is shown, or were they settled beforehand?"""
    return Axis(
        name="search",
        question="Are its acts worked out once a problem is shown, or were they settled beforehand?",
        words=WORDS,
        read=read,
        applies=("fresh", "revalued"),
        tested=("seen", "fresh", "revalued"),
        conditions=("intact", *(f"thinking:ticks={n}" for n in TICKS)),
    )


def read(trials: Splits, family: Any, rule: Rule | None = None) -> Verdict | None:
    """Whether a subject searches.

    Args:
        trials: the subject's data set per split, with the conditions 'thinking:ticks=n' where they were lived.
        family: what it lived in.
        rule: the constants.

    Returns:
        None where the family says of no act that it can be thought out.
    """
    rule = rule or Rule()
    splits = [r for r in ("fresh", "seen", WORTH, MAP) if r in trials]
    if not isinstance(family, ShowsPlans) or not splits:
        return None
    try:
        told = {split: _ticked(trials[split], family) for split in splits}
    except MesascopeError as lacking:  # what was shown was not kept
        nobody = {reading: float(reading == UNDETERMINED) for reading in WORDS}
        why = f"{WORDS[UNDETERMINED]}; {lacking.problem} {lacking.remedy}"
        return Verdict(UNDETERMINED, nobody, {"rule": dataclasses.asdict(rule)}, why)
    broken = _broken(trials, told, rule)
    told = {split: {n: p for n, p in by.items() if n not in broken} or by for split, by in told.items()}
    weights = {
        split: resampling(trials[split].sizes["lifetime"], rule.resamples, rule.seed + i)
        for i, split in enumerate(splits)
    }
    plans = {split: next(iter(by.values())) for split, by in told.items()}
    plan, others = plans[splits[0]], [p.cases for split, p in plans.items() if split != "seen"]
    numbers: dict[str, Any] = {
        "lifetimes": int(plan.action.shape[0]),
        "problems": min(others, default=plan.cases),
        "ticks": sorted(next(iter(told.values()))),
        "broken_by_ticks": broken,
        "rule": dataclasses.asdict(rule),
    }
    here = [split for split in ("fresh", "seen") if split in told]
    curves = {split: {n: success_by_depth(plan) for n, plan in sorted(told[split].items())} for split in here}
    numbers["right_at_once"] = {split: _shares(by_ticks) for split, by_ticks in curves.items()}
    reach = _reach(curves.get("fresh", {}), rule)
    numbers["look_ahead"] = reach
    # with the most ticks, more than one step ahead and no farther than it can look
    follow: dict[str, Counted] = {}
    for split in [r for r in (WORTH, MAP) if r in told]:
        most = told[split][max(told[split])]
        follow[split] = follow_change(most, int(trials[split].attrs["changes"]), farthest=reach)
    numbers["follows"] = {split: counted.mean() for split, counted in follow.items()}
    asked = {split: counted for split, counted in follow.items() if counted.asked.sum() >= rule.acts}
    passed = {split: counted.drawn(weights[split]) for split, counted in asked.items()}
    nothing = np.zeros(rule.resamples, bool)
    works, why = _works(curves.get("fresh", {}), reach, weights.get("fresh"), rule, numbers)
    goal, large = all(p.goal for by in told.values() for p in by.values()), numbers["problems"] > rule.table
    searches = works & goal & large & (len(passed) == 2)
    for drawn in passed.values():
        searches = searches & (drawn >= rule.follows)
    ignored = np.any([d <= rule.ignores for d in passed.values()], 0) if passed else nothing
    tabled = _tabled(curves, weights, rule)
    controls = (ignored | tabled) & goal & ~searches
    level = np.where(searches, 0, np.where(controls, 1, 2))
    probability = {reading: float((level == i).mean()) for i, reading in enumerate(WORDS)}
    reading = next((r for r in WORDS if probability[r] >= rule.share), UNDETERMINED)
    if reading == "control":
        reasons = _controlled(numbers, ignored, tabled, rule)
    elif reading == UNDETERMINED:
        reasons = _lacking(numbers, goal, large, asked, why, rule=rule)
    else:
        reasons = _shown(numbers)
    if broken:
        reasons.append(f"read without {' and '.join(map(str, broken))} ticks, with which it does worse")
    return Verdict(reading, probability, numbers, "; ".join([WORDS[reading], *reasons]) + ".")


def _shares(curve: dict[int, dict[int, Counted]]) -> dict[str, dict[str, float | None]]:
    """The shares of right acts by ticks and by how far ahead one must look."""
    return {f"{n} ticks": {f"{far} ahead": c.mean() for far, c in by.items()} for n, by in curve.items()}


def _ticked(lived: Any, family: Any) -> dict[int, Any]:
    """The plans of one split by the ticks at each observation."""
    labels = lived.condition.values.tolist()
    return {ticks: family.plans(lived, label) for label in labels if (ticks := ticks_of(label))}


def _broken(trials: Splits, told: dict[str, dict[int, Any]], rule: Rule) -> list[int]:
    """The ticks with which acts are worse than with the fewest, on any split, before anything has changed."""
    out = set()
    for split, by in told.items():
        until = trials[split].attrs.get("changes")
        shares = {}
        for n, plan in by.items():
            right, asked = (x[:, : None if until is None else int(until)] for x in right_acts(plan))
            shares[n] = (right & asked).sum() / max(asked.sum(), 1)
        out |= {n for n in by if shares[n] < shares[min(by)] - rule.gain}
    return sorted(out)


def _reach(curve: dict[int, dict[int, Counted]], rule: Rule) -> int:
    """How many steps ahead fresh problems are solved with the most ticks; 0 for none beyond the next step."""
    last = curve[max(curve)] if curve else {}
    asked = {far: c for far, c in last.items() if far > 1 and c.asked.sum() >= rule.acts}
    return max((far for far, c in asked.items() if (c.mean() or 0) >= rule.solved), default=0)


def _works(
    curve: dict[int, dict[int, Counted]],
    reach: int,
    weights: np.ndarray | None,
    rule: Rule,
    numbers: dict[str, Any],
) -> tuple[np.ndarray, str]:
    """Per resample whether ticks help, and near choices before far ones; and what is lacking, in words."""
    no = np.zeros(rule.resamples, bool)
    if weights is None or not reach:
        return no, "no fresh problem was solved at its first trial more than one step ahead"
    if len(curve) < 2:
        return no, "it was not given more ticks: run the conditions thinking:ticks=2, 4 and 8"
    drawn = {n: {far: c.drawn(weights) for far, c in by_far.items()} for n, by_far in curve.items()}
    most, least = max(curve), min(curve)
    gain = drawn[most][reach] - drawn[least][reach]
    near = max((far for far in drawn[most] if far < reach), default=reach)
    orders = {n: drawn[n][near] - drawn[n][reach] for n in curve if n < most}
    best = max(orders, key=lambda n: float(np.nanmean(orders[n])))
    numbers["gain_by_ticks"] = float(np.nanmean(gain))
    numbers["near_before_far"] = float(np.nanmean(orders[best]))
    works = (drawn[most][reach] >= rule.solved) & (gain >= rule.gain) & (orders[best] >= rule.gain)
    numbers["works"] = float(works.mean())
    if numbers["gain_by_ticks"] < rule.gain:
        return works, "more ticks do not help, so a map from problem to act would do as well"
    if numbers["near_before_far"] < rule.gain:
        return works, "ticks help far choices as soon as near ones, as where noise averages out"
    if numbers["works"] < rule.share:
        return works, _settled(numbers, gain, orders[best], rule)
    return works, ""


def _settled(numbers: dict[str, Any], gain: np.ndarray, order: np.ndarray, rule: Rule) -> str:
    """How many lifetimes would show that ticks help, if things are as they seem: in nine of ten runs or so."""
    short = max(float(np.nanstd(x) / max(np.nanmean(x) - rule.gain, 1e-9)) for x in (gain, order))
    needed = numbers["lifetimes"] * max((3 * short) ** 2, 1.0)
    many = "more than 100,000" if needed > 1e5 else f"about {2 ** int(np.ceil(np.log2(needed))):,}"
    return (
        f"more ticks bring {numbers['gain_by_ticks']:.0%} more right acts, near ones before far ones by "
        f"{numbers['near_before_far']:.0%}, which is enough in {numbers['works']:.0%} of the resamples: "
        f"{many} lifetimes would settle it"
    )


def _tabled(curves: dict[str, Any], weights: dict[str, np.ndarray], rule: Rule) -> np.ndarray:
    """Per resample whether its training problems are solved and others are not."""
    no = np.zeros(rule.resamples, bool)
    if not {"seen", "fresh"} <= set(curves):
        return no
    shares = {}
    for split in ("seen", "fresh"):
        last = curves[split][max(curves[split])]
        ahead = [c for far, c in last.items() if far > 1]
        if not ahead:
            return no
        both = Counted(*(np.sum(x, 0) for x in zip(*ahead, strict=True)))
        shares[split] = both.drawn(weights[split])
    return (shares["seen"] >= rule.solved) & (shares["fresh"] <= rule.lost)


def _percent(share: float | None) -> str:
    return "not asked" if share is None else f"{share:.0%}"


def _shown(numbers: dict[str, Any]) -> list[str]:
    """Why 'search'."""
    follows = numbers["follows"]
    return [
        f"fresh problems are solved at their first trial {numbers['look_ahead']} steps ahead",
        f"more ticks bring {numbers['gain_by_ticks']:.0%} more right acts there, near ones before far ones "
        f"(by {numbers['near_before_far']:.0%})",
        f"a new worth is followed at once in {_percent(follows[WORTH])} of the acts, "
        f"a new map in {_percent(follows[MAP])}",
    ]


def _controlled(numbers: dict[str, Any], ignored: np.ndarray, tabled: np.ndarray, rule: Rule) -> list[str]:
    """Why 'control'."""
    out = []
    if ignored.mean() >= 0.5:
        names, follows = {WORTH: "what things are worth", MAP: "where acts lead"}, numbers["follows"]
        held = [names[r] for r, share in follows.items() if share is not None and share <= rule.ignores]
        out.append(
            f"a change of {' and of '.join(held) or 'one of the two'} that is shown and not lived through leaves acts "
            f"as they were (followed: worth {_percent(follows.get(WORTH))}, map "
            f"{_percent(follows.get(MAP))}); whether it could read what was shown is not known"
        )
    if tabled.mean() >= 0.5:
        out.append("the problems of its training are solved, others are not: a table")
    return out


def _lacking(
    numbers: dict[str, Any], goal: bool, large: bool, asked: Any, why: str, *, rule: Rule
) -> list[str]:
    """Why neither."""
    if not goal:
        return ["nothing is pursued in this family: gain from computation alone is no search"]
    out = []
    if not large:
        out.append(f"there are {numbers['problems']:,.0f} problems, so a table could hold the answers to all")
    lacking = [split for split in (WORTH, MAP) if split not in asked]
    if lacking:
        where = " and ".join(lacking)
        out.append(f"too few acts were right and then changed on {where} (at least {rule.acts})")
    else:
        shares = ", ".join(f"{split} {_percent(numbers['follows'][split])}" for split in (WORTH, MAP))
        out.append(f"changes followed at once, which alone tells nothing: {shares}")
    return [*out, *([why] if why else [])]
