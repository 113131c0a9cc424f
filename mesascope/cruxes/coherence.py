"""Does it hang together: clashes with their smallest repair, warnings of scope, presupposition, wording."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mesascope.cruxes.argument import Argument
from mesascope.cruxes.bounds import Polytope
from mesascope.cruxes.claims import Claim
from mesascope.cruxes.language import SURE, negate, same
from mesascope.cruxes.readings import fits_scales, has_word
from mesascope.errors import MesascopeError

ERRORS = ("incoherent",)
KINDS = {
    "incoherent": "statements that contradict each other",
    "scope": "claims under different scopes are compared",
    "presupposition": "one side takes for granted what the other doubts",
    "ambiguous": "several readings",
    "refused": "a question that is declined",
    "unstated": "nothing is said about the target",
    "impossible_given": "a condition that cannot happen, so the claim says nothing",
    "word": "a number and the word beside it disagree, or a scale lacks a word",
    "fraction": "shares, not chances",
    "question": "asked and not answered",
    "vocabulary": "an objection to a word",
}


@dataclass(frozen=True)
class Issue:
    """One thing to know before believing a number.

    Args:
        kind: one of `KINDS`; only 'incoherent' is an error, all else are warnings.
        people, claims, bridges: who and what is involved; bridges are the modeller's, never a person's.
        says: what is the matter, in one sentence.
        fix: what would settle it.
    """

    kind: str
    people: tuple[str, ...]
    claims: tuple[str, ...]
    says: str
    fix: str = ""
    bridges: tuple[str, ...] = ()

    @property
    def error(self) -> bool:
        """Whether it makes the check fail."""
        return self.kind in ERRORS


@dataclass(frozen=True)
class Clash:
    """Statements that contradict each other.

    Args:
        claims, bridges: an irreducible subset: without any one of them the rest agree.
        repair: the least total change (L1, in joint probability) over all of the person's claims.
        single: per claim of the subset, the values in [low, high] that would settle it alone.
    """

    claims: tuple[str, ...]
    bridges: tuple[str, ...]
    repair: dict[str, float]
    single: dict[str, tuple[float, float]]


def find_clashes(polytope: Polytope, most: int = 12) -> list[Clash]:
    """Every clash, each an irreducible subset (Reiter's hitting-set search).

    Args:
        polytope: one person's statements.
        most: how many clashes are named at most.

    Returns [] exactly where the statements agree; no clash contains another.
    """
    if polytope.feasible:
        return []
    repair, rules = polytope.repair(), {r.id for r in polytope.rules}
    cores: list[tuple[str, ...]] = []
    queue: list[frozenset[str]] = [frozenset()]
    seen = set(queue)
    while queue and len(cores) < most and len(seen) < 200:
        removed = queue.pop(0)
        core = next((c for c in cores if not removed & set(c)), None)
        if core is None:
            core = polytope.without(*removed).conflict()
            if not core:
                continue
            cores.append(core)
        for item in core:
            fewer = removed | {item}
            if fewer not in seen:
                seen.add(fewer)
                queue.append(fewer)
    return [_describe(polytope, core, rules, repair) for core in cores]


def _describe(polytope: Polytope, core: tuple[str, ...], rules: set[str], repair: dict[str, float]) -> Clash:
    claims = tuple(i for i in core if i not in rules)
    kept = polytope.without(*({c.id for c in polytope.constraints} | rules) - set(core))
    single = {}
    for claim in kept.constraints:
        others = kept.without(claim.id)
        bounds = others.bound(claim.event, claim.given) if others.feasible else None
        if bounds and bounds.low is not None and bounds.high is not None:
            single[claim.id] = (bounds.low, bounds.high)
    return Clash(
        claims, tuple(i for i in core if i in rules), {k: v for k, v in repair.items() if k in claims}, single
    )


def check_argument(argument: Argument) -> list[Issue]:
    """Everything a reader should know before believing a number on this argument.

    Args:
        argument: the argument, under its conventions.

    Returns issues, errors first; only incoherence is an error.
    """
    issues = [issue for person in argument.content.people for issue in _check_person(argument, person)]
    issues += [
        *_check_comparison(argument),
        *_check_fractions(argument),
        *_check_words(argument),
        *_check_talk(argument),
    ]
    return sorted(issues, key=lambda issue: not issue.error)


def _check_person(argument: Argument, person: str) -> Iterator[Issue]:
    polytope = argument.polytope(person)
    clashes = find_clashes(polytope)
    for clash in clashes:
        changes = "; ".join(f"change {c} by {v:.4g}" for c, v in clash.repair.items())
        singles = "; or ".join(
            f"{c} alone to within [{lo:.4g}, {hi:.4g}]" for c, (lo, hi) in clash.single.items()
        )
        fix = " — ".join(
            x for x in (changes and f"smallest total change (joint probability): {changes}", singles) if x
        )
        named = ", ".join((*clash.claims, *clash.bridges))
        says = f"{named} contradict each other, and no smaller part of them does."
        yield Issue(
            "incoherent", (person,), clash.claims, says, fix or "Change one of the bridges.", clash.bridges
        )
    for claim in [] if clashes else argument.numeric_claims(person):
        if claim.given.operator != "sure":
            chance = polytope.bound(claim.given)
            if chance.status == "bounded" and chance.high is not None and chance.high <= 1e-9:
                yield Issue(
                    "impossible_given",
                    (person,),
                    (claim.id,),
                    f"{claim.id} is conditional on {claim.given}, which {person}'s claims exclude.",
                    "Leave it: it is satisfied whatever its value.",
                    argument.bridges_for(person),
                )
    for claim in argument.content.claims.values():
        if claim.by == (person,) and claim.wordings:
            yield Issue(
                "ambiguous",
                (person,),
                (claim.id,),
                f"{claim.id} can be read in {len(claim.wordings) + 1} ways: as written, or "
                + ", or ".join(f"{label!r}" for label in claim.wordings)
                + ".",
                "Every answer that rests on it is given under each.",
            )
    query = argument.content.query
    if query and not clashes and person in query.compare:
        try:
            answer = argument.answer(person, wordings=False)
        except MesascopeError:
            return
        if answer.status == "unstated":
            yield Issue(
                "unstated",
                (person,),
                (),
                f"{person} says nothing that bounds {query.target}: [0, 1].",
                "State a claim that bears on it, or add a bridge.",
            )


def _check_comparison(argument: Argument) -> Iterator[Issue]:
    content, query = argument.content, argument.content.query
    people = query.compare if query else ()
    for i, one in enumerate(people):
        for other in people[i + 1 :]:
            first, second = content.people[one].scope, content.people[other].scope
            if set(first) != set(second):
                yield Issue(
                    "scope",
                    (one, other),
                    (),
                    f"{one} speaks under {_list(first)}, {other} under {_list(second)}.",
                    "Ask each for the other's scope, or read the gap as one of scope in part.",
                )
    if query and len(query.compare) > 1:
        conditions = {p: query.given.get(p, SURE) for p in query.compare}
        if len({str(c) for c in conditions.values()}) > 1:
            said = ", ".join(
                f"{p} given {c}" if c.operator != "sure" else f"{p} outright" for p, c in conditions.items()
            )
            yield Issue(
                "presupposition",
                tuple(conditions),
                (),
                f"The target {query.target} is compared: {said}.",
                "Do not subtract one from the other without a claim on the condition.",
            )
    for one in people:
        for claim in argument.numeric_claims(one):
            for other in people:
                if other == one or claim.given.operator == "sure":
                    continue
                rivals = [c for c in argument.numeric_claims(other) if _overlap(claim, c)]
                for rival in rivals:
                    if not same(claim.given, rival.given):
                        yield Issue(
                            "presupposition",
                            (one, other),
                            (claim.id, rival.id),
                            f"{claim.id} is given {claim.given}; {rival.id} is "
                            + (
                                f"given {rival.given}."
                                if rival.given.operator != "sure"
                                else "unconditional."
                            ),
                            "They answer different questions: translate one before comparing.",
                        )


def _overlap(one: Claim, other: Claim) -> bool:
    return bool(one.event and other.event and one.event.atoms() & other.event.atoms())


def _check_fractions(argument: Argument) -> Iterator[Issue]:
    shares: dict[tuple[str, str], list[Claim]] = {}
    for claim in argument.content.claims.values():
        if claim.kind == "fraction":
            shares.setdefault((claim.by[0], claim.population), []).append(claim)
    for (person, population), claims in shares.items():
        ids = tuple(c.id for c in claims)
        least = sum(argument.value_of(c).span("set")[0] for c in claims)
        if population and len(claims) > 1 and least > 1 + 1e-12:
            yield Issue(
                "incoherent",
                (person,),
                ids,
                f"{', '.join(ids)} are shares of the same {population}; together "
                f"they are at least {least:.4g}.",
                f"Lower them by {least - 1:.4g} in total.",
            )
        else:
            yield Issue(
                "fraction",
                (person,),
                ids,
                f"{', '.join(ids)} are shares of a population, not chances.",
                "They enter no chain of probabilities.",
            )


def _check_words(argument: Argument) -> Iterator[Issue]:
    words = argument.conventions.words
    for claim in argument.content.claims.values():
        if claim.value and claim.value.shape == "word" and not has_word(words, claim.value.stated):
            yield Issue(
                "word",
                claim.by,
                (claim.id,),
                f"{claim.id} says {claim.value.stated!r}, which the scale {words!r} does not have.",
                f"It is read as [{claim.value.low:g}, {claim.value.high:g}], as under 'union'.",
            )
        if claim.value is None or not claim.verbal or claim.value.shape == "word":
            continue
        fits = fits_scales(claim.value, claim.verbal)
        wrong = [scale for scale, good in fits.items() if not good]
        if wrong:
            right = [scale for scale, good in fits.items() if good]
            yield Issue(
                "word",
                claim.by,
                (claim.id,),
                f"{claim.id} says {claim.verbal!r} and {claim.value.stated}, which "
                f"does not fit {_list(wrong)}" + (f" (it fits {_list(right)})." if right else "."),
                "The number wins.",
            )


def _check_talk(argument: Argument) -> Iterator[Issue]:
    for refusal in argument.content.refusals:
        instead = f" and offers {refusal.instead} instead" if refusal.instead else ""
        yield Issue(
            "refused",
            (refusal.by,),
            refusal.of,
            f"{refusal.by} declines what {', '.join(refusal.of)} put, for "
            f"this reason: {refusal.reason}{instead}.",
            "It enters no share and no pool of that person.",
        )
    for question in argument.content.questions.values():
        yield Issue(
            "question",
            (question.by, question.to),
            (),
            f"{question.id}: {question.by} asked {question.to}: {question.text or question.about}",
            f"It needs {question.to}'s P({question.about} | {question.via}) "
            f"and P({question.about} | {negate(question.via)}).",
        )
    for claim in argument.content.claims.values():
        if claim.kind == "ambiguity":
            yield Issue(
                "ambiguous",
                claim.by,
                (claim.id,),
                f"{claim.phrase!r} stands for {len(claim.events)} events: "
                f"{', '.join(str(e) for e in claim.events)}.",
                "Ask about each on its own.",
            )
        elif claim.kind == "objection":
            yield Issue(
                "vocabulary",
                claim.by,
                (claim.id,),
                f"{claim.phrase!r}: {claim.text}.",
                "Say the event instead.",
            )
        if (
            claim.kind in ("prob", "prior")
            and claim.used
            and claim.event is not None
            and argument.refusal(claim.by[0], claim.event)
        ):
            yield Issue(
                "refused",
                claim.by,
                (claim.id,),
                f"{claim.id} answers a question that {claim.by[0]} declines.",
                "It is left out; withdraw the refusal to use it.",
            )


def _list(items: object) -> str:
    items = list(items)  # type: ignore[call-overload]
    return " and ".join(repr(x) for x in items) if items else "no stated scope"
