"""Splits a gap f(B) - f(A) into one share per parameter, where A and B are the parameters of two people.

The shares are Shapley, Owen, LMDI (logarithmic mean Divisia index), single-move or path shares.
"""

from collections.abc import Callable, Iterator, Sequence
from math import factorial

import numpy as np

from mesascope.errors import MesascopeError, require_known_name

SCALES = ("prob", "log", "logodds")
SHARE_METHODS = ("shapley", "owen", "oat", "oat-back", "lmdi", "path")
MAX_PLAYERS = 15

Game = Callable[[np.ndarray], np.ndarray]
"""The function f: it takes N vectors of n parameters, [N, n], and returns N values."""


def convert_to_scale(values: np.ndarray, scale: str) -> np.ndarray:
    """Converts probabilities to a scale: unchanged ('prob'), natural logs ('log') or natural log-odds ('logodds')."""
    require_known_name("scale", scale, SCALES)
    values = np.asarray(values, dtype=float)
    if scale == "prob":
        return values
    if np.any(values <= 0) or (scale == "logodds" and np.any(values >= 1)):
        raise MesascopeError(f"The scale {scale!r} has no value for a probability of 0 or 1.", "Use --scale prob.")
    return np.log(values) if scale == "log" else np.log(values) - np.log1p(-values)


def compute_product(theta: np.ndarray) -> np.ndarray:
    """Computes the product of the n parameters of each of N vectors, [N, n] -> [N]."""
    return theta.prod(axis=-1)


