"""Updates beliefs on evidence, using only the likelihood ratios that the file gives for each person."""

from dataclasses import dataclass, replace

import numpy as np

from mesascope.cruxes.argument import Argument
from mesascope.cruxes.claims import Evidence, Question
from mesascope.cruxes.language import Event, conjoin, negate
from mesascope.cruxes.readings import read_value
from mesascope.errors import require, require_known_name

Interval = tuple[float, float]
MAX_COUNT = 10**9


def update_interval(prior: Interval, ratio: Interval) -> Interval:
    """Applies Bayes' rule to intervals: at each end, the posterior odds are the prior odds times the ratio.

    Args:
        prior: the prior interval, within [0, 1].
        ratio: the interval of the likelihood ratio; for example, '>=2' is (2, inf) and '<1/2' is (0, 0.5).

    An end at 0 or 1 does not move, so [0, 1] stays [0, 1].
    """
    (low, high), (ratio_low, ratio_high) = prior, ratio
    new_low = low * ratio_low / (1 - low + low * ratio_low) if low < 1 else 1.0
    new_high = high * ratio_high / (1 - high + high * ratio_high) if ratio_high < np.inf else float(high > 0)
    return new_low, new_high


def find_count_ratio(k: int, n: int, beta_if_true: Interval, beta_if_false: Interval) -> float:
    """Finds the likelihood ratio of k successes in n under two Beta hypotheses about the rate (beta-binomial).

    Args:
        k, n: the number of successes and of cases, with 0 <= k <= n.
        beta_if_true, beta_if_false: the parameters (a, b) of the Beta for the rate if the event holds, and if it does
            not.
    """
    require_count(k, n)
    from scipy.special import betaln

    (a1, b1), (a0, b0) = beta_if_true, beta_if_false
    return float(np.exp(betaln(a1 + k, b1 + n - k) - betaln(a1, b1) - betaln(a0 + k, b0 + n - k) + betaln(a0, b0)))


def compute_logs(x: np.ndarray) -> np.ndarray:
    """Computes natural logarithms, with -inf at 0; NumPy's warning for 0 is suppressed."""
    with np.errstate(divide="ignore"):
        return np.log(x)


def require_count(k: int, n: int) -> None:
    """Raises `MesascopeError` unless 0 <= k <= n and 1 <= n <= 10^9."""
    require(n <= MAX_COUNT, "The number n is too large.", f"n is at most {MAX_COUNT}.")
    remedy = "Give 0 <= k <= n and n at least 1: --k 7 --n 10."
    require(0 <= k <= n and n >= 1, f"{k} of {n} is not a possible count.", remedy)


def apply_jeffrey_rule(chance_if_true: Interval, chance_if_false: Interval, premise_chance: Interval) -> Interval:
    """Applies Jeffrey's rule to intervals: P'(M) = P(M|I)·P'(I) + P(M|not I)·(1 - P'(I)).

    M is an event, I is a premise, and P' is the belief after the evidence.

    Args:
        chance_if_true, chance_if_false: the intervals of P(M|I) and of P(M|not I).
        premise_chance: the interval of P'(I), the new chance of the premise.

    The rule is valid only if the evidence changes neither P(M|I) nor P(M|not I). The least and greatest P'(M) lie at
    the ends of P'(I).
    """
    low = min(chance_if_true[0] * p + chance_if_false[0] * (1 - p) for p in premise_chance)
    return low, max(chance_if_true[1] * p + chance_if_false[1] * (1 - p) for p in premise_chance)


@dataclass(frozen=True)
class Update:
    """The change of one person's belief by one observation.

    Args:
        person: the id of the person.
        about: the event of the belief.
        status: 'moved', 'cannot move', or 'asked' (a number is missing that only this person can state).
        prior, posterior: the interval of P(about) before and after the update; None if it cannot be computed.
        ratio: the interval of the likelihood ratio, after the person's discount for transfer; None without a ratio.
        shift: the interval of the change in the (natural) log-odds; None without a ratio.
        target: the intervals of the query's target before and after the update; None if the evidence cannot change
            the target's interval.
        reason: why the belief cannot move, what to ask for, or a remark on the numbers.
    """

    person: str
    about: str
    status: str
    prior: Interval | None = None
    ratio: Interval | None = None
    posterior: Interval | None = None
    shift: Interval | None = None
    target: tuple[Interval, Interval] | None = None
    reason: str = ""


def update_people(
    argument: Argument,
    item: str,
    k: int | None = None,
    n: int | None = None,
    is_observed: bool = True,
    *,
    to: str | None = None,
) -> list[Update]:
    """Updates each person's belief on an evidence item, or one person's belief on an open question.

    Args:
        argument: the crux file, as `load_argument` returns it.
        item: the id of an evidence entry or of a question.
        k, n: the numbers of successes and of cases, for evidence that is a count.
        is_observed: whether the observation was made; otherwise, its opposite was observed.
        to: for a question, the new belief in its premise, as a value such as '60%'.

    Only a ratio that the file gives for a person moves that person's belief; there are no default ratios.

    Returns one `Update` per person of the file; for a question, one `Update`.
    """
    if item in argument.content.questions:
        return [_update_on_question(argument, argument.content.questions[item], to)]
    require_known_name("evidence or question", item, {*argument.content.evidence, *argument.content.questions})
    require(to is None, f"{item!r} is evidence, not a question.", "Run the command without --to.")
    evidence = argument.content.evidence[item]
    has_count = k is not None and n is not None
    remedy = "Use --k 7 --n 10, or --findings DIR."
    require(has_count or not evidence.is_count, f"{item!r} is a count, so k and n are needed.", remedy)
    remedy = "Run the command without --k and --n."
    require(evidence.is_count or k is None, f"{item!r} is a single observation.", remedy)
    if k is not None and n is not None:
        require_count(k, n)
    return [
        _update_person(argument, evidence, person, k, n, is_observed=is_observed) for person in argument.content.people
    ]


