"""What an observation should do to each person: through that person's own ratios, or not at all."""

from dataclasses import dataclass, replace

import numpy as np

from mesascope.cruxes.argument import Argument
from mesascope.cruxes.claims import Evidence, Question
from mesascope.cruxes.language import Event, negate
from mesascope.cruxes.readings import read_value
from mesascope.errors import MesascopeError, pick_named

Interval = tuple[float, float]
MOST_COUNTED = 10**9


def update_set(prior: Interval, ratio: Interval) -> Interval:
    """Bayes on sets: posterior odds are prior odds times the ratio, end by end.

    Args:
        prior: [l, u] in [0, 1].
        ratio: [r, R], positive.

    0 and 1 never move, and [0, 1] stays [0, 1].
    """
    (low, high), (least, most) = prior, ratio
    return low * least / (1 - low + low * least), high * most / (1 - high + high * most)


def weigh_count(k: int, n: int, if_true: Interval, if_false: Interval) -> float:
    """The likelihood ratio of k of n under two hypotheses about the rate, each a Beta (beta-binomial).

    Args:
        k, n: 0 <= k <= n.
        if_true, if_false: (a, b) of the rate if the event holds, and if not.
    """
    require_count(k, n)
    from scipy.special import betaln

    (a1, b1), (a0, b0) = if_true, if_false
    return float(
        np.exp(betaln(a1 + k, b1 + n - k) - betaln(a1, b1) - betaln(a0 + k, b0 + n - k) + betaln(a0, b0))
    )


def require_count(k: int, n: int) -> None:
    """Raise `MesascopeError` unless 0 <= k <= n and 1 <= n <= 10^9."""
    if n > MOST_COUNTED:
        raise MesascopeError("That is more than can have been counted.", f"n is at most {MOST_COUNTED}.")
    if not (0 <= k <= n and n >= 1):
        raise MesascopeError(f"{k} of {n} is no count.", "Give 0 <= k <= n and n at least 1: --k 7 --n 10.")


def carry_over(if_yes: Interval, if_no: Interval, via: Interval) -> Interval:
    """Jeffrey's rule on sets: P'(M) = P(M|I)·P'(I) + P(M|not I)·(1 - P'(I)).

    Valid only if P(M|I) and P(M|not I) are unchanged by the evidence. Ends lie at ends of P'(I).
    """
    low = min(if_yes[0] * p + if_no[0] * (1 - p) for p in via)
    return low, max(if_yes[1] * p + if_no[1] * (1 - p) for p in via)


