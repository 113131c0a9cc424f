"""Symbols follow one another by a hidden transition matrix; the action predicts the next symbol.

The rows of the matrix are drawn from a symmetric Dirichlet distribution, so Bayes' answer is exact: counts of the
transitions plus α (`sequence_log_probability`), or for a bank of M matrices their posterior mean. The percept shows
the present symbol and the one before it, each as K numbers of which one is 1. The best knows the matrix.
"""

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import gammaln

from mesascope.contracts.configured import (
    Array,
    Percept,
    Split,
    first_percept,
    keep_settings,
    name_with_settings,
    next_percept,
)
from mesascope.contracts.family import Configured, draw_bank, pick, reference_roles
from mesascope.errors import MesascopeError
from mesascope.keys import address

DRIFT = 0.1  # chance per trial that a row is drawn anew on the drifting split
PEAKED = 3.0  # power of a row's odds on the peaked split: nearly certain
EVEN = 0.4  # the same on the even split: rows tell little


class Tasks(NamedTuple):
    """symbols [N, T + 1] that come, one after the other; odds [N, T, K] of the next one at every trial."""

    symbols: jax.Array
    odds: jax.Array


class MarkovChain(Configured):
    """Sequence prediction; see `family` for the settings."""

    concentration: float
    bank_matrices: jax.Array | None  # [M, K, K], rows sum to 1

    controls: ClassVar = {"learner": "transition_counts", "lookalike": "symbol_again", "still": "uniform"}
    # the strongest predicts the likeliest symbol
    references: ClassVar = reference_roles(
        "transition_counts",
        "transition_counts:discount=0.9",
        "transition_locator",
        strongest="transition_counts:greedy=True",
    )
    predictors: ClassVar = ("uniform", "symbol_again", "induction", "transition_counts", "transition_locator")

    def splits(self) -> tuple[Split, ...]:
        """The distributions that it is tested on."""
        split, half = self.varied, self.horizon // 2

        def powered(power: float) -> Callable[[jax.Array], jax.Array]:
            """The odds of every row raised to a power."""
            return lambda rows: rows**power / (rows**power).sum(-1, keepdims=True)

        def exchange(_: jax.Array, path: jax.Array) -> jax.Array:
            """Symbol s takes the part of symbol s - 1."""
            return path.at[half:].set(jnp.roll(path[half:], 1, (2, 3)))

        def drift(key: jax.Array, path: jax.Array) -> jax.Array:
            return _renewed(address(key, "drift"), path, self.concentration)

        return (
            *(() if self.bank_matrices is None else (split("seen", seen=True),)),
            split("fresh"),
            split("shifted:peaked", matrix=powered(PEAKED)),
            split("shifted:even", matrix=powered(EVEN)),
            split("exchanged:symbols", changes_at=half, path=exchange),
            split("restructured:independent", matrix=lambda m: jnp.broadcast_to(m[:, :1], m.shape)),
            split("restructured:drift", path=drift),
            # what came two symbols ago tells nothing in training: no reference gains
            split("restructured:second_order", counted=False, back=1),
            split("horizon:longer", counted=False, trials=5 * self.horizon),
        )

    def draw(
        self,
        key: jax.Array,
        n: int,
        *,
        seen: bool = False,
        matrix: Callable[[jax.Array], jax.Array] = lambda matrix: matrix,
        path: Callable[[jax.Array, jax.Array], jax.Array] = lambda key, path: path,
        back: int = 0,
        trials: int = 0,
    ) -> Tasks:
        """Draws n tasks, with the symbols that will come.

        Args:
            key: of all draws.
            n: how many.
            seen: whether their matrices are of the bank.
            matrix: what becomes of the matrices [n, K, K].
            path: what becomes of them over the trials [T, n, K, K]; it gets the key too.
            back: 1 where the last symbol but one tells the next.
            trials: T, of the horizon where 0.
        """
        trials, k = trials or self.horizon, self.choices
        if seen:
            rows = pick(address(key, "matrix"), self.bank_matrices, n)
        else:
            rows = _rows(address(key, "matrix"), self.concentration, (n, k), k)
        rows = matrix(rows)
        matrices = path(key, jnp.broadcast_to(rows, (trials, *rows.shape)))
        draws = jax.random.uniform(address(key, "symbols"), (trials, n))
        start = jax.random.randint(address(key, "start"), (n, 2), 0, k)

        def step(life, xs):
            now, last = life
            draw, held = xs
            row = held[jnp.arange(n), last if back else now]
            total = jnp.cumsum(row, -1)
            coming = jnp.minimum((draw[:, None] * total[:, -1:] >= total).sum(-1), k - 1)
            return (coming, now), (coming, row)

        symbols, odds = jax.lax.scan(step, (start[:, 0], start[:, 1]), (draws, matrices))[1]
        shown = jnp.concatenate([start[:, :1], symbols.T], 1).astype(jnp.int32)
        return Tasks(shown, jnp.moveaxis(odds, 0, 1))

    def begin(self, key: jax.Array, tasks: Tasks) -> tuple[jax.Array, Percept]:
        """Starts one lifetime per task and shows the first symbol; the hidden state is the trial index [N]."""
        first = jax.nn.one_hot(tasks.symbols[:, 0], self.choices)
        return jnp.zeros(len(first), jnp.int32), first_percept(
            jnp.concatenate([first, jnp.zeros_like(first)], -1)
        )

    def step(self, key: jax.Array, tasks: Tasks, state: jax.Array, action: jax.Array):
        """Shows the next symbol, whatever was predicted."""
        rows = jnp.arange(len(action))
        coming = tasks.symbols[rows, state + 1]
        score = tasks.odds[rows, state, action]
        shown = [jax.nn.one_hot(s, self.choices) for s in (coming, tasks.symbols[rows, state])]
        right = (action == coming).astype(jnp.float32)
        return state + 1, next_percept(jnp.concatenate(shown, -1), action, right, state + 1), score

    def latents(self, tasks: Tasks, split: str) -> dict[str, np.ndarray]:
        """`means` [N, T, K], what each prediction pays; `target` [N, T], what comes; chance, best, worst, fixed [N, T].

        'fixed' predicts from the present symbol by the mean of the split's matrices, which is even off the bank.
        """
        odds = np.asarray(tasks.odds, float)
        chance = np.full(odds.shape[:2], 1.0 / self.choices)
        fixed = chance
        if split == "seen":
            usual = np.asarray(self.bank_matrices, float).mean(0).argmax(-1)
            fixed = np.take_along_axis(odds, usual[np.asarray(tasks.symbols)[:, :-1]][..., None], -1)[..., 0]
        known = {"means": odds, "target": np.asarray(tasks.symbols)[:, 1:].astype(float)}
        return known | {"best": odds.max(-1), "chance": chance, "worst": odds.min(-1), "fixed": fixed}

    def target(self, percept: Percept) -> Array:
        """[N] the symbol that came at the trial whose outcome the percept tells, -1 before the first."""
        now = percept.observation[:, : self.choices].argmax(-1)
        there = percept.observation[:, self.choices :].any(-1)
        return (now + 1) * there - 1

    def with_outcome(self, percept: Percept, feedback: Array, observation: Array) -> Percept:
        """Another lifetime's transition; whether the own prediction was right goes by that."""
        right = percept.action == observation[:, : self.choices].argmax(-1)
        return percept._replace(feedback=right.astype(percept.feedback.dtype), observation=observation)

    def with_opposite_outcome(self, percept: Percept) -> Percept:
        """The next symbol in order in place of the one that came."""
        xp = np if isinstance(percept.observation, np.ndarray) else jnp
        now, before = percept.observation[:, : self.choices], percept.observation[:, self.choices :]
        return self.with_outcome(percept, percept.feedback, xp.concatenate([xp.roll(now, 1, -1), before], -1))

    def sequence_log_probability(self, symbols: Any) -> np.ndarray:
        """Log-probability [N] of what follows the first symbol of each sequence [N, L] under the Dirichlet prior.

        Every row of counts is one draw from a Dirichlet-multinomial distribution, in order.
        """
        symbols, k, a = np.asarray(symbols), self.choices, self.concentration
        counts = np.zeros((len(symbols), k, k))
        for now, then in zip(symbols.T[:-1], symbols.T[1:], strict=True):
            counts[np.arange(len(symbols)), now, then] += 1
        rows = gammaln(k * a) - gammaln(k * a + counts.sum(-1))
        return (rows + (gammaln(a + counts) - gammaln(a)).sum(-1)).sum(-1)

    def text(self, action: Any, feedback: float) -> str:
        """One trial in words."""
        return f"predicted {action + 1} of {self.choices}, {'right' if feedback > 0.5 else 'wrong'}"


