"""Encodes percepts as flat observations for networks from other frameworks.

`mesascope.FamilyEnv` uses the same encoding. So agents that were trained on such an environment get the observations
that they expect.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from mesascope.contracts import Family, Percept
from mesascope.errors import MesascopeError, require_known_name

PERCEPT_PARTS = ("observation", "action", "feedback", "trial", "step", "first")
DEFAULT_PARTS = "observation+action+feedback+trial+first"  # as in FamilyEnv
OBSERVATION = "observation"


class PerceptEncoder(NamedTuple):
    """Concatenates parts of a percept into an observation [N, F] of N lifetimes and F numbers, of type float32.

    Attributes:
        parts: the names of the parts, each of them in PERCEPT_PARTS, in the order of the features.
        choices: K, the number of choices, or None if actions are real numbers.
        horizon: T, the number of trials in a lifetime, by which the trial index is divided.
        steps: S, the number of steps in a trial, by which the step index is divided.
        observation_width: D, the width of the family's observation, without the mask of allowed actions.
    """

    parts: tuple[str, ...]
    choices: int | None
    horizon: int
    steps: int
    observation_width: int

    @property
    def width(self) -> int:
        """The number of features F."""
        widths = {"observation": self.observation_width, "action": self.choices or 1}
        return sum(widths.get(part, 1) for part in self.parts)

    def __call__(self, percept: Percept | Mapping[str, Any]) -> np.ndarray:
        """Encodes a percept as an observation [N, F] of type float32."""
        fields = percept if isinstance(percept, Mapping) else percept._asdict()
        return np.concatenate([self._encode_part(name, fields) for name in self.parts], axis=1)

    def _encode_part(self, name: str, fields: Mapping[str, Any]) -> np.ndarray:
        """Encodes one part of the percept as features [N, number of features]."""
        value = np.asarray(fields[name])
        if name == OBSERVATION:
            value = value.reshape(len(value), -1)[:, : self.observation_width]
        if name == "action" and self.choices:
            value = value[:, None] == np.arange(self.choices)  # all zero before the first action
        elif name == "action":
            value = np.where(np.asarray(fields["first"]), 0.0, value)
        elif name == "trial":
            value = value / self.horizon
        elif name == "step":
            value = value / self.steps
        return value.reshape(len(value), -1).astype(np.float32)


def make_percept_encoder(family: Family, observes: str = DEFAULT_PARTS, width: int | None = None) -> PerceptEncoder:
    """Makes the encoder of a family's percepts for a network.

    Args:
        family: the family that the network runs on.
        observes: the parts of the percept in order, joined by '+'. If it is '', the network observes all parts except
            the step, or the observation alone if only the observation has the network's width.
        width: F, the number of the network's inputs; None if it is unknown.

    Raises:
        MesascopeError: a part is unknown, or the encoded percept does not have this width.
    """
    sizes = (family.choices, family.horizon, family.steps, math.prod(family.observation_shape) - family.mask_size)
    remedy = f"Set observes to the parts that the network was trained on, out of {', '.join(PERCEPT_PARTS)}"
    if observes:
        observer = PerceptEncoder(tuple(observes.split("+")), *sizes)
        for part in observer.parts:
            require_known_name("part of the percept", part, PERCEPT_PARTS)
        if len(set(observer.parts)) != len(observer.parts):
            raise MesascopeError(f"observes={observes!r} names a part twice.", f"Type e.g. observes={DEFAULT_PARTS}.")
        if width not in (None, observer.width):
            problem = f"The network takes {width} numbers, but {observes} of {family.name} has {observer.width}."
            raise MesascopeError(problem, f"{remedy}.")
        return observer
    options = {parts: PerceptEncoder(tuple(parts.split("+")), *sizes) for parts in (DEFAULT_PARTS, OBSERVATION)}
    matches = [option for option in options.values() if width in (None, option.width)]
    if not matches or not matches[0].width:
        widths = " and ".join(f"{option.width} for {parts}" for parts, option in options.items())
        problem = f"The network takes {width} numbers, but {family.name} has {widths}."
        raise MesascopeError(problem, f"{remedy}, or run the network on its own family.")
    return matches[0]


def observe(family: Family, percept: Percept | Mapping[str, Any], observes: str = DEFAULT_PARTS) -> np.ndarray:
    """Encodes a percept as the flat observation [N, F] of `FamilyEnv`, for policies that were trained on `FamilyEnv`.

    Args:
        family: the percept's family.
        percept: a Percept, or the dict that a plain function receives.
        observes: the parts of the percept in order, joined by '+'.
    """
    return make_percept_encoder(family, observes)(percept)
