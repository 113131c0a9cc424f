"""Does the subject compute its actions from candidates once it is shown a problem, or were they already determined?

The reading is 'search' only if all of the following hold for the same subject. None of them is evidence on its own.

- The subject solves problems on their first trial, more than one step ahead, and there are too many to store.
- It follows an announced change of the outcomes' worth at once, without experience of the change. It also follows an
  announced change of where actions lead (a new map) at once.
- More ticks at the same observation help.
- More ticks help near choices, which look few steps ahead, before far choices, which look many steps ahead. This fits
  step-by-step computation, whereas averaging out noise would help both alike.
- More ticks help far choices faster than averaging out noise can, even if the noise is larger for far choices.
- More ticks do not help if all of them except the last show another lifetime's problem.

The rule ignores numbers of ticks that break a subject, because a subject trained with one tick may not work with more.
The reading is 'control' if a change does not alter actions that were correct before, as with cached values, successor
representations, filters and habits. It is also 'control' if the subject solves its training problems and no others, as
a lookup table does.

In shapes, N is the number of lifetimes.
"""

import dataclasses
from typing import Any

import numpy as np

from mesascope.contracts import UNDETERMINED, AllowsPlanning, Axis, TrialsBySplit, Verdict
from mesascope.errors import MesascopeError
from mesascope.questions.search import reading as search_reading
from mesascope.questions.search.averaging import measure_misfit
from mesascope.stats import draw_bootstrap_counts, is_share_at_least

CHECK_FAMILY = "tree_choice:depth=2,trials=12"  # the family on which `mesascope check` tries the axis
READING_MEANINGS = {
    "search": "it computes actions from what is shown: farther ahead with more ticks, and anew after changes",
    "control": "its actions were determined beforehand: a change alters them only after it is experienced",
    UNDETERMINED: "the tests do not distinguish computed actions from actions that were determined beforehand",
}
TICKS = (2, 4, 8)  # the numbers of ticks per observation that are tested, besides one
OTHER_PROBLEM_CONDITION = (
    f"thinking:ticks={TICKS[-1]},other_ticks={TICKS[-1] - 1}"  # the last tick alone shows the problem
)
WORTH_SPLIT, MAP_SPLIT = "revalued:worth", "revalued:map"


@dataclasses.dataclass(frozen=True)
class Rule:
    """The constants of the rule, which are printed with every verdict.

    Attributes:
        min_correct_if_solved: the subject solves problems of a depth if at least this share of its actions is correct.
        max_correct_if_unsolved: the subject does not solve problems if at most this share of its actions is correct
            (with two actions, one half is correct by chance).
        min_followed: the subject follows a change if at least this share of its actions fits the new situation.
        max_followed_if_ignored: the subject ignores a change if at most this share of its actions fits the new
            situation.
        min_difference: the smallest difference in the share of correct actions that counts, between more ticks and
            fewer, and between near choices and far ones. If more ticks lower the share by more than this before any
            change, these ticks break the subject.
        max_table_size: the largest number of problems whose answers a subject could have stored in a table.
        min_misfit_excess: the smallest misfit, in standard errors, that rules out a noisy subject that averages over
            ticks (see `averaging.measure_misfit`).
        min_actions: the smallest number of actions from which a share is computed.
        resample_share: the share of resamples in which a reading must hold.
        resamples: how many times the bootstrap resamples the lifetimes.
        seed: the seed of the bootstrap.
    """

    min_correct_if_solved: float = 0.875
    max_correct_if_unsolved: float = 0.65
    min_followed: float = 0.75
    max_followed_if_ignored: float = 0.4
    min_difference: float = 0.15
    max_table_size: float = 4096.0
    min_misfit_excess: float = 2.5
    min_actions: int = 24
    resample_share: float = 0.95
    resamples: int = 1000
    seed: int = 0