def find_likelihood_ratio(
    evidence: Evidence, person: str, k: int | None, n: int | None, is_observed: bool
) -> tuple[Interval | None, str]:
    """Returns the interval of a person's likelihood ratio and '' or, without a ratio, None and what to ask for."""
    if k is not None and n is not None:
        if person not in evidence.hypotheses:
            question = f"ask for the rate they expect if {evidence.event} holds and if it does not"
            return None, f"the file gives {person} no hypotheses for {evidence.id}: {question}"
        ratio = find_count_ratio(k, n, *evidence.hypotheses[person])
        return (ratio, ratio), ""
    table = evidence.ratios if is_observed else evidence.opposite_ratios
    if person not in table:
        suffix = "" if is_observed else " for not observing it"
        return None, f"the file gives {person} no likelihood ratio{suffix} for {evidence.id}: ask for it"
    return table[person], ""


def _update_person(
    argument: Argument, evidence: Evidence, person: str, k: int | None, n: int | None, *, is_observed: bool
) -> Update:
    about = evidence.event
    update = Update(person, str(about), "cannot move")
    if argument.find_refusal(person, about):
        return replace(update, reason=f"{person} declines the question {about}")
    ratio, request = find_likelihood_ratio(evidence, person, k, n, is_observed)
    bounds = argument.build_polytope(person).bound(about)
    prior = bounds.interval
    if prior is None:
        return replace(update, reason=f"the status of {about} in {person}'s claims is {bounds.status}")
    if ratio is None:
        return replace(update, status="asked", prior=prior, reason=request)
    power = evidence.transfer.get(person, 1.0)
    ratio = (ratio[0] ** power, ratio[1] ** power)
    shift = tuple(float(x) for x in compute_logs(np.array(ratio)))
    update = replace(update, prior=prior, ratio=ratio, posterior=prior, shift=(shift[0], shift[1]))
    if _is_vacuous(prior):
        return replace(update, reason="there is no prior claim, and [0, 1] stays [0, 1] under any ratio")
    if prior in ((0.0, 0.0), (1.0, 1.0)):
        return replace(update, reason="a probability of 0 or 1 does not move")
    reason = ""
    if prior[0] <= 0:
        reason = "the lower end 0 does not move: only a claim with a lower bound can change that"
    elif prior[1] >= 1:
        reason = "the upper end 1 does not move: only a claim with an upper bound can change that"
    if power != 1:
        reason = f"{reason}. " * bool(reason) + f"{person} raises the ratio to the power {power:g} for the transfer"
    target, posterior = _update_target(argument, person, about, ratio), update_interval(prior, ratio)
    for claim in argument.content.claims.values():
        if claim.kind == "posterior" and claim.after == evidence.id and claim.people == (person,) and claim.value:
            low, high = claim.value.select_interval()
            fits = "fits" if low <= posterior[1] and high >= posterior[0] else "does not fit"
            word = f"{person} says {claim.value.text!r} afterwards ({claim.id}), [{low:g}, {high:g}], which {fits}"
            reason = f"{reason}. " * bool(reason) + word
    return replace(update, status="moved", posterior=posterior, target=target, reason=reason)


def _is_vacuous(interval: Interval) -> bool:
    return interval[0] <= 0 and interval[1] >= 1


def _update_target(argument: Argument, person: str, event: Event, ratio: Interval) -> tuple[Interval, Interval] | None:
    if argument.content.query is None:
        return None
    target, condition = argument.choose_question(person)
    polytope = argument.build_polytope(person)
    if not polytope.select_connected(target.atoms | condition.atoms).atoms & event.atoms:
        return None
    before = polytope.bound(target, condition).interval
    sides = {0.0: negate(event), float("inf"): event}  # the event that a ratio of 0 or infinity proves
    bounds = [
        polytope.bound(target, conjoin(condition, sides[end]))
        if end in sides
        else polytope.bound(target, condition, (event, end))
        for end in ratio
    ]
    lows, highs = [b.low for b in bounds if b.low is not None], [b.high for b in bounds if b.high is not None]
    return (before, (min(lows), max(highs))) if before and lows else None


def _update_on_question(argument: Argument, question: Question, new_belief: str | None) -> Update:
    person, about, via = question.person, question.event, question.premise
    polytope = argument.build_polytope(person)
    sides = {condition: polytope.bound(about, condition).interval for condition in (via, negate(via))}
    unstated_conditions = [c for c, interval in sides.items() if interval is None or _is_vacuous(interval)]
    prefix = f"{question.id}, asked by {question.asker}"
    update = Update(person, str(about), "asked")
    if unstated_conditions:
        unstated = " and no ".join(f"P({about} | {condition})" for condition in unstated_conditions)
        return replace(update, reason=f"{prefix}: {person} states no {unstated}; without them any answer is possible")
    if new_belief is None:
        return replace(update, reason=f"{prefix}: the new P({via}) is needed: --to 60%")
    present_span = polytope.bound(via).interval
    yes, no = (span or (0.0, 1.0) for span in sides.values())
    return replace(
        update,
        status="moved",
        prior=apply_jeffrey_rule(yes, no, present_span) if present_span else None,
        posterior=apply_jeffrey_rule(yes, no, read_value(new_belief).select_interval("centre")),
        reason=f"{prefix}: valid only if P({about} | {via}) and P({about} | {negate(via)}) do not change",
    )
