"""Encodes percepts as flat observations for networks from other frameworks.

`mesascope.FamilyEnv` uses the same encoding, so agents trained on our Gymnasium environments observe what they expect.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from mesascope.contracts.family import Family
from mesascope.contracts.percept import Percept
from mesascope.errors import MesascopeError, unknown

PARTS = ("observation", "action", "feedback", "trial", "step", "first")
ALL = "observation+action+feedback+trial+first"  # what FamilyEnv shows
SHOWN = "observation"


class Observer(NamedTuple):
    """Concatenates parts of a percept into an observation [N, F] of type float32.

    Attributes:
        observes: the parts, all of them in PARTS, in the order of the features.
        choices: K, or None if actions are real numbers.
        horizon: T, by which the trial index is divided.
        steps: S, by which the step index is divided.
        shown: D, the width of the family's observation.
    """

    observes: tuple[str, ...]
    choices: int | None
    horizon: int
    steps: int
    shown: int

    @property
    def width(self) -> int:
        """F, the number of features."""
        widths = {"observation": self.shown, "action": self.choices or 1}
        return sum(widths.get(part, 1) for part in self.observes)

    @property
    def text(self) -> str:
        """The parts as a user would type them."""
        return "+".join(self.observes)

    def __call__(self, percept: Percept | Mapping[str, Any]) -> np.ndarray:
        """Encodes a percept as an observation [N, F] of type float32."""
        seen = percept if isinstance(percept, Mapping) else percept._asdict()
        return np.concatenate([self._part(name, seen) for name in self.observes], axis=1)

    def _part(self, name: str, seen: Mapping[str, Any]) -> np.ndarray:
        value = np.asarray(seen[name])
        if name == "action" and self.choices:
            value = value[:, None] == np.arange(self.choices)  # all zero before the first
        elif name == "action":
            value = np.where(np.asarray(seen["first"]), 0.0, value)
        elif name == "trial":
            value = value / self.horizon
        elif name == "step":
            value = value / self.steps
        return value.reshape(len(value), -1).astype(np.float32)


def make_observer(family: Family, observes: str = ALL, width: int | None = None) -> Observer:
    """Makes the encoder of a family's percepts for a network.

    Args:
        family: the family that the network runs on.
        observes: the parts of the percept in order, joined by '+'. For '' the network observes all parts except the
            step, or the observation alone if only that fits its width.
        width: F, the network's number of inputs, if it is known.

    Raises:
        MesascopeError: a part is unknown, or the width does not fit.
    """
    sizes = (family.choices, family.horizon, family.steps, math.prod(family.shown))
    if observes:
        parts = tuple(observes.split("+"))
        for part in parts:
            if part not in PARTS:
                raise unknown("part of the percept", part, PARTS)
        if len(set(parts)) != len(parts):
            raise MesascopeError(f"observes={observes!r} names a part twice.", f"Type e.g. observes={ALL}.")
        observer = Observer(parts, *sizes)
        if width not in (None, observer.width):
            raise MesascopeError(
                f"The network takes {width} numbers; {family.name} observed as {observes} gives {observer.width}.",
                f"Set observes to the parts that it was trained on, of {', '.join(PARTS)}.",
            )
        return observer
    options = [Observer(tuple(t.split("+")), *sizes) for t in (ALL, SHOWN)]
    matches = [o for o in options if width in (None, o.width)]
    if not matches or not matches[0].width:
        widths = " and ".join(f"{o.width} observed as {o.text}" for o in options)
        raise MesascopeError(
            f"The network takes {width} numbers; {family.name} gives {widths}.",
            f"Set observes to the parts that it was trained on, of {', '.join(PARTS)}, or run it on its own family.",
        )
    return matches[0]


def observe(family: Family, percept: Percept | Mapping[str, Any], observes: str = ALL) -> np.ndarray:
    """Encodes a percept as the flat observation [N, F] that `FamilyEnv` shows, for policies that were trained on it.

    Args:
        family: the percept's family.
        percept: a Percept, or the dict that a plain function receives.
        observes: the parts of the percept in order, joined by '+'.
    """
    return make_observer(family, observes)(percept)