def _rows(key: jax.Array, concentration: float, shape: tuple[int, ...], choices: int) -> jax.Array:
    """[…, K] draws from the symmetric Dirichlet distribution; α = 1 needs no gamma variates and compiles at once."""
    if concentration == 1.0:
        sizes = jax.random.exponential(key, (*shape, choices))
        return sizes / sizes.sum(-1, keepdims=True)
    return jax.random.dirichlet(key, jnp.full(choices, concentration), shape)


def _renewed(key: jax.Array, matrices: jax.Array, concentration: float) -> jax.Array:
    """Matrices [T, N, K, K] whose rows are drawn anew at random trials."""
    trials, *_, k = matrices.shape
    new = _rows(address(key, "rows"), concentration, matrices.shape[:-1], k)
    anew = jax.random.bernoulli(address(key, "when"), DRIFT, matrices.shape[:-1]).at[0].set(False)
    since = jnp.where(anew, jnp.arange(trials)[:, None, None], -1)
    since = jax.lax.cummax(since)  # [T, N, K] the trial of a row's last renewal, -1 before
    held = jnp.take_along_axis(new, jnp.maximum(since, 0)[..., None], 0)
    return jnp.where(since[..., None] < 0, matrices, held)


@keep_settings(symbols=(2, 256), trials=(2, 10_000), bank=(0, 1_000_000))
def family(
    symbols: int = 4, concentration: float = 1.0, trials: int = 40, bank: int = 0, bank_seed: int = 0
) -> MarkovChain:
    """Symbols follow one another by a hidden transition matrix; the action predicts the next one.

    Args:
        symbols: K.
        concentration: α of the symmetric Dirichlet prior of every row.
        trials: T, at least 2.
        bank: M, the number of training tasks; 0 for unlimited.
        bank_seed: the seed that the bank is drawn from.
    """
    if not 0 < concentration < 1e6:
        raise MesascopeError(f"concentration={concentration} is out of range.", "Give a positive number.")
    alpha = float(concentration)
    matrices = draw_bank(
        lambda key: _rows(key, alpha, (bank, symbols), symbols),
        bank,
        bank_seed,
        tell=lambda matrices: np.asarray(matrices).argmax(-1),
        what="with different likeliest successors",
        remedy="Take a larger bank or another concentration.",
    )
    given = {"symbols": symbols, "concentration": alpha, "trials": trials}
    name = name_with_settings(family, **given, bank=bank, bank_seed=bank_seed)
    return MarkovChain(alpha, matrices, name=name, choices=symbols, horizon=trials)