def axis() -> Axis:
    """The axis that asks whether the subject computes its actions only once it is shown a problem."""
    return Axis(
        name="search",
        question="Does the subject compute its actions once a problem is shown, or were they determined beforehand?",
        reading_meanings=READING_MEANINGS,
        read=read,
        needed_split_kinds=("fresh", "revalued"),
        tested_split_kinds=("seen", "fresh", "revalued"),
        conditions=("intact", *(f"thinking:ticks={n}" for n in TICKS), OTHER_PROBLEM_CONDITION),
        split_kinds_by_condition={OTHER_PROBLEM_CONDITION: ("fresh",)},
    )


def read(trials: TrialsBySplit, family: Any, rule: Rule | None = None) -> Verdict | None:
    """Decides whether a subject searches.

    Args:
        trials: the subject's data set for each split, with the conditions 'thinking:ticks=n' that were run.
        family: the family of the tasks.
        rule: the constants of the rule; None for `Rule()`.

    Returns:
        The verdict; None if the family does not allow planning, or if no split that the rule uses was run.
    """
    rule = rule or Rule()
    splits = [r for r in ("fresh", "seen", WORTH_SPLIT, MAP_SPLIT) if r in trials]
    if not isinstance(family, AllowsPlanning) or not splits:
        return None
    try:
        consequences_by_ticks = {split: _read_consequences(trials[split], family) for split in splits}
    except MesascopeError as lacking:  # the observations were not saved
        probability = {reading: float(reading == UNDETERMINED) for reading in READING_MEANINGS}
        reason = f"{READING_MEANINGS[UNDETERMINED]}; {lacking.problem} {lacking.remedy}"
        return Verdict(UNDETERMINED, probability, {"rule": dataclasses.asdict(rule)}, reason)
    broken = _find_breaking_ticks(trials, consequences_by_ticks, rule)
    for split, by_ticks in consequences_by_ticks.items():
        consequences_by_ticks[split] = {n: c for n, c in by_ticks.items() if n not in broken} or by_ticks
    sizes = [trials[split].sizes["lifetime"] for split in splits]
    resamples = (draw_bootstrap_counts(n, rule.resamples, rule.seed + i) for i, n in enumerate(sizes))
    weights = dict(zip(splits, resamples, strict=True))
    first_consequences = {split: next(iter(by_ticks.values())) for split, by_ticks in consequences_by_ticks.items()}
    problems = [consequences.problem_count for split, consequences in first_consequences.items() if split != "seen"]
    numbers: dict[str, Any] = {
        "lifetimes": sizes[0],
        "problems": min(problems, default=first_consequences[splits[0]].problem_count),
        "ticks": sorted(consequences_by_ticks[splits[0]]),
        "broken_by_ticks": broken,
        "rule": dataclasses.asdict(rule),
    }
    curves = {}
    for split in (split for split in ("fresh", "seen") if split in consequences_by_ticks):
        curves[split] = {
            n: search_reading.count_correct_by_depth(consequences)
            for n, consequences in sorted(consequences_by_ticks[split].items())
        }
    numbers["right_at_once"] = {split: _compute_mean_shares(by_ticks) for split, by_ticks in curves.items()}
    reach = _find_largest_solved_depth(curves.get("fresh", {}), rule)
    numbers["look_ahead"] = reach
    # counts of actions that follow a change, with the most ticks, at depths from two to the largest solved depth
    followed_counts: dict[str, search_reading.ActionCounts] = {}
    for split in (split for split in (WORTH_SPLIT, MAP_SPLIT) if split in consequences_by_ticks):
        consequences = consequences_by_ticks[split][max(consequences_by_ticks[split])]
        followed_counts[split] = search_reading.count_followed_changes(
            consequences, int(trials[split].attrs["changes"]), max_depth=reach
        )
    numbers["follows"] = {split: counts.mean() for split, counts in followed_counts.items()}
    shares = {
        s: counts.resample(weights[s])
        for s, counts in followed_counts.items()
        if counts.total_count.sum() >= rule.min_actions
    }
    consequences, elsewhere = consequences_by_ticks.get("fresh", {}), None
    if reach and TICKS[-1] in consequences and OTHER_PROBLEM_CONDITION in trials["fresh"].condition.values.tolist():
        elsewhere = search_reading.count_correct_by_depth(
            family.evaluate_consequences(trials["fresh"], OTHER_PROBLEM_CONDITION)
        ).get(reach)
    works, shortfall = _check_ticks(
        consequences, curves.get("fresh", {}), elsewhere, weights.get("fresh"), rule, numbers
    )
    goal = all(c.has_goal for by_ticks in consequences_by_ticks.values() for c in by_ticks.values())
    large = numbers["problems"] > rule.max_table_size
    searches = works & goal & large & (len(shares) == 2)
    ignored = np.zeros(rule.resamples, bool)
    for share in shares.values():
        searches, ignored = searches & (share >= rule.min_followed), ignored | (share <= rule.max_followed_if_ignored)
    tabled = _check_table(curves, weights, rule)
    controls = (ignored | tabled) & goal & ~searches
    level = np.where(searches, 0, np.where(controls, 1, 2))
    probability = {reading: float((level == i).mean()) for i, reading in enumerate(READING_MEANINGS)}
    reading = next(
        (r for i, r in enumerate(READING_MEANINGS) if is_share_at_least(level == i, rule.resample_share)), UNDETERMINED
    )
    if reading == "control":
        reasons = _explain_control(numbers, ignored, tabled, rule)
    elif reading == UNDETERMINED:
        reasons = _explain_undetermined(numbers, goal, large, shares, shortfall, rule)
    else:
        reasons = _explain_search(numbers)
    if broken:
        reasons.append(f"{' and '.join(map(str, broken))} ticks were left out, because it does worse with them")
    return Verdict(reading, probability, numbers, "; ".join([READING_MEANINGS[reading], *reasons]) + ".")


