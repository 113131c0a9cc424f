"""Known inputs that several tests use; all typed in from the published sources named in each test."""

from __future__ import annotations

import numpy as np

from mesascope.cruxes.argument import Argument
from mesascope.cruxes.bounds import Constraint
from mesascope.cruxes.language import SURE_EVENT, parse_event
from mesascope.cruxes.networks import Net

CARLSMITH = np.array([0.65, 0.80, 0.40, 0.65, 0.40, 0.95])
SUPERFORECASTERS = np.array([0.80, 0.90, 0.58, 0.25, 0.05, 0.40])


def binary(parents: dict[str, tuple[str, ...]], yes: dict[str, list]) -> Net:
    """A net of yes/no nodes from P(yes | parents), parents' 'no' first."""
    tables = {}
    for name, above in parents.items():
        p = np.array(yes[name], dtype=float).reshape((2,) * len(above))
        tables[name] = np.stack([1 - p, p], axis=-1)
    return Net({n: ("no", "yes") for n in parents}, parents, tables)


def asia() -> Net:
    parents = {
        "asia": (),
        "tub": ("asia",),
        "smoke": (),
        "lung": ("smoke",),
        "bronc": ("smoke",),
        "either": ("lung", "tub"),
        "xray": ("either",),
        "dysp": ("bronc", "either"),
    }
    yes = {
        "asia": [0.01],
        "tub": [0.01, 0.05],
        "smoke": [0.5],
        "lung": [0.01, 0.1],
        "bronc": [0.3, 0.6],
        "either": [0, 1, 1, 1],
        "xray": [0.05, 0.98],
        "dysp": [0.1, 0.7, 0.8, 0.9],
    }
    return binary(parents, yes)


def pearl() -> Net:
    parents = {"b": (), "e": (), "a": ("b", "e"), "j": ("a",), "m": ("a",)}
    return binary(
        parents, {"b": [0.001], "e": [0.002], "a": [0.001, 0.29, 0.94, 0.95], "j": [0.05, 0.9], "m": [0.01, 0.7]}
    )


def claim(name: str, event: str, low: float, high: float | None = None, given: str = "") -> Constraint:
    return Constraint(
        name, parse_event(event), parse_event(given) if given else SURE_EVENT, low, low if high is None else high
    )


SMALL = """format = "mesascope-crux/1"
query = { target = "X", compare = ["ann", "bob"] }
[atoms]
A = "a"
B = "b"
X = "x"
[people]
ann = { name = "Ann" }
bob = { name = "Bob" }
cy = { name = "Cy" }
[claims]
a1 = { by = "ann", event = "A", value = "30%" }
a2 = { by = "ann", event = "B", given = "A", value = "~50%" }
b1 = { by = "bob", event = "A", value = "70%" }
b2 = { by = "bob", event = "B", given = "A", value = "20-40%" }
b3 = { by = "bob", event = "B", given = "!A", value = "10%" }
[bridges]
r1 = { for = ["ann", "bob"], rule = "X <-> (A & B)" }
"""


def small(extra: str = "", **changes: str) -> Argument:
    text = SMALL
    for old, new in changes.items():
        text = text.replace(old, new)
    return Argument(text + extra, "small.toml")
