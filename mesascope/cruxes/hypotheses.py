"""Accumulates evidence: each person's belief in several hypotheses, updated by that person's own likelihoods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import combinations, product

import numpy as np

from mesascope.cruxes.argument import Argument
from mesascope.cruxes.bounds import Polytope, Rule
from mesascope.cruxes.claims import Evidence
from mesascope.cruxes.disagreement import MAX_PLAYERS, compute_shapley_values
from mesascope.cruxes.language import Event, conjoin, negate
from mesascope.errors import MesascopeError, require, require_known_name

Interval = tuple[float, float]
MAX_HYPOTHESES = 8
_LARGEST_LOG = 700.0


@dataclass(frozen=True)
class ItemWeight:
    """One person's likelihoods of one evidence item, and how strongly the item counts.

    Args:
        id: the id of the item.
        likelihoods: the interval of the chance of the observation under each hypothesis.
        exponent: the power to which the likelihoods are raised, which is the product of the discounts of the item's
            groups and of the person's transfer. A power of 1 counts the item in full, and 0 ignores it.
    """

    id: str
    likelihoods: tuple[Interval, ...]
    exponent: float


@dataclass(frozen=True)
class Posterior:
    """One person's belief in each hypothesis before and after some evidence.

    Args:
        person: the id of the person.
        hypotheses: the names of the hypotheses, which exclude each other and cover every case.
        status: 'moved', 'cannot move', or 'asked' (numbers that only this person can state are missing).
        prior, posterior: for each hypothesis, the interval of its probability before and after the evidence. The prior
            follows from the person's claims. Each is empty if it cannot be computed; `reason` says why.
        items: the items for which this person states likelihoods.
        reason: why the belief cannot move, or what to ask for.
    """

    person: str
    hypotheses: tuple[str, ...]
    status: str
    prior: tuple[Interval, ...] = ()
    posterior: tuple[Interval, ...] = ()
    items: tuple[ItemWeight, ...] = ()
    reason: str = ""


def accumulate_evidence(
    argument: Argument, items: Sequence[str], people: Sequence[str] | None = None
) -> list[Posterior]:
    """Updates people's beliefs on several evidence items together.

    Args:
        argument: the crux file, as `load_argument` returns it.
        items: ids of evidence entries about one event, or over one set of hypotheses of the file.
        people: the ids of the people to update; by default everybody in the file.

    For every two items, the file must state in [independence] that they are independent given each hypothesis, or how
    far their likelihoods are discounted; otherwise `MesascopeError` is raised. If a person states no likelihoods for an
    item, the item is left out for this person, and the result's reason names the item.
    """
    evidence, hypotheses = _find_hypotheses(argument, items)
    discounts = _find_discounts(argument, items)
    return [
        _update_person(argument, person, evidence, hypotheses, discounts)
        for person in people or list(argument.content.people)
    ]


def _find_hypotheses(argument: Argument, items: Sequence[str]) -> tuple[list[Evidence], dict[str, Event]]:
    content = argument.content
    evidence = [content.evidence[require_known_name("evidence", item, content.evidence)] for item in items]
    require(len(set(items)) == len(items), "An evidence item is named twice.", "Name each item once: --evidence NAME.")
    subjects = {entry.hypothesis_set or str(entry.event) for entry in evidence}
    names = ", ".join(sorted(subjects))
    require(len(subjects) == 1, f"These items are about different things: {names}.", "Name items about one event.")
    for entry in evidence:
        is_ready = not entry.is_count or entry.observed is not None
        require(
            is_ready, f"{entry.id!r} is a count, so k and n are needed.", "Add observed = [7, 10] to it in the file."
        )
    if evidence[0].hypothesis_set:
        return evidence, content.hypotheses[evidence[0].hypothesis_set]
    event = evidence[0].event
    return evidence, {str(event): event, str(negate(event)): negate(event)}


def _find_discounts(argument: Argument, items: Sequence[str]) -> dict[str, float]:
    """Finds the product of the discounts of each item's groups; two items without a common group are an error."""
    groups = argument.content.independence.values()
    for one, other in combinations(items, 2):
        is_stated = any({one, other} <= set(group.items) for group in groups)
        remedy = (
            f'Write [independence.NAME] with items = ["{one}", "{other}"] and discount = 1 if they are independent.'
        )
        require(is_stated, f"The file does not say whether {one!r} and {other!r} are independent.", remedy)
    relevant = [group for group in groups if len(set(group.items) & set(items)) > 1]
    return {item: float(np.prod([g.discount for g in relevant if item in g.items])) for item in items}


