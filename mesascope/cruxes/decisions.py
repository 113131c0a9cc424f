"""Evaluates decisions: the expected utility of every action, and the value of learning something before deciding."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from mesascope.cruxes.argument import Argument
from mesascope.cruxes.language import SURE_EVENT, Event, negate
from mesascope.cruxes.quantities import N_QUANTILES, Decision
from mesascope.errors import MesascopeError, require, require_known_name

Interval = tuple[float, float]


@dataclass(frozen=True)
class LearningValue:
    """The value, in units of utility, of learning an event or a quantity before deciding.

    `value` is None if the claims do not determine it.
    """

    name: str
    value: float | None


@dataclass(frozen=True)
class DecisionReport:
    """The evaluation of one decision.

    Args:
        decision, person, unit: the id of the decision, the person, and the unit of utility.
        utilities: the interval (low, high) of each action's expected utility, whose ends are equal if the claims
            determine the utility.
        best: the action whose utility is highest for all numbers that the claims allow; '' if there is no such action.
        learning: the value of learning each event and quantity, in descending order; undetermined values come last.
    """

    decision: str
    person: str
    unit: str
    utilities: dict[str, Interval]
    best: str
    learning: tuple[LearningValue, ...]


def evaluate_decisions(argument: Argument, name: str | None = None) -> list[DecisionReport]:
    """Evaluates the decision with this id, or by default all decisions of the file.

    If the person's claims form a network, events have chances under the network's independence; otherwise they have
    bounds. Quantities are assumed independent of each other, and of events that their thresholds do not define.
    """
    decisions = argument.content.decisions
    require(bool(decisions), f"{argument.name} has no [decisions].", "Add a table of actions: see docs/cruxes.md.")
    chosen = list(decisions) if name is None else [require_known_name("decision", name, decisions)]
    return [_evaluate_decision(argument, decisions[key]) for key in chosen]


def _evaluate_decision(argument: Argument, decision: Decision) -> DecisionReport:
    quantities = argument.content.quantities
    terms = dict.fromkeys(term for action in decision.actions.values() for term in action if term != "constant")
    events = {term: argument.parse_event(term) for term in terms if term not in quantities}

    def find_utilities(condition: Event = SURE_EVENT) -> dict[str, Interval] | None:
        spans: dict[str, Interval] = {"constant": (1.0, 1.0)}
        spans |= {term: (quantities[term].distribution.mean(),) * 2 for term in terms if term in quantities}
        for term, event in events.items():
            interval = _find_chance(argument, decision.person, event, condition)
            if interval is None:
                return None
            spans[term] = interval
        return {name: _sum_terms(action, spans) for name, action in decision.actions.items()}

    utilities = find_utilities()
    require(utilities is not None, f"{decision.person}'s claims contradict each other.", "See `crux check`.")
    assert utilities is not None
    best = max(utilities, key=lambda action: utilities[action][0])
    is_best = all(utilities[best][0] >= high for action, (_, high) in utilities.items() if action != best)
    present = max(low for low, _ in utilities.values())
    learning = [
        LearningValue(
            term,
            _compute_learning_value(
                _find_chance(argument, decision.person, event, SURE_EVENT), event, find_utilities, utilities
            ),
        )
        for term, event in events.items()
    ]
    for term in (term for term in terms if term in quantities):
        values = quantities[term].distribution.ppf((np.arange(N_QUANTILES) + 0.5) / N_QUANTILES)
        changes = [
            utilities[action][0] + factors.get(term, 0.0) * (values - quantities[term].distribution.mean())
            for action, factors in decision.actions.items()
        ]
        worth = float(np.max(changes, axis=0).mean()) - present if _are_points(utilities) else None
        learning.append(LearningValue(term, None if worth is None else max(0.0, worth)))
    learning.sort(key=lambda item: -(item.value if item.value is not None else -1.0))
    person = decision.person
    return DecisionReport(decision.id, person, decision.unit, utilities, best if is_best else "", tuple(learning))


def _find_chance(argument: Argument, person: str, event: Event, condition: Event) -> Interval | None:
    with suppress(MesascopeError):
        return argument.answer(person, event, condition, engine="net", should_add_variants=False).interval
    return argument.answer(person, event, condition, should_add_variants=False).interval


def _sum_terms(action: dict[str, float], spans: dict[str, Interval]) -> Interval:
    ends = [(factor * spans[term][0], factor * spans[term][1]) for term, factor in action.items()]
    return float(sum(min(pair) for pair in ends)), float(sum(max(pair) for pair in ends))


def _are_points(utilities: dict[str, Interval] | None) -> bool:
    return utilities is not None and all(high - low < 1e-9 for low, high in utilities.values())


def _compute_learning_value(
    chance: Interval | None, event: Event, find_utilities: Callable[[Event], Any], utilities: dict[str, Interval]
) -> float | None:
    """Computes E max_a E[u_a | event or its negation] - max_a E[u_a]; None if one of these numbers is an interval."""
    if chance is None or chance[1] - chance[0] > 1e-9 or not _are_points(utilities):
        return None
    worth = -max(low for low, _ in utilities.values())
    for side, p in ((event, chance[0]), (negate(event), 1 - chance[0])):
        if p > 0:
            outcome = find_utilities(side)
            if not _are_points(outcome):
                return None
            worth += p * max(low for low, _ in outcome.values())
    return max(0.0, worth)