def _compute_mean_shares(
    curve: dict[int, dict[int, search_reading.ActionCounts]],
) -> dict[str, dict[str, float | None]]:
    """Computes the share of correct actions for each number of ticks and each depth, for printing."""
    return {f"{n} ticks": {f"{far} ahead": c.mean() for far, c in by.items()} for n, by in curve.items()}


def _read_consequences(trials: Any, family: Any) -> dict[int, Any]:
    """Evaluates the consequences of actions on one split for each number of ticks per observation."""
    return {
        ticks: family.evaluate_consequences(trials, label)
        for ticks, label in search_reading.find_conditions_by_ticks(trials).items()
    }


def _find_breaking_ticks(
    trials: TrialsBySplit, consequences_by_ticks: dict[str, dict[int, Any]], rule: Rule
) -> list[int]:
    """Finds the numbers of ticks that break the subject: before any change, actions are worse than with fewest ticks.

    They must be worse by more than `rule.min_difference`, on at least one split.
    """
    broken = set()
    for split, by_ticks in consequences_by_ticks.items():
        change = trials[split].attrs.get("changes")
        shares = {}
        for n, consequences in by_ticks.items():
            right, eligible = (
                x[:, : None if change is None else int(change)]
                for x in search_reading.find_correct_actions(consequences)
            )
            shares[n] = (right & eligible).sum() / max(eligible.sum(), 1)
        broken |= {n for n, share in shares.items() if share < shares[min(shares)] - rule.min_difference}
    return sorted(broken)


def _find_largest_solved_depth(curve: dict[int, dict[int, search_reading.ActionCounts]], rule: Rule) -> int:
    """Finds the largest depth beyond 1 at which the subject solves problems with the most ticks; 0 if there is none."""
    return max(_list_solved_depths(curve, rule), default=0) if curve else 0


def _list_solved_depths(curve: dict[int, dict[int, search_reading.ActionCounts]], rule: Rule) -> list[int]:
    """Lists the depths beyond 1 at which the subject solves fresh problems with the most ticks."""
    last = {
        far: counts
        for far, counts in curve[max(curve)].items()
        if far > 1 and counts.total_count.sum() >= rule.min_actions
    }
    return [far for far, counts in last.items() if (counts.mean() or 0) >= rule.min_correct_if_solved]


