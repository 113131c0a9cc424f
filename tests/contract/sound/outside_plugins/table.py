"""Draws from a table of probabilities by the last action and its feedback, read from a .table.json file."""

from __future__ import annotations

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from mesascope.contracts import Family, Percept, Subject, choose
from mesascope.errors import MesascopeError


class Table(Subject):
    """log_probs [K + 1, 2, K]: row K is for the start of a lifetime."""

    name: str
    trained_on: str
    log_probs: jax.Array

    def initialize_carry(self, n: int) -> tuple[()]:
        """Nothing is carried."""
        return ()

    def respond(self, key, carry, percept: Percept):
        """Looks the last trial up."""
        won = (percept.feedback > 0.5).astype(int)
        return carry, choose(key, self.log_probs[percept.action, won])  # action -1 is the last row


def can_open(path: str) -> bool:
    """Whether a file is a table."""
    return Path(path).name.endswith(".table.json")


def read_family(path: str) -> str:
    """The family that it was trained on."""
    return json.loads(Path(path).read_text())["family"]


def subject(family: Family, path: str = "", stay: float = 0.8) -> Table:
    """Draws from a table of probabilities by the last action and its feedback.

    Args:
        family: what it is put to.
        path: a .table.json file; without one, it stays after a win.
        stay: without a file, how often.
    """
    if path:
        told = json.loads(Path(path).read_text())
        table, trained_on = np.asarray(told["table"]), told["trained_on"]
        if table.shape != (family.choices + 1, 2, family.choices):
            raise MesascopeError(f"The table in {path!r} has shape {table.shape}.", "Put it to its own family.")
    else:
        table = np.full((family.choices + 1, 2, family.choices), 1 / family.choices)
        for arm in range(family.choices):
            table[arm, 1] = (1 - stay) / (family.choices - 1)
            table[arm, 1, arm] = stay
        trained_on = "unlimited"
    name = f"table:path={path}" if path else "table" + (f":stay={stay}" if stay != 0.8 else "")
    return Table(name, trained_on, jnp.log(jnp.asarray(table, jnp.float32)))
