"""Quantities with a distribution (amounts, durations, dates and rates), and decisions whose utilities use them.

A threshold on a quantity defines an event, whose chance follows from the distribution.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from mesascope.cruxes.entries import EntryReader, read_quote
from mesascope.cruxes.source import Fields
from mesascope.errors import MesascopeError, require, require_known_name

N_QUANTILES = 20_000
SHAPES = ("lognormal", "normal", "uniform")
DAYS_BY_UNIT = {"day": 1.0, "week": 7.0, "month": 365.25 / 12, "year": 365.25}  # each unit in days
FACTORS_BY_SUFFIX = {"": 1.0, "%": 0.01, "k": 1e3, "million": 1e6, "billion": 1e9, "micromort": 1e-6}
_DATE_PATTERN = r"\d{4}-\d{2}-\d{2}"
_AMOUNT_PATTERN = re.compile(
    r"(-?(?:\d[\d,]*(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?)\s*([a-z%]*?)s?(?:\s*(?:/|per)\s*([a-z]+?)s?)?"
)
_THRESHOLD_PATTERN = re.compile(r"(>=|<=|>|<|within)\s*(.+)")


@dataclass(frozen=True)
class Quantity:
    """A number that a person is uncertain about.

    Args:
        id, person: the id of the quantity, and the id of the person.
        text, unit: a description, and the unit, which is '' for a plain number and 'date' for a date.
        quote, at: the person's own words, and where the person said them.
        shape: the shape of the distribution ('lognormal', 'normal' or 'uniform').
        low, high: the 5 % and 95 % points of the distribution; for a uniform distribution, its ends.
        events: for each atom, the threshold that defines it, such as '> 12' or, for a rate, 'within 2 years'.
    """

    id: str
    person: str
    text: str
    unit: str
    quote: str
    at: str
    shape: str
    low: float
    high: float
    events: dict[str, str]

    @cached_property
    def distribution(self) -> Any:
        """The distribution, as a frozen distribution of `scipy.stats`."""
        from scipy.stats import lognorm, norm, uniform

        if self.shape == "uniform":
            return uniform(self.low, self.high - self.low)
        ends = np.log([self.low, self.high]) if self.shape == "lognormal" else np.array([self.low, self.high])
        middle, spread = ends.mean(), (ends[1] - ends[0]) / 2 / norm.ppf(0.95)
        return lognorm(spread, scale=np.exp(middle)) if self.shape == "lognormal" else norm(middle, spread)

    def find_chance(self, threshold: str) -> float:
        """Finds the chance of a value above or below a threshold or, for a rate, of at least one case within a time."""
        sign, text = _split_threshold(threshold)
        if sign == "within":
            periods = read_amount(text, self.unit.removeprefix("per ").strip())
            rates = self.distribution.ppf((np.arange(N_QUANTILES) + 0.5) / N_QUANTILES)
            return float(np.mean(-np.expm1(-rates * periods)))
        below = float(self.distribution.cdf(read_amount(text, self.unit)))
        return below if sign[0] == "<" else 1 - below


def _split_threshold(threshold: str) -> tuple[str, str]:
    match = _THRESHOLD_PATTERN.fullmatch(threshold.strip())
    problem = f"The threshold {threshold[:60]!r} does not say above or below which value."
    if not match:
        raise MesascopeError(problem, 'Example: Late = "> 12 months", or for a rate "within 2 years".')
    return match.group(1), match.group(2)


def read_amount(text: str, unit: str) -> float:
    """Reads an amount in a unit: '12', '1,000', '3 months', '1 micromort', '2 per year' or a date such as 2030-01-31.

    Args:
        text: the amount as the file states it.
        unit: the unit of the result, such as 'month', 'per month' or 'date'. An amount without a unit has this unit.
    """
    text = text.strip().lower()
    if unit == "date" or re.fullmatch(_DATE_PATTERN, text):
        require(unit == "date", f"{text!r} is a date, but the unit is {unit!r}.", 'Write unit = "date".')
        try:
            return float(datetime.date.fromisoformat(text).toordinal())
        except ValueError:
            raise MesascopeError(f"{text[:40]!r} is not a date.", "Example: 2035-01-31.") from None
    match = _AMOUNT_PATTERN.fullmatch(text)
    if not match:
        raise MesascopeError(
            f"{text[:40]!r} is not an amount.", 'Examples: "12", "3 months", "1 micromort", "2 per year".'
        )
    number, suffix, period = float(match.group(1).replace(",", "")), match.group(2), match.group(3)
    own_period, own_unit = _split_unit(unit)
    if period:
        require_known_name("unit of time", period, DAYS_BY_UNIT)
        require(bool(own_period), f"{text!r} is a rate, but the unit is {unit!r}.", 'Write unit = "per year".')
        number *= DAYS_BY_UNIT[own_period] / DAYS_BY_UNIT[period]
    if suffix in DAYS_BY_UNIT and own_unit in DAYS_BY_UNIT:
        return number * DAYS_BY_UNIT[suffix] / DAYS_BY_UNIT[own_unit]
    if suffix == own_unit or suffix in own_unit.split():
        return number
    return (
        number
        * FACTORS_BY_SUFFIX[require_known_name(f"unit for {unit or 'a plain number'}", suffix, {*FACTORS_BY_SUFFIX})]
    )


def _split_unit(unit: str) -> tuple[str, str]:
    """Splits 'per month' into the period 'month' and the unit ''; the period of any other unit is ''."""
    head, _, period = unit.rpartition("per ")
    period = period.strip().removesuffix("s")
    return (period, head.strip()) if period in DAYS_BY_UNIT and "per " in unit else ("", unit.strip().removesuffix("s"))


def read_quantity(reader: EntryReader, key: str, table: object) -> Quantity:
    """Reads one quantity with its 5 % and 95 % points."""
    fields = Fields(table, ("by", "text", "unit", "low", "high", "shape", "events", "quote", "at"))
    person, unit = reader.pick_person(fields.read_text("by", is_required=True)), fields.read_text("unit")
    low, high = (_read_end(fields, name, unit) for name in ("low", "high"))
    require(low < high, f"The ends {low:g} and {high:g} are not in order.", 'Write low = "2" and high = "20".')
    shape = fields.read_choice("shape", SHAPES, "lognormal" if low > 0 and unit != "date" else "normal")
    problem = f"A lognormal quantity is above 0, but low is {low:g}."
    require(shape != "lognormal" or low > 0, problem, 'Write shape = "normal".')
    events = {
        name: fields.read_fields("events").read_text(name, is_required=True) for name in fields.read_table("events")
    }
    texts = fields.read_text("text"), unit, read_quote(fields), fields.read_text("at")
    quantity = Quantity(key, person, *texts, shape, low, high, events)
    for atom, threshold in events.items():
        require_known_name("atom", atom, reader.content.atoms)
        quantity.find_chance(threshold)
    return quantity


def _read_end(fields: Fields, name: str, unit: str) -> float:
    stated: Any = fields.read_field(name, f'Add {name} = "2", one of the 5 % and 95 % points.')
    is_usable = isinstance(stated, str | int | float | datetime.date) and not isinstance(stated, bool)
    require(is_usable, f"The field {name!r} is not an amount.", f'Write {name} = "2 months".')
    value = read_amount(str(stated), unit)
    require(np.isfinite(value) and abs(value) < 1e15, f"The field {name!r} is too large.", f'Write {name} = "2".')
    return value


@dataclass(frozen=True)
class Decision:
    """A choice between actions, whose utilities depend on events and quantities.

    Args:
        id, person, text, unit: the id of the decision, the id of the person who decides, a description, and the unit of
            utility.
        actions: for each action, the numbers of the terms of its utility, by term. The number of 'constant' is added,
            a quantity is multiplied by its number, and the number of an event is added if the event happens.
    """

    id: str
    person: str
    text: str
    unit: str
    actions: dict[str, dict[str, float]]


def read_decision(reader: EntryReader, key: str, table: object) -> Decision:
    """Reads one decision; every term of a utility is a quantity, an event, or 'constant'."""
    fields = Fields(table, ("by", "text", "unit", "actions"))
    person = reader.pick_person(fields.read_text("by", is_required=True))
    actions = {}
    for name, terms in fields.read_table("actions").items():
        own = Fields(terms, terms if isinstance(terms, dict) else ())
        actions[name] = {term: own.read_number(term, 0.0) for term in own.table}
        for term in actions[name]:
            if term != "constant" and term not in reader.content.quantities:
                reader.content.resolve_event(term)
    require(len(actions) > 1, "A decision needs at least two actions.", "Write actions = { go = { … }, stay = { … } }.")
    return Decision(key, person, fields.read_text("text"), fields.read_text("unit"), actions)
