"""Checks an argument: finds contradictions with their smallest repair, and claims that need a warning."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np

from mesascope.cruxes.argument import Argument
from mesascope.cruxes.bounds import Polytope
from mesascope.cruxes.claims import NUMERIC_KINDS, Claim
from mesascope.cruxes.language import SURE_EVENT, are_equivalent, negate
from mesascope.cruxes.readings import compare_with_scales, has_word
from mesascope.errors import MesascopeError


@dataclass(frozen=True)
class Issue:
    """A contradiction or a warning that a reader should know before believing a number.

    Args:
        kind: 'incoherent' (statements contradict each other), which is an error, or the kind of a warning, which is
            'scope' (people speak under different scopes), 'presupposition' (claims or questions that are compared have
            different conditions), 'ambiguous' (a claim has several readings), 'refused' (a person declines a question),
            'unstated' (no claim bounds the target), 'impossible_given' (the condition of a claim cannot happen, so the
            claim does not apply), 'word' (a number and its word disagree, or a scale lacks a word), 'fraction' (values
            are shares and not chances), 'question' (a question has no answer), 'vocabulary' (a person objects to a
            word), 'retraction' (a claim was withdrawn) or 'agreement' (a person agreed with a claim).
        people, claims, bridges: the ids of the people, claims and bridges involved.
        problem: the problem, in one sentence.
        remedy: what would settle the problem.
    """

    kind: str
    people: tuple[str, ...]
    claims: tuple[str, ...]
    problem: str
    remedy: str = ""
    bridges: tuple[str, ...] = ()

    @property
    def is_error(self) -> bool:
        """Whether the issue makes the check fail."""
        return self.kind == "incoherent"


@dataclass(frozen=True)
class Clash:
    """Statements that contradict each other.

    Args:
        claims, bridges: the ids of the claims and of the bridges in an irreducible set of contradictory statements; if
            any of these statements is removed, the others agree.
        repair: by how much these claims change in the smallest repair of all claims (`Polytope.find_repair`); claims
            that do not change are missing.
        single_changes: for each of these claims whose change alone can remove all of a person's contradictions, the
            interval of the values that the claim could have.
        joint_changes: the new intervals, by claim, that together remove all of a person's contradictions; empty if no
            such intervals were found.
    """

    claims: tuple[str, ...]
    bridges: tuple[str, ...]
    repair: dict[str, float]
    single_changes: dict[str, tuple[float, float]]
    joint_changes: dict[str, tuple[float, float]]


def find_clashes(polytope: Polytope, limit: int = 12) -> list[Clash]:
    """Finds irreducible sets of statements that contradict each other, by Reiter's hitting-set search.

    Args:
        polytope: one person's statements.
        limit: the largest number of clashes to find.

    Returns an empty list if and only if the statements agree. No clash contains another clash.
    """
    if polytope.is_feasible:
        return []
    repair, rules = polytope.find_repair(), {r.id for r in polytope.rules}
    cores: list[tuple[str, ...]] = []
    queue: list[frozenset[str]] = [frozenset()]
    visited = set(queue)
    while queue and len(cores) < limit and len(visited) < 200:
        removed_ids = queue.pop(0)
        core = next((c for c in cores if not removed_ids & set(c)), None)
        if core is None:
            core = polytope.drop(*removed_ids).find_conflict()
            if not core:
                continue
            cores.append(core)
        for item in core:
            more_removed_ids = removed_ids | {item}
            if more_removed_ids not in visited:
                visited.add(more_removed_ids)
                queue.append(more_removed_ids)
    single_changes = _find_single_changes(polytope, {name for core in cores for name in core})
    joint_changes = {
        name: _round_span(*span, is_outward=True) for name, span in polytope.find_repaired_values().items()
    }
    if not polytope.replace_intervals(joint_changes).is_feasible:
        joint_changes = {}
    clashes = []
    for core in cores:
        claims, bridges = (tuple(i for i in core if (i in rules) == is_rule) for is_rule in (False, True))
        changes = {i: repair[i] for i in claims if i in repair}
        alone = {i: single_changes[i] for i in claims if i in single_changes}
        clashes.append(Clash(claims, bridges, changes, alone, joint_changes))
    return clashes


def _find_single_changes(polytope: Polytope, names: set[str]) -> dict[str, tuple[float, float]]:
    """Finds each claim whose change alone can remove all contradictions, with the interval of its possible values."""
    changes = {}
    for claim in polytope.constraints:
        interval = polytope.drop(claim.id).bound(claim.event, claim.condition).interval if claim.id in names else None
        if interval:
            span = _round_span(*interval, is_outward=False)
            if all(polytope.replace_intervals({claim.id: (end, end)}).is_feasible for end in span):
                changes[claim.id] = span
    return changes


def _round_span(low: float, high: float, *, is_outward: bool) -> tuple[float, float]:
    """Rounds an interval to four significant digits, outward or inward, unless it would become empty."""
    scale = 10.0 ** (3 - int(np.floor(np.log10(max(high, 1e-12)))))
    down, up = (np.floor, np.ceil) if is_outward else (np.ceil, np.floor)
    span = (
        float(down(low * scale - (0 if is_outward else 1e-9)) / scale),
        float(up(high * scale + (0 if is_outward else 1e-9)) / scale),
    )
    span = max(0.0, span[0]), min(1.0, span[1])
    return span if span[0] <= span[1] else (low, high)


def check_argument(argument: Argument) -> list[Issue]:
    """Lists what a reader should know before believing a number of this argument: errors first, then warnings."""
    issues = [issue for person in argument.content.people for issue in _check_person(argument, person)]
    for check in (_check_comparison, _check_fractions, _check_words, _check_conversation):
        issues += check(argument)
    return sorted(issues, key=lambda issue: not issue.is_error)


def _make_issue(claim: Claim, kind: str, message: str, remedy: str) -> Issue:
    return Issue(kind, claim.people, (claim.id,), message, remedy)


def _check_person(argument: Argument, person: str) -> Iterator[Issue]:
    polytope = argument.build_polytope(person)
    clashes = find_clashes(polytope)
    for clash in clashes:
        fixes = [f"change {c} alone to within [{lo:.4g}, {hi:.4g}]" for c, (lo, hi) in clash.single_changes.items()]
        if clash.joint_changes:
            spans = [f"{c} to [{lo:.4g}, {hi:.4g}]" for c, (lo, hi) in clash.joint_changes.items()]
            fixes.append(f"{'set' if len(spans) == 1 else 'set together'} {' and '.join(spans)}, the smallest change")
        fix = f"This settles all of {person}'s contradictions: {'; or '.join(fixes)}." if fixes else ""
        fix = fix or "No change of claims that was tried removes the contradictions: change a bridge or a comparison."
        names = ", ".join((*clash.claims, *clash.bridges))
        message = f"{names} contradict each other, but would agree if any one of them were left out."
        yield Issue("incoherent", (person,), clash.claims, message, fix, clash.bridges)
    for claim in [] if clashes else argument.list_claims(person):
        if claim.condition != SURE_EVENT and not polytope.is_possible(claim.condition):
            message = f"{claim.id} is conditional on {claim.condition}, which {person}'s claims exclude."
            fix, bridges = "Leave the claim as it is: any value satisfies it.", argument.list_bridges(person)
            yield Issue("impossible_given", (person,), (claim.id,), message, fix, bridges)
    for claim in argument.content.claims.values():
        if claim.people == (person,) and claim.interpretations:
            alternatives = ", or ".join(map(repr, claim.interpretations))
            default = repr(claim.reading_name) if claim.reading_name else "as written"
            message = f"{claim.id} can be read in {len(claim.interpretations) + 1} ways: {default}, or {alternatives}."
            yield _make_issue(claim, "ambiguous", message, "Every answer that uses it is repeated under each reading.")
    query = argument.content.query
    if query and not clashes and person in query.people:
        with suppress(MesascopeError):
            if argument.answer(person, should_add_variants=False).status == "unstated":
                message = f"{person}'s claims do not bound {query.target}: [0, 1]."
                fix = "State a claim that bears on it, or add a bridge."
                yield Issue("unstated", (person,), (), message, fix)


def _check_comparison(argument: Argument) -> Iterator[Issue]:
    content, query = argument.content, argument.content.query
    if query is None:
        return
    for one, other in combinations(query.people, 2):
        first, second = content.people[one].scope, content.people[other].scope
        if set(first) != set(second):
            message = f"{one} speaks under {_join_names(first)}, {other} under {_join_names(second)}."
            fix = "Ask each person under the other's scope, because part of the gap may be due to scope."
            yield Issue("scope", (one, other), (), message, fix)
    conditions = {person: argument.find_query_condition(person) for person in query.people}
    if len({str(c) for c in conditions.values()}) > 1:
        questions = ", ".join(
            f"{p} unconditionally" if c == SURE_EVENT else f"{p} given {c}" for p, c in conditions.items()
        )
        message = f"The query asks for {query.target} under different conditions: {questions}."
        fix = "These answers are not compared: `gap`, `vod` and `pool` ask everybody the same question."
        yield Issue("presupposition", tuple(conditions), (), message, fix)
    claims = [(person, claim) for person in query.people for claim in argument.list_claims(person)]
    for (one, claim), (other, other_claim) in permutations(claims, 2):
        assert claim.event is not None and other_claim.event is not None
        is_related = one != other and claim.event.atoms & other_claim.event.atoms
        if is_related and claim.condition != SURE_EVENT and not are_equivalent(claim.condition, other_claim.condition):
            other_condition = (
                "unconditional" if other_claim.condition == SURE_EVENT else f"conditional on {other_claim.condition}"
            )
            message = f"{claim.id} is conditional on {claim.condition}; {other_claim.id} is {other_condition}."
            fix = "The two claims answer different questions: translate one of them before comparing."
            yield Issue("presupposition", (one, other), (claim.id, other_claim.id), message, fix)


def _check_fractions(argument: Argument) -> Iterator[Issue]:
    shares: dict[tuple[str, str], list[Claim]] = {}
    for claim in argument.content.claims.values():
        if claim.kind == "fraction":
            shares.setdefault((claim.people[0], claim.population), []).append(claim)
    for (person, population), claims in shares.items():
        ids = tuple(c.id for c in claims)
        total = sum(argument.pick_value(c).select_interval("set")[0] for c in claims)
        if population and len(claims) > 1 and total > 1 + 1e-12:
            message = f"{', '.join(ids)} are shares of the same {population}; together they are at least {total:.4g}."
            yield Issue("incoherent", (person,), ids, message, f"Lower them by {total - 1:.4g} in total.")
        else:
            message = f"{', '.join(ids)} are shares of a population, not chances."
            yield Issue("fraction", (person,), ids, message, "They cannot be parts of a chain of probabilities.")


def _check_words(argument: Argument) -> Iterator[Issue]:
    words = argument.conventions.words
    for claim in argument.content.claims.values():
        value = claim.value
        if value is None:
            continue
        if value.shape == "word" and not has_word(words, value.text):
            message = f"{claim.id} says {value.text!r}, which the scale {words!r} does not have."
            fix = f"It is read as under 'union': [{value.low:g}, {value.high:g}]."
            yield _make_issue(claim, "word", message, fix)
        fits = compare_with_scales(value, claim.word) if claim.word and value.shape != "word" else {}
        matches = [scale for scale, fits_scale in fits.items() if fits_scale]
        misfits = [scale for scale, fits_scale in fits.items() if not fits_scale]
        if misfits:
            message = f"{claim.id} says {claim.word!r} and {value.text}, which does not fit {_join_names(misfits)}"
            message += f" (it fits {_join_names(matches)})." if matches else "."
            yield _make_issue(claim, "word", message, "The number is used, not the word.")


def _check_conversation(argument: Argument) -> Iterator[Issue]:
    for refusal in argument.content.refusals:
        message = f"{refusal.person} declines the question of {', '.join(refusal.claims)}: {refusal.reason}"
        message += f"; offers {refusal.offered_claim} instead." if refusal.offered_claim else "."
        fix = "This question is left out of that person's shares and pools."
        yield Issue("refused", (refusal.person,), refusal.claims, message, fix)
    for question in argument.content.questions.values():
        asker, person, event, premise = question.asker, question.person, question.event, question.premise
        message = f"{question.id}: {asker} asked {person}: {question.text or event}"
        fix = f"An answer needs {person}'s P({event} | {premise}) and P({event} | {negate(premise)})."
        yield Issue("question", (asker, person), (), message, fix)
    for reply in argument.content.replies:
        word = "withdrew" if reply.kind == "retraction" else "agreed with"
        message = f"{reply.person} {word} {', '.join(reply.claims)}: {reply.quote or reply.text}."
        fix = "The claim enters no answer." if reply.kind == "retraction" else "An agreement adds no number."
        yield Issue(reply.kind, (reply.person,), reply.claims, message, fix)
    for claim in argument.content.claims.values():
        if claim.kind == "ambiguity":
            events = ", ".join(map(str, claim.events))
            message = f"{claim.phrase!r} stands for {len(claim.events)} events: {events}."
            yield _make_issue(claim, "ambiguous", message, "Ask about each event separately.")
        elif claim.kind == "objection":
            yield _make_issue(claim, "vocabulary", f"{claim.phrase!r}: {claim.text}.", "Name the event instead.")
        elif claim.kind in NUMERIC_KINDS and claim.is_used and claim.event:
            refusal = argument.find_refusal(claim.people[0], claim.event)
            if refusal:
                message = f"{claim.id} answers a question that {claim.people[0]} declines."
                yield _make_issue(claim, "refused", message, "The claim is left out; to use it, withdraw the refusal.")


def _join_names(items: Sequence[str]) -> str:
    return " and ".join(map(repr, items)) if items else "no stated scope"