def tabulate_game(game: Game, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Computes the value of each coalition, [2^n]; parameter i has B's value if bit i of the index is set, else A's."""
    n = len(a)
    if n > MAX_PLAYERS:
        raise MesascopeError(f"{n} parts are too many for exact shares; at most {MAX_PLAYERS}.", "Merge some parts.")
    has_b_value = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    return np.asarray(game(np.where(has_b_value, b, a)), dtype=float)


def compute_shapley_values(values: np.ndarray) -> np.ndarray:
    """Finds the Shapley shares of a tabulated game (Shapley 1953).

    Args:
        values: the value of every coalition of n players, [2^n]; see `tabulate_game`.

    Returns [n] shares that sum to values[-1] - values[0].
    """
    n = int(np.log2(len(values)))
    index = np.arange(2**n)
    sizes = np.bitwise_count(index)
    weights = np.array([factorial(s) * factorial(n - s - 1) / factorial(n) for s in range(n)] + [0.0])
    shares = np.empty(n)
    for i in range(n):
        without = index[(index >> i) & 1 == 0]
        shares[i] = np.sum(weights[sizes[without]] * (values[without | (1 << i)] - values[without]))
    return shares


def compute_owen_values(values: np.ndarray, groups: Sequence[Sequence[int]]) -> np.ndarray:
    """Finds the Owen shares: Shapley shares over only the orders that keep each group together (Owen 1977).

    Args:
        values: the value of every coalition of n players, [2^n]; see `tabulate_game`.
        groups: a partition of the n players.

    Returns [n] shares. A group's total is the Shapley share of the group as one player. Therefore the total does not
    change if a member of the group is split further.
    """
    n = int(np.log2(len(values)))
    if sorted(i for g in groups for i in g) != list(range(n)):
        raise MesascopeError("The groups do not contain every part exactly once.", "List each part in one group.")
    shares = np.zeros(n)
    bits = [sum(1 << i for i in group) for group in groups]
    m = len(groups)
    for j, group in enumerate(groups):
        k = len(group)
        for coalition, size in _enumerate_unions([bit for bit in bits if bit != bits[j]]):
            group_weight = factorial(size) * factorial(m - size - 1) / factorial(m)
            for chosen_players, count in _enumerate_unions([1 << player for player in group]):
                others = coalition | chosen_players
                for player in (player for player in group if not chosen_players >> player & 1):
                    weight = group_weight * factorial(count) * factorial(k - count - 1) / factorial(k)
                    shares[player] += weight * (values[others | (1 << player)] - values[others])
    return shares


def _enumerate_unions(coalitions: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yields every union of these disjoint coalitions, and the number of coalitions in the union."""
    for code in range(2 ** len(coalitions)):
        yield sum(bit for i, bit in enumerate(coalitions) if code >> i & 1), code.bit_count()


def find_single_move_shares(values: np.ndarray, are_others_at_b: bool = False) -> np.ndarray:
    """Finds the change in f if one parameter alone moves from A to B, for each parameter [n].

    These changes need not add up to the gap.

    Args:
        values: the value of every coalition of n players, [2^n]; see `tabulate_game`.
        are_others_at_b: whether the other parameters have B's values; otherwise they have A's.
    """
    n = int(np.log2(len(values)))
    if are_others_at_b:
        return np.array([values[-1] - values[(2**n - 1) ^ (1 << i)] for i in range(n)])
    return np.array([values[1 << i] - values[0] for i in range(n)])


def find_lmdi_shares(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Splits prod(b) - prod(a) into logarithmic mean Divisia shares (Ang 2004); a and b are vectors [n].

    Returns the [n] shares L·ln(b/a), where L is the logarithmic mean of the two products.
    """
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if np.any(a <= 0) or np.any(b <= 0):
        raise MesascopeError("LMDI needs parts above 0.", "Use --method shapley.")
    total, logs = float(b.prod() - a.prod()), np.log(b / a)
    mean = float(a.prod()) if abs(logs.sum()) < 1e-14 else total / logs.sum()
    return mean * logs


def _find_product_sign(game: Game, a: np.ndarray, b: np.ndarray) -> float:
    """Returns 1 if a game is the product of its parameters, and -1 if the game is 1 minus this product."""
    values, products = tabulate_game(game, a, b), tabulate_game(compute_product, a, b)
    for sign, expected_values in ((1.0, products), (-1.0, 1 - products)):
        if np.allclose(values, expected_values, rtol=0, atol=1e-12):
            return sign
    raise MesascopeError("LMDI needs the product of the parts, or 1 minus it.", "Use --method shapley.")


def find_path_shares(game: Game, a: np.ndarray, b: np.ndarray, n_nodes: int = 64) -> np.ndarray:
    """Finds shares along the straight line from A to B: the integral of each partial derivative (Aumann–Shapley).

    Args:
        game: any smooth function of the parameters.
        a, b: the two people's parameters [n].
        n_nodes: the number of Gauss–Legendre nodes; the derivatives are central differences.

    Returns [n] shares that sum to f(B) - f(A) within 1e-6 for polynomials.
    """
    nodes, weights = np.polynomial.legendre.leggauss(n_nodes)
    line = a + (nodes[:, None] + 1) / 2 * (b - a)
    shares = np.empty(len(a))
    for i in range(len(a)):
        step = np.zeros(len(a))
        step[i] = 1e-5
        slope = (game(line + step) - game(line - step)) / 2e-5
        shares[i] = np.sum(weights / 2 * slope) * (b[i] - a[i])
    return shares


def decompose_gap(
    game: Game,
    a: np.ndarray,
    b: np.ndarray,
    method: str = "shapley",
    scale: str = "prob",
    *,
    groups: Sequence[Sequence[int]] = (),
) -> np.ndarray:
    """Splits f(B) - f(A) into shares with one method on one scale.

    Args:
        game: the function f, whose values are probabilities; `decompose_gap` converts these values to the scale.
        a, b: the two people's parameters [n].
        method: one of `SHARE_METHODS`, of which 'oat' moves one parameter at a time from A to B while the others stay
            at A, and 'oat-back' does so while the others stay at B; 'lmdi' needs the scale 'prob', and a
            game that is the product of its parameters or 1 minus this product.
        scale: the scale of the shares ('prob', 'log' or 'logodds'; see `convert_to_scale`).
        groups: a partition of the parameters, for 'owen'; by default each parameter is a group.

    Returns [n] shares that sum to the gap on that scale, except with 'oat' and 'oat-back'.
    """
    require_known_name("method", method, SHARE_METHODS)
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if method == "lmdi":
        if scale != "prob":
            raise MesascopeError("LMDI works on the scale 'prob' only.", "Use --scale prob.")
        return find_lmdi_shares(a, b) * _find_product_sign(game, a, b)

    def evaluate(theta: np.ndarray) -> np.ndarray:
        return convert_to_scale(game(theta), scale)

    if method == "path":
        return find_path_shares(evaluate, a, b)
    values = tabulate_game(evaluate, a, b)
    if method == "owen":
        return compute_owen_values(values, groups or [[i] for i in range(len(a))])
    if method == "shapley":
        return compute_shapley_values(values)
    return find_single_move_shares(values, are_others_at_b=method == "oat-back")