def _check_ticks(
    consequences, curve, other_problem_counts, weights, rule: Rule, numbers: dict[str, Any]
) -> tuple[np.ndarray, str]:
    """Tests in each resample whether the subject uses ticks to compute, and describes the evidence that is missing.

    More ticks must help. They must help near choices before far ones, and far choices faster than averaging out noise
    can. They must not help if they show another problem.

    Args:
        consequences: the consequences of actions on fresh problems, by the number of ticks.
        curve: the counts of correct actions, for each number of ticks and each depth.
        other_problem_counts: the counts at the largest solved depth if all ticks except the last show another problem;
            None if this condition was not run.
        weights: the weights of the lifetimes [resamples, N].
        rule: the constants of the rule.
        numbers: the statistics of the verdict; this function adds the ones that it uses.

    Returns:
        Whether the subject uses ticks to compute, for each resample; and the missing evidence in words, '' if all
        evidence is present.
    """
    never, reach = np.zeros(rule.resamples, bool), numbers["look_ahead"]
    if not reach:
        return never, "no fresh problem was solved at its first trial more than one step ahead"
    if len(curve) < 2:
        return never, "it was not given more ticks: run the conditions thinking:ticks=2, 4 and 8"
    shares = {n: {far: c.resample(weights) for far, c in by_far.items()} for n, by_far in curve.items()}
    most, least = max(curve), min(curve)
    gain = shares[most][reach] - shares[least][reach]
    near = max((far for far in shares[most] if far < reach), default=reach)
    orders = {n: shares[n][near] - shares[n][reach] for n in curve if n < most}
    best = max(orders, key=lambda n: float(np.nanmean(orders[n])))
    beyond = _measure_misfit_of_averaging(consequences, curve, shares, rule)
    numbers["gain_by_ticks"] = float(np.nanmean(gain))
    numbers["near_before_far"] = float(np.nanmean(orders[best]))
    numbers["beyond_averaging"] = float(np.nanmean(beyond))
    enough = [gain >= rule.min_difference, orders[best] >= rule.min_difference, beyond >= rule.min_misfit_excess]
    works = (shares[most][reach] >= rule.min_correct_if_solved) & np.all(enough, 0)
    numbers["works"] = float(works.mean())
    if other_problem_counts is None:
        works = never
    else:
        lost = shares[most][reach] - other_problem_counts.resample(weights)
        works = works & (lost >= rule.min_difference)
        numbers["lost_elsewhere"], numbers["works"] = float(np.nanmean(lost)), float(works.mean())
    if numbers["gain_by_ticks"] < rule.min_difference:
        return works, "more ticks do not help, so a map from problem to action would do as well"
    if numbers["near_before_far"] < rule.min_difference:
        return works, "ticks help far choices as soon as near ones, as they would if noise averaged out"
    if not is_share_at_least(enough[2], rule.resample_share):
        return works, (
            "correct actions that look ahead do not become more frequent with ticks clearly faster than averaging out "
            f"noise explains ({numbers['beyond_averaging']:.1f} standard errors, {rule.min_misfit_excess:g} are "
            "needed), so answers known at once, with more noise on far choices, would do as well"
        )
    if other_problem_counts is None:
        return works, f"it was not tested whether ticks on another problem help as well: run {OTHER_PROBLEM_CONDITION}"
    if numbers["lost_elsewhere"] < rule.min_difference:
        return works, (
            "it does as well if all ticks except the last show another problem, so it does not use those ticks to "
            "compute from the problem shown"
        )
    if not is_share_at_least(works, rule.resample_share):
        return works, (
            f"more ticks make {numbers['gain_by_ticks']:.0%} more actions correct, near choices before far ones by "
            f"{numbers['near_before_far']:.0%}, which is enough in {numbers['works']:.0%} of the resamples: near the "
            f"threshold of {rule.min_difference:.0%} (or of {rule.min_correct_if_solved:.0%} correct actions), so more "
            "lifetimes may not settle it"
        )
    return works, ""


def _measure_misfit_of_averaging(
    consequences: Any, curve: Any, shares: dict[int, dict[int, np.ndarray]], rule: Rule
) -> np.ndarray:
    """Measures the misfit [resamples] of averaging (see `measure_misfit`) at the solved depth where it is largest."""
    ticks, excesses = sorted(curve), []
    for depth in _list_solved_depths(curve, rule):
        actions, ways = (
            int(curve[ticks[-1]][depth].total_count.sum()),
            search_reading.compute_mean_choices(consequences[ticks[-1]], depth),
        )
        excesses.append(measure_misfit(np.stack([shares[n][depth] for n in ticks], -1), ticks, actions, ways))
    return max(excesses, key=lambda x: float(x.mean()))


