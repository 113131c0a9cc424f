"""Quantities: distributions, units, thresholds, and decisions on them."""

from __future__ import annotations

import numpy as np
import pytest

from mesascope.cruxes.argument import Argument, load_argument
from mesascope.cruxes.options import EXAMPLES
from mesascope.cruxes.quantities import Quantity, read_amount
from mesascope.errors import MesascopeError


def quantity(low: float, high: float, shape: str = "lognormal", unit: str = "") -> Quantity:
    return Quantity("q", "ann", "", unit, "", "", shape, low, high, {})


@pytest.mark.parametrize(
    ("text", "unit", "amount"),
    [
        ("12", "", 12),
        ("1,500", "", 1500),
        ("3 months", "month", 3),
        ("1 year", "months", 12),
        ("2 weeks", "days", 14),
        ("1 micromort", "", 1e-6),
        ("300 micromort per year", "per year", 3e-4),
        ("2 per year", "per month", 1 / 6),
        ("5k", "", 5000),
        ("12%", "", 0.12),
        ("3 months of pay", "months of pay", 3),
        ("2030-01-01", "date", 741078),
        ("1e-4", "", 1e-4),
    ],
)
def test_amounts_in_units(text, unit, amount):
    if text.endswith("of pay"):
        with pytest.raises(MesascopeError, match="not an amount"):
            read_amount(text, unit)
        return
    assert read_amount(text, unit) == pytest.approx(amount, rel=1e-12)


def test_thresholds_by_hand():
    from math import erf, exp, log, sqrt

    z = 1.6448536269514722  # the 95 % point of the standard normal
    spread, middle = log(10) / 2 / z, log(40) / 2
    above = 0.5 - erf((log(12) - middle) / spread / sqrt(2)) / 2
    assert quantity(2, 20).find_chance("> 12") == pytest.approx(above, abs=1e-12)
    assert quantity(2, 20).distribution.mean() == pytest.approx(exp(middle + spread**2 / 2), rel=1e-12)
    below = 0.5 + erf((5 - 4.5) / (7.5 / z) / sqrt(2)) / 2
    assert quantity(-3, 12, "normal").find_chance("<= 5") == pytest.approx(below, abs=1e-12)
    assert quantity(0, 10, "uniform").find_chance("> 7") == pytest.approx(0.3)
    rate = quantity(0.1, 0.1000001, unit="per year")
    assert rate.find_chance("within 24 months") == pytest.approx(1 - np.exp(-0.2), abs=1e-6)
    assert quantity(2, 20).distribution.ppf([0.05, 0.95]) == pytest.approx([2, 20])


DECISION = """format = "mesascope-crux/1"
query = { target = "Late", compare = ["ann"] }
[atoms]
Late = "late"
Wet = "wet"
[people]
ann = { name = "Ann" }
[claims]
w = { by = "ann", event = "Wet", value = "30%" }
[quantities.wait]
by = "ann"
unit = "months"
low = "2 months"
high = "20 months"
quote = "between two and twenty months"
events = { Late = "> 1 year" }
[decisions.d]
by = "ann"
[decisions.d.actions]
go = { constant = 10, wait = -1, Wet = -4 }
stay = { constant = 1 }
"""


def test_three_examples_by_squigglepy():
    sq = pytest.importorskip("squigglepy")
    rng = {"n": 400_000}
    sq.set_seed(3)
    wait = np.array(sq.sample(sq.to(2, 20), **rng))
    assert quantity(2, 20).distribution.mean() == pytest.approx(wait.mean(), rel=0.01)
    assert Argument(DECISION).answer("ann", "Late").point == pytest.approx((wait > 12).mean(), abs=0.003)
    temperature = np.array(sq.sample(sq.norm(-3, 12, credibility=90), **rng))
    assert quantity(-3, 12, "normal").find_chance("> 5") == pytest.approx((temperature > 5).mean(), abs=0.003)
    wet = np.random.default_rng(0).random(len(wait)) < 0.3
    go = 10 - wait - 4 * wet
    (report,) = Argument(DECISION).decide()
    assert report.utilities["go"] == pytest.approx((go.mean(),) * 2, abs=0.03)
    assert report.best == ("go" if go.mean() > 1 else "stay")
    present = max(go.mean(), 1)
    worth = {item.name: item.value for item in report.learning}
    assert worth["wait"] == pytest.approx(np.maximum(10 - wait - 1.2, 1).mean() - present, abs=0.03)
    outcomes = [max(10 - wait.mean() - 4 * x, 1) for x in (1, 0)]
    assert worth["Wet"] == pytest.approx(0.3 * outcomes[0] + 0.7 * outcomes[1] - present, abs=0.03)