def _update_person(
    argument: Argument,
    person: str,
    evidence: list[Evidence],
    hypotheses: dict[str, Event],
    discounts: dict[str, float],
) -> Posterior:
    names = tuple(hypotheses)
    if any(argument.find_refusal(person, event) for event in hypotheses.values()):
        return Posterior(person, names, "cannot move", reason=f"{person} declines the question")
    polytope = argument.build_polytope(person)
    polytope = Polytope(
        polytope.constraints, [*polytope.rules, _make_exclusive_rule(list(hypotheses.values()))], polytope.comparisons
    )
    bounds = [polytope.bound(event).interval for event in hypotheses.values()]
    if None in bounds:
        return Posterior(person, names, "cannot move", reason=f"{person}'s claims contradict each other")
    prior = np.array(bounds, dtype=float)
    items, items_without_likelihoods = [], []
    for entry in evidence:
        likelihoods = _find_likelihoods(entry, person, names)
        if likelihoods is None:
            items_without_likelihoods.append(entry.id)
            continue
        exponent = discounts[entry.id] * entry.transfer.get(person, 1.0)
        items.append(ItemWeight(entry.id, likelihoods, exponent))
    reason = (
        f"the file gives {person} no likelihoods for {', '.join(items_without_likelihoods)}: ask for them"
        if items_without_likelihoods
        else ""
    )
    spans = tuple((float(low), float(high)) for low, high in prior)
    if not items:
        return Posterior(person, names, "asked", spans, (), (), reason)
    vertices = list_prior_vertices(prior)
    if not len(vertices):
        reason = f"{person}'s chances of the hypotheses cannot sum to 1"
        return Posterior(person, names, "cannot move", spans, (), tuple(items), reason)
    posterior = bound_posteriors(vertices, items)
    is_vacuous = bool((prior[:, 0] <= 0).all() and (prior[:, 1] >= 1).all())
    reason = "there is no prior claim, and [0, 1] stays [0, 1]" if is_vacuous else reason
    status = "cannot move" if is_vacuous else "moved"
    return Posterior(person, names, status, spans, posterior, tuple(items), reason)


def _make_exclusive_rule(events: Sequence[Event]) -> Rule:
    """Makes the rule that exactly one of the events happens."""
    some = reduce(lambda one, other: Event("|", (one, other)), events)
    pairs = [negate(conjoin(one, other)) for one, other in combinations(events, 2)]
    return Rule("exactly one hypothesis", conjoin(some, *pairs))


def _find_likelihoods(entry: Evidence, person: str, names: tuple[str, ...]) -> tuple[Interval, ...] | None:
    """Finds the interval of the chance of an observation under each hypothesis, as a person states it.

    A stated likelihood ratio stands for the chance under the event, relative to 1 under its complement.
    """
    if entry.hypothesis_set:
        stated = entry.likelihoods.get(person)
        if stated is None:
            return None
        return tuple(_find_chance(entry, stated[name]) for name in names)
    if person in entry.hypotheses:
        return tuple(_find_chance(entry, beta, is_beta=True) for beta in entry.hypotheses[person])
    ratio = entry.ratios.get(person)
    return None if ratio is None else (ratio, (1.0, 1.0))


def _find_chance(entry: Evidence, stated_chance: Interval | list[float], is_beta: bool = False) -> Interval:
    """Finds the chance of the observation: as stated, or of k successes in n if the rate has a Beta (a, b)."""
    if not (is_beta or isinstance(stated_chance, list)):
        return stated_chance[0], stated_chance[1]
    a, b = stated_chance
    if entry.observed is None:
        return a / (a + b), a / (a + b)
    from scipy.special import betaln

    k, n = entry.observed
    chance = float(np.exp(betaln(a + k, b + n - k) - betaln(a, b)))
    return chance, chance


def list_prior_vertices(spans: np.ndarray) -> np.ndarray:
    """Lists the vertices of the set of distributions whose k chances lie in some intervals.

    Args:
        spans: the ends of the intervals, [k, 2].

    Returns the vertices, [vertices, k], which are none if no distribution fits.
    """
    k, vertices = len(spans), []
    for i in range(k):
        others = [j for j in range(k) if j != i]
        for ends in product((0, 1), repeat=k - 1):
            vertex = np.zeros(k)
            vertex[others] = [spans[j, end] for j, end in zip(others, ends, strict=True)]
            vertex[i] = 1 - vertex.sum()
            if spans[i, 0] - 1e-9 <= vertex[i] <= spans[i, 1] + 1e-9:
                vertices.append(np.clip(vertex, 0, 1))
    return np.array(vertices).reshape(-1, k)


