"""Solves linear programs over kinds of world, with a limit on the solver's iterations."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from mesascope.cruxes.statements import Constraint
from mesascope.cruxes.worlds import Worlds
from mesascope.errors import MesascopeError

MAX_ITERATIONS = 200_000  # the limit of the solver for one linear program
_SOLVER_OPTIONS = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
_SOLVER_OPTIONS |= {"maxiter": MAX_ITERATIONS}


@dataclass(frozen=True)
class Program:
    """The linear program of some statements over the kinds of world.

    Args:
        worlds: the kinds of world, with a row for each event of the question.
        constraints: the statements with their intervals.
        comparison_rows: the inequality rows (<= 0) of the comparisons whose two chances have the same condition,
            [comparisons, n] for n kinds of world.
    """

    worlds: Worlds
    constraints: tuple[Constraint, ...]
    comparison_rows: np.ndarray

    def make_inequalities(self) -> tuple[np.ndarray, np.ndarray]:
        """Makes two inequality rows per statement: event - high·condition <= 0 and low·condition - event <= 0."""
        condition, event = self.worlds.conditions.astype(float), self.worlds.events.astype(float)
        high = np.array([c.high for c in self.constraints]).reshape(-1, 1)
        low = np.array([c.low for c in self.constraints]).reshape(-1, 1)
        return event - high * condition, low * condition - event

    def minimise(self, cost: np.ndarray, total_row: np.ndarray) -> Any:
        """Minimises cost·x over the distributions x that agree with the statements, scaled so that total_row·x = 1.

        Returns the solver's result, or None if there is no such x.
        """
        return minimise(cost, *self._rows, total_row)

    @cached_property
    def _rows(self) -> tuple[Any, Any]:
        """The inequality rows (<= 0) of statements with intervals, and the equality rows (= 0) of single numbers."""
        upper_rows, lower_rows = self.make_inequalities()
        is_point = np.array([c.low == c.high for c in self.constraints], dtype=bool)
        inequalities = np.concatenate([upper_rows[~is_point], lower_rows[~is_point], self.comparison_rows])
        equalities: Any = upper_rows[is_point]
        if self.worlds.links.shape[0]:
            from scipy.sparse import csr_array, vstack

            equalities = vstack([csr_array(equalities), self.worlds.links])
            inequalities = csr_array(inequalities)
        return inequalities, equalities


def minimise(cost: np.ndarray, inequalities: Any, equalities: Any, total_row: np.ndarray) -> Any:
    """Minimises cost·x for x >= 0, total_row·x = 1, equalities·x = 0 and inequalities·x <= 0.

    Returns the solver's result, or None if there is no such x.
    """
    if not total_row.any():
        return None
    from scipy.optimize import linprog
    from scipy.sparse import csr_array, issparse, vstack

    rows = [np.atleast_2d(total_row), equalities]
    all_rows: Any = vstack([csr_array(row) for row in rows]) if issparse(equalities) else np.vstack(rows)
    right, limits = np.zeros(all_rows.shape[0]), np.zeros(inequalities.shape[0])
    right[0] = 1.0
    sides = {"A_ub": inequalities, "b_ub": limits, "A_eq": all_rows, "b_eq": right}
    result = linprog(cost, **sides, bounds=(0, None), method="highs", options=_SOLVER_OPTIONS)
    if result.status == 1:
        problem = f"The linear program needs more than {MAX_ITERATIONS} steps."
        raise MesascopeError(problem, "Remove claims or bridges that join many atoms, or split the file.")
    if result.status not in (0, 2):
        raise MesascopeError(f"The linear program failed: {result.message}", "Avoid values very close to 0 or 1.")
    return result if result.status == 0 else None