def test_a_threshold_is_a_claim_of_its_person():
    argument = Argument(DECISION)
    answer = argument.answer("ann")
    assert (answer.status, answer.claims) == ("stated", ("wait_Late",))
    assert argument.content.claims["wait_Late"].quote == "between two and twenty months"
    (only,) = argument.decide("d")
    assert only.utilities["stay"] == (1, 1)
    open_ended = Argument(DECISION.replace('value = "30%"', 'value = "10-90%"')).decide()[0]
    low, high = open_ended.utilities["go"]
    assert high - low == pytest.approx(3.2)
    assert all(item.value is None for item in open_ended.learning)


def test_dates():
    text = DECISION.replace('unit = "months"', 'unit = "date"').replace('"2 months"', '"2030-01-01"')
    text = text.replace('"20 months"', "2040-01-01").replace('"> 1 year"', '"< 2035-01-01"')
    assert Argument(text).answer("ann", "Late").point == pytest.approx(0.5, abs=0.001)


BROKEN = {
    "no low": ('low = "2 months"\n', ""),
    "reversed": ('low = "2 months"', 'low = "30 months"'),
    "no amount": ('low = "2 months"', 'low = "soon"'),
    "other unit": ('low = "2 months"', 'low = "2 parsecs"'),
    "rate without period": ('low = "2 months"', 'low = "2 per month"'),
    "a list": ('low = "2 months"', "low = [2]"),
    "yes": ('low = "2 months"', "low = true"),
    "infinite": ('low = "2 months"', 'low = "1e999"'),
    "a date for months": ('low = "2 months"', 'low = "2030-01-01"'),
    "no such date": ('unit = "months"\nlow = "2 months"', 'unit = "date"\nlow = "2030-02-31"'),
    "lognormal below 0": ('low = "2 months"', 'low = "-2 months"\nshape = "lognormal"'),
    "odd shape": ('low = "2 months"', 'low = "2 months"\nshape = "cauchy"'),
    "odd threshold": ('"> 1 year"', '"about a year"'),
    "threshold without amount": ('"> 1 year"', '">"'),
    "threshold of an unknown atom": ("Late = ", "Later = "),
    "nobody's": ('[quantities.wait]\nby = "ann"', "[quantities.wait]"),
    "a stranger's": ('[quantities.wait]\nby = "ann"', '[quantities.wait]\nby = "eve"'),
    "unknown field": ('unit = "months"', 'unit = "months"\nsize = 3'),
    "long quote": ("between two", "between two " * 40),
    "one action": ("stay = { constant = 1 }\n", ""),
    "action without terms": ("{ constant = 1 }", "3"),
    "unknown term": ("constant = 1 }", "constant = 1, Rain = 2 }"),
    "utility in words": ("constant = 1 }", 'constant = "one" }'),
    "claim of the same name": (
        "[quantities.wait]",
        'wait_Late = { by = "ann", event = "Wet", value = "1%" }\n[quantities.wait]',
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_quantity_is_named_with_its_line(name, tmp_path):
    old, new = BROKEN[name]
    assert old in DECISION
    (tmp_path / "bad.toml").write_text(DECISION.replace(old, new, 1))
    with pytest.raises(MesascopeError, match=r"^bad.toml: line \d+: ") as caught:
        load_argument(tmp_path / "bad.toml")
    assert caught.value.remedy
    assert len(str(caught.value)) < 900


def test_the_shipped_decision():
    (report,) = load_argument(EXAMPLES / "decision.toml").decide()
    assert report.best == "stay"
    assert report.learning[0].name == "tenure"