def bound_posteriors(priors: np.ndarray, items: Sequence[ItemWeight]) -> tuple[Interval, ...]:
    """Finds the least and greatest posterior of each hypothesis by Bayes' rule.

    Args:
        priors: the vertices of the set of priors of k hypotheses, [vertices, k].
        items: the evidence items, with the likelihoods of the k hypotheses.

    The posterior of a hypothesis grows with its own likelihood and falls with every other likelihood. Its extremes
    therefore lie at the ends of the likelihoods and at vertices of the priors.
    """
    logs = sum(
        (item.exponent * _take_logs(np.array(item.likelihoods)) for item in items), np.zeros((priors.shape[1], 2))
    )
    spans = []
    for h in range(priors.shape[1]):
        ends = []
        for own, other in ((0, 1), (1, 0)):
            exponents = logs[:, other].copy()
            exponents[h] = logs[h, own]
            weights = priors * np.exp(np.clip(exponents - exponents.max(), -_LARGEST_LOG, 0))
            total = weights.sum(axis=1)
            values = weights[total > 0, h] / total[total > 0]
            ends.append(values.min() if own == 0 else values.max())
        spans.append((float(ends[0]), float(ends[1])))
    return tuple(spans)


def _take_logs(x: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.clip(np.log(x), -_LARGEST_LOG, _LARGEST_LOG)


@dataclass(frozen=True)
class RatioShare:
    """The share of one prior or one likelihood in the gap between two people's posterior log-odds of a hypothesis.

    Args:
        name: the id of an evidence item, or 'prior'.
        share: the Shapley share: the change in log-odds as the second person's numbers replace the first person's.
    """

    name: str
    share: float


def rank_ratios(
    argument: Argument, first_person: str, second_person: str, items: Sequence[str], hypothesis: str
) -> tuple[list[RatioShare], Interval]:
    """Splits the gap between two people's posteriors among their priors and likelihoods, the largest share first.

    Args:
        argument: the crux file, as `load_argument` returns it.
        first_person, second_person: the ids of the people; the gap is the second person's log-odds minus the first's.
        items: see `accumulate_evidence`.
        hypothesis: the name of the hypothesis whose posterior log-odds are compared.

    Returns the shares and each person's posterior probability. Only single numbers have shares, so sets of numbers
    raise `MesascopeError`.
    """
    sides = accumulate_evidence(argument, items, [first_person, second_person])
    names = sides[0].hypotheses
    h = names.index(require_known_name("hypothesis", hypothesis, names))
    problem = f"The two people do not both state likelihoods for {', '.join(items)}."
    require([i.id for i in sides[0].items] == [i.id for i in sides[1].items], problem, "Add them, or name other items.")
    require(len(items) < MAX_PLAYERS, f"{len(items)} items are too many.", f"At most {MAX_PLAYERS - 1} have shares.")
    tables = []
    for side in sides:
        rows = [_take_logs(np.array(side.prior))]
        rows += [item.exponent * _take_logs(np.array(item.likelihoods)) for item in side.items]
        for name, row in zip(("prior", *items), rows, strict=True):
            if np.ptp(row, axis=1).max() > 1e-9:
                problem = f"{side.person}'s numbers for {name} are a set, and only single numbers have shares of a gap."
                raise MesascopeError(problem, "State one number for each, or compare the posteriors as sets.")
        tables.append([row[:, 0] for row in rows])
    n = len(items) + 1
    values = np.empty(2**n)
    for code in range(2**n):
        logs = np.sum([tables[code >> i & 1][i] for i in range(n)], axis=0)
        rest = np.delete(logs, h)
        values[code] = logs[h] - rest.max() - np.log(np.exp(rest - rest.max()).sum())
    shares = [
        RatioShare(*pair) for pair in zip(("prior", *items), map(float, compute_shapley_values(values)), strict=True)
    ]
    ends = tuple(float(side.posterior[h][0]) for side in sides)
    return sorted(shares, key=lambda s: -abs(s.share)), (ends[0], ends[1])