@dataclass(frozen=True)
class Update:
    """What one observation does to one person.

    Args:
        status: 'moved', 'cannot move' (and why), 'asked' (only this person can give what is missing).
        prior, posterior: intervals; ratio: the likelihood ratio set; shift: change of log-odds, as a set.
        target: the query's target before and after, where the evidence reaches it.
        reason: why not, or what is asked for; kept beside the number otherwise.
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
    observed: bool = True,
    *,
    to: str | None = None,
) -> list[Update]:
    """What an evidence item (or an open question) should do to each person.

    Args:
        argument: the argument.
        item: the id of an evidence entry or of a question.
        k, n: for evidence that counts.
        observed: False where it was observed not to hold.
        to: for a question, P'(via) as a value such as '60%', the belief it is asked under.

    A person moves only through a ratio that the file gives for that person; none is ever supplied.
    """
    if item in argument.content.questions:
        return [_answer_question(argument, argument.content.questions[item], to)]
    pick_named("evidence or question", item, {*argument.content.evidence, *argument.content.questions})
    if to is not None:
        raise MesascopeError(f"{item!r} is evidence, not a question.", "Leave --to out.")
    evidence = argument.content.evidence[item]
    if evidence.counts and (k is None or n is None):
        raise MesascopeError(
            f"{item!r} counts: how many of how many?", "Say --k 7 --n 10, or --findings DIR."
        )
    if not evidence.counts and k is not None:
        raise MesascopeError(f"{item!r} is a single observation.", "Leave --k and --n out.")
    if k is not None and n is not None:
        require_count(k, n)
    return [
        _update_person(argument, evidence, person, k, n, observed=observed)
        for person in argument.content.people
    ]


def ratio_for(
    evidence: Evidence, person: str, k: int | None, n: int | None, observed: bool
) -> tuple[Interval | None, str]:
    """The likelihood ratio set that the file gives for a person, or None and what has to be asked."""
    if k is not None and n is not None:
        if person not in evidence.hypotheses:
            return None, (
                f"the file gives {person} no hypotheses for {evidence.id}: ask for the rate they expect if "
                f"{evidence.about} holds and if not"
            )
        ratio = weigh_count(k, n, *evidence.hypotheses[person])
        return (ratio, ratio), ""
    table = evidence.ratios if observed else evidence.against
    if person not in table:
        word = "" if observed else " for not observing it"
        return None, f"the file gives {person} no likelihood ratio{word} for {evidence.id}: ask for it"
    return table[person], ""


def _update_person(
    argument: Argument, evidence: Evidence, person: str, k: int | None, n: int | None, *, observed: bool
) -> Update:
    about = evidence.about
    update = Update(person, str(about), "cannot move")
    if argument.refusal(person, about):
        return replace(update, reason=f"{person} declines the question {about}")
    ratio, ask = ratio_for(evidence, person, k, n, observed)
    bounds = argument.polytope(person).bound(about)
    prior = bounds.span
    if prior is None:
        return replace(update, reason=f"{person}'s claims are {bounds.status} on {about}")
    if ratio is None:
        return replace(update, status="asked", prior=prior, reason=ask)
    shift = (float(np.log(ratio[0])), float(np.log(ratio[1])))
    update = replace(update, prior=prior, ratio=ratio, posterior=prior, shift=shift)
    if prior[0] <= 0 and prior[1] >= 1:
        return replace(update, reason="nothing is said beforehand: [0, 1] stays [0, 1] under any ratio")
    if prior in ((0.0, 0.0), (1.0, 1.0)):
        return replace(update, reason="certainty never moves")
    reason = ""
    if prior[0] <= 0:
        reason = "the lower end 0 never moves: a lower bound is needed for it to be updatable"
    elif prior[1] >= 1:
        reason = "the upper end 1 never moves: an upper bound is needed for it to be updatable"
    target, posterior = _reach(argument, person, about, ratio), update_set(prior, ratio)
    return replace(update, status="moved", posterior=posterior, target=target, reason=reason)


def _reach(
    argument: Argument, person: str, about: Event, ratio: Interval
) -> tuple[Interval, Interval] | None:
    if argument.content.query is None:
        return None
    target, given = argument.default_question(person, None, None)
    polytope = argument.polytope(person)
    if not polytope.part(target.atoms() | given.atoms()).atoms & about.atoms():
        return None
    before = polytope.bound(target, given).span
    spans = [
        bounds.span for bounds in (polytope.bound(target, given, (about, r)) for r in ratio) if bounds.span
    ]
    if before is None or not spans:
        return None
    return before, (min(low for low, _ in spans), max(high for _, high in spans))


def _answer_question(argument: Argument, question: Question, to: str | None) -> Update:
    person, about, via = question.to, question.about, question.via
    polytope = argument.polytope(person)
    sides = {condition: polytope.bound(about, condition).span for condition in (via, negate(via))}
    missing = [
        f"P({about} | {condition})"
        for condition, span in sides.items()
        if span is None or (span[0] <= 0 and span[1] >= 1)
    ]
    told = f"{question.id}, asked by {question.by}"
    update = Update(person, str(about), "asked")
    if missing:
        unsaid = " and no ".join(missing)
        return replace(update, reason=f"{told}: {person} states no {unsaid}; without, any answer is possible")
    if to is None:
        return replace(update, reason=f"{told}: under which P({via})? Say --to 60%")
    now = polytope.bound(via).span
    yes, no = (span or (0.0, 1.0) for span in sides.values())
    return replace(
        update,
        status="moved",
        prior=carry_over(yes, no, now) if now else None,
        posterior=carry_over(yes, no, read_value(to).span("centre")),
        reason=f"{told}: valid only if P({about} | {via}) and P({about} | {negate(via)}) stay what they were",
    )