def _check_table(curves: dict[str, Any], weights: dict[str, np.ndarray], rule: Rule) -> np.ndarray:
    """Decides in each resample whether the subject solves its training problems but no others [resamples]."""
    never = np.zeros(rule.resamples, bool)
    if not {"seen", "fresh"} <= set(curves):
        return never
    shares = {}
    for split in ("seen", "fresh"):
        ahead = [counts for far, counts in curves[split][max(curves[split])].items() if far > 1]
        if not ahead:
            return never
        total = search_reading.ActionCounts(*(np.sum(x, 0) for x in zip(*ahead, strict=True)))
        shares[split] = total.resample(weights[split])
    return (shares["seen"] >= rule.min_correct_if_solved) & (shares["fresh"] <= rule.max_correct_if_unsolved)


def _format_percent(share: float | None) -> str:
    """Formats a share in percent, or as 'not tested' if it is None."""
    return "not tested" if share is None else f"{share:.0%}"


def _explain_search(numbers: dict[str, Any]) -> list[str]:
    """Lists the reasons for the reading 'search'."""
    follows = numbers["follows"]
    return [
        f"it solves fresh problems on their first trial, {numbers['look_ahead']} steps ahead",
        f"more ticks make {numbers['gain_by_ticks']:.0%} more of these actions correct, near choices before far ones "
        f"(by {numbers['near_before_far']:.0%}), and faster than averaging out noise explains "
        f"({numbers['beyond_averaging']:.1f} standard errors); {numbers['lost_elsewhere']:.0%} fewer actions are "
        "correct if all ticks except the last show another problem",
        f"{_format_percent(follows[WORTH_SPLIT])} of the actions follow a new worth at once, "
        f"and {_format_percent(follows[MAP_SPLIT])} a new map",
    ]


def _explain_control(numbers: dict[str, Any], is_ignored: np.ndarray, is_tabled: np.ndarray, rule: Rule) -> list[str]:
    """Lists the reasons for the reading 'control'."""
    reasons = []
    if is_ignored.mean() >= 0.5:
        names, follows = {WORTH_SPLIT: "what outcomes are worth", MAP_SPLIT: "where actions lead"}, numbers["follows"]
        changes = [
            names[r] for r, share in follows.items() if share is not None and share <= rule.max_followed_if_ignored
        ]
        reasons.append(
            f"a change of {' and of '.join(changes) or 'one of the two'} that is shown and not experienced leaves its "
            f"actions as they were (followed: worth {_format_percent(follows.get(WORTH_SPLIT))}, map "
            f"{_format_percent(follows.get(MAP_SPLIT))}); whether it can read what is shown is not known"
        )
    if is_tabled.mean() >= 0.5:
        reasons.append("it solves the problems of its training but no others, as a table would")
    return reasons


def _explain_undetermined(
    numbers: dict[str, Any], has_goal: bool, is_large: bool, shares, missing_evidence, rule: Rule
) -> list[str]:
    """Lists the reasons for the reading 'undetermined'."""
    if not has_goal:
        return ["this family has no goal to pursue, and gain from computation alone is not search"]
    reasons = []
    if not is_large:
        reasons.append(f"there are {numbers['problems']:,.0f} problems, so a table could contain all answers")
    lacking = [split for split in (WORTH_SPLIT, MAP_SPLIT) if split not in shares]
    if lacking:
        names = " and ".join(lacking)
        reasons.append(f"on {names}, a change made too few correct actions wrong ({rule.min_actions} are needed)")
    else:
        follows = ", ".join(
            f"{split} {_format_percent(numbers['follows'][split])}" for split in (WORTH_SPLIT, MAP_SPLIT)
        )
        reasons.append(f"changes followed at once, which alone is not evidence: {follows}")
    return [*reasons, *filter(None, [missing_evidence])]
