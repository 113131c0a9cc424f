"""Symbols follow one another according to a hidden transition matrix; the action predicts the next symbol.

The rows of the matrix are drawn from a symmetric Dirichlet distribution. So the Bayesian prediction is known exactly:
it is proportional to the counts of transitions plus α, the concentration. For a bank, it is the posterior mean of the M
matrices. The percept shows the present symbol and the one before it, one-hot. The best policy knows the matrix.
"""

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mesascope.contracts import Split, keep_settings, make_configured_name, make_payoff_latents, select_payoffs
from mesascope.contracts.bank_draws import draw_bank, draw_from_bank
from mesascope.contracts.family import ConfiguredFamily, make_reference_roles
from mesascope.contracts.percept import Array, Percept, exchange_earlier_events, make_first_percept, make_next_percept
from mesascope.errors import MesascopeError
from mesascope.keys import derive_key

MAX_STORED_PROBABILITIES = 1 << 16  # the largest number of matrix entries per lifetime that tasks store
REDRAW_PROBABILITY = 0.1  # the probability per trial that a row is drawn anew on the drifting split
PEAKED_POWER = 3.0  # the power to which rows are raised on the peaked split, so that transitions are nearly certain
EVEN_POWER = 0.4  # the power to which rows are raised on the even split, so that transitions are nearly uniform


class Tasks(NamedTuple):
    """N sequences.

    Attributes:
        symbols: [N, T + 1] the symbols of each sequence.
        probabilities: [N, T, K] the probability of each next symbol on every trial.
        matrices: [N, T, K, K] the transition matrix on every trial; [N, T, 0, K] if T · K² is above
            MAX_STORED_PROBABILITIES.
        uses_earlier_symbol: [N] 1 if the symbol before the present one selects the row of the matrix, else 0.
    """

    symbols: jax.Array
    probabilities: jax.Array
    matrices: jax.Array
    uses_earlier_symbol: jax.Array


class MarkovChain(ConfiguredFamily):
    """Prediction of the symbols of a Markov chain; see `family` for the settings."""

    concentration: float
    bank_matrices: jax.Array | None  # [M, K, K], rows sum to 1

    controls: ClassVar = {"learner": "transition_counts", "lookalike": "symbol_again", "still": "uniform"}
    # the strongest reference always predicts the most probable symbol
    references: ClassVar = make_reference_roles(
        "transition_counts",
        "transition_counts:discount=0.9",
        "transition_locator",
        strongest="transition_counts:greedy=True",
    )
    predictors: ClassVar = ("uniform", "symbol_again", "induction", "transition_counts", "transition_locator")

    def list_splits(self) -> tuple[Split, ...]:
        """Lists the splits: seen (with a bank), fresh, two with other rows, and five others.

        These have exchanged symbols, independent symbols, rows that are drawn anew, a chain of second order, or more
        trials.
        """
        split, half = self.make_split, self.horizon // 2

        def make_power_change(power: float) -> Callable[[jax.Array], jax.Array]:
            """Returns a function that raises the entries of every row to a power and normalises the row."""
            return lambda rows: rows**power / (rows**power).sum(-1, keepdims=True)

        def exchange_symbols(_: jax.Array, matrices: jax.Array) -> jax.Array:
            """Replaces symbol s - 1 by symbol s (and the last by the first), from half-way on."""
            return matrices.at[half:].set(jnp.roll(matrices[half:], 1, (2, 3)))

        def redraw_rows(key: jax.Array, matrices: jax.Array) -> jax.Array:
            """Draws rows anew at random trials."""
            return _redraw_rows(derive_key(key, "drift"), matrices, self.concentration)

        return (
            *(() if self.bank_matrices is None else (split("seen", is_seen=True),)),
            split("fresh"),
            split("shifted:peaked", change_matrices=make_power_change(PEAKED_POWER)),
            split("shifted:even", change_matrices=make_power_change(EVEN_POWER)),
            split("exchanged:symbols", change_trial=half, change_over_trials=exchange_symbols),
            split("restructured:independent", change_matrices=lambda m: jnp.broadcast_to(m[:, :1], m.shape)),
            split("restructured:drift", change_over_trials=redraw_rows, is_drifting=True),
            # this split is not counted: no reference uses the symbol before the present one, so none gains
            split("restructured:second_order", is_counted=False, uses_earlier_symbol=1),
            split("horizon:longer", is_counted=False, trials=5 * self.horizon),
        )

    def draw(
        self,
        key: jax.Array,
        n: int,
        *,
        is_seen: bool = False,
        change_matrices: Callable[[jax.Array], jax.Array] = lambda matrix: matrix,
        change_over_trials: Callable[[jax.Array, jax.Array], jax.Array] = lambda key, path: path,
        uses_earlier_symbol: int = 0,
        trials: int = 0,
    ) -> Tasks:
        """Draws n tasks, with their symbols.

        Args:
            key: the random key for all draws.
            n: the number of tasks.
            is_seen: whether the matrices come from the bank.
            change_matrices: a function of the matrices [n, K, K] that returns other matrices of this shape.
            change_over_trials: a function of the key and the matrices [T, n, K, K] that returns other
                matrices of this shape, which can change over the trials.
            uses_earlier_symbol: 1 if the symbol before the present one selects the row, 0 if the present symbol does.
            trials: T, the number of trials; 0 for the family's horizon.
        """
        trials, k = trials or self.horizon, self.choices
        if is_seen:
            rows = draw_from_bank(derive_key(key, "matrix"), self.bank_matrices, n)
        else:
            rows = _draw_rows(derive_key(key, "matrix"), self.concentration, (n, k), k)
        rows = change_matrices(rows)
        matrices = change_over_trials(key, jnp.broadcast_to(rows, (trials, *rows.shape)))
        draws = jax.random.uniform(derive_key(key, "symbols"), (trials, n))
        start = jax.random.randint(derive_key(key, "start"), (n, 2), 0, k)

        def draw_symbol(state, xs):
            present, last = state
            uniform, rows = xs
            row = rows[jnp.arange(n), last if uses_earlier_symbol else present]
            cumulative = jnp.cumsum(row, -1)
            coming = jnp.minimum((uniform[:, None] * cumulative[:, -1:] >= cumulative).sum(-1), k - 1)
            return (coming, present), (coming, row)

        symbols, probabilities = jax.lax.scan(draw_symbol, (start[:, 0], start[:, 1]), (draws, matrices))[1]
        shown_symbols = jnp.concatenate([start[:, :1], symbols.T], 1).astype(jnp.int32)
        stored_matrices = (
            matrices if matrices[:, 0].size <= MAX_STORED_PROBABILITIES else matrices[:, :, :0]
        )  # see `can_value_actions`
        return Tasks(
            shown_symbols,
            jnp.moveaxis(probabilities, 0, 1),
            jnp.moveaxis(stored_matrices, 0, 1),
            jnp.full((n,), uses_earlier_symbol),
        )

    def begin(self, key: jax.Array, tasks: Tasks) -> tuple[jax.Array, Percept]:
        """Starts one lifetime per task, and shows the first symbol; the hidden state is the trial index [N]."""
        first = jax.nn.one_hot(tasks.symbols[:, 0], self.choices)
        return jnp.zeros(len(first), jnp.int32), make_first_percept(jnp.concatenate([first, jnp.zeros_like(first)], -1))

    def step(self, key: jax.Array, tasks: Tasks, state: jax.Array, action: jax.Array):
        """Shows the next symbol of each lifetime; symbols do not depend on predictions."""
        rows = jnp.arange(len(action))
        coming = tasks.symbols[rows, state + 1]
        score = tasks.probabilities[rows, state, action]
        symbols = [jax.nn.one_hot(s, self.choices) for s in (coming, tasks.symbols[rows, state])]
        is_correct = (action == coming).astype(jnp.float32)
        return state + 1, make_next_percept(jnp.concatenate(symbols, -1), action, is_correct, state + 1), score

    def compute_latents(self, tasks: Tasks, split: str) -> dict[str, np.ndarray]:
        """Returns the latents means [N, T, K]; and part, target, chance, best, worst and fixed [N, T].

        'means' are the pay-offs of predictions, and 'target' is the next symbol. 'part' is the present symbol, because
        the rows of the matrix are independent. 'fixed' is the pay-off of predicting the symbol that most often follows
        the present one in the bank's matrices on average; on other splits than seen, it is chance.
        """
        means = np.asarray(tasks.probabilities, float)
        chance = np.full(means.shape[:2], 1.0 / self.choices)
        fixed = chance
        if split == "seen":
            # the most probable successor of each symbol
            successor = np.asarray(self.bank_matrices, float).mean(0).argmax(-1)
            fixed = np.take_along_axis(means, successor[np.asarray(tasks.symbols)[:, :-1]][..., None], -1)[..., 0]
        part, target = np.asarray(tasks.symbols)[:, :-1], np.asarray(tasks.symbols)[:, 1:].astype(float)
        return make_payoff_latents(means, fixed) | {"part": part, "target": target, "chance": chance}

    @property
    def can_value_actions(self) -> bool:
        """Whether the family can compute what single predictions are worth.

        The family can do so if its tasks store their transition matrices.
        """
        return self.horizon * self.choices**2 <= MAX_STORED_PROBABILITIES

    def compute_action_values(self, tasks: Tasks, split: str, observation: np.ndarray, action: np.ndarray):
        """Computes the pay-off above chance [N, T, M] of predictions on each of M tasks, given the observed symbols.

        Returns None if the tasks do not store their matrices.
        """
        k = self.choices
        now, before = (observation[..., i : i + k].argmax(-1) for i in (0, k))
        matrices = np.moveaxis(np.asarray(tasks.matrices), 0, -1)  # [T, K, K, M]
        if not matrices.shape[1]:
            return None
        row = np.where(np.asarray(tasks.uses_earlier_symbol).any(), before, now)
        return select_payoffs(matrices[np.arange(row.shape[1]), row], action) - 1.0 / k

    def mark_as_first(self, percept: Percept, start: Percept) -> Percept:
        """Returns the percept as if the lifetime began now: with the present symbol, but without the one before."""
        xp = np if isinstance(percept.observation, np.ndarray) else jnp
        now, before = percept.observation[:, : self.choices], percept.observation[:, self.choices :]
        return start._replace(observation=xp.concatenate([now, xp.zeros_like(before)], -1))

    def read_target(self, percept: Percept) -> Array:
        """Returns the symbol of the last trial, [N]; -1 before the first trial."""
        present = percept.observation[:, : self.choices].argmax(-1)
        has_outcome = percept.observation[:, self.choices :].any(-1)
        return (present + 1) * has_outcome - 1

    def with_outcome(self, percept: Percept, feedback: Array, observation: Array) -> Percept:
        """Returns the percept with another lifetime's transition; feedback is 1 if the action predicted it, else 0."""
        is_correct = percept.action == observation[:, : self.choices].argmax(-1)
        return percept._replace(feedback=is_correct.astype(percept.feedback.dtype), observation=observation)

    def with_opposite_outcome(self, percept: Percept) -> Percept:
        """Returns the percept with another present symbol, and on odd trials also another symbol before it.

        Symbol s is replaced by symbol s + 1, and the last symbol by the first.
        """
        xp = np if isinstance(percept.observation, np.ndarray) else jnp
        present, before = percept.observation[:, : self.choices], percept.observation[:, self.choices :]
        next_present, next_before = xp.roll(present, 1, -1), xp.roll(before, 1, -1)
        opposite = self.with_outcome(percept, percept.feedback, xp.concatenate([next_present, before], -1))
        return exchange_earlier_events(opposite, xp.concatenate([next_present, next_before], -1))

    def describe_step(self, action: Any, feedback: float) -> str:
        """Describes one trial in words."""
        return f"predicted {action + 1} of {self.choices}, {'right' if feedback > 0.5 else 'wrong'}"


def _draw_rows(key: jax.Array, concentration: float, shape: tuple[int, ...], choices: int) -> jax.Array:
    """Draws rows from the symmetric Dirichlet, […, K]; if α is 1, from exponential variates, which compile faster."""
    if concentration == 1.0:
        sizes = jax.random.exponential(key, (*shape, choices))
        return sizes / sizes.sum(-1, keepdims=True)
    return jax.random.dirichlet(key, jnp.full(choices, concentration), shape)


def _redraw_rows(key: jax.Array, matrices: jax.Array, concentration: float) -> jax.Array:
    """Draws rows of the matrices [T, N, K, K] anew at random trials; a new row stays until it is drawn again."""
    trials, *_, k = matrices.shape
    new_rows = _draw_rows(derive_key(key, "rows"), concentration, matrices.shape[:-1], k)
    is_redrawn = jax.random.bernoulli(derive_key(key, "when"), REDRAW_PROBABILITY, matrices.shape[:-1]).at[0].set(False)
    last_redraw_trial = jnp.where(is_redrawn, jnp.arange(trials)[:, None, None], -1)
    last_redraw_trial = jax.lax.cummax(
        last_redraw_trial
    )  # [T, N, K] the trial on which a row was last redrawn, -1 if none
    rows = jnp.take_along_axis(new_rows, jnp.maximum(last_redraw_trial, 0)[..., None], 0)
    return jnp.where(last_redraw_trial[..., None] < 0, matrices, rows)


@keep_settings(symbols=(2, 256), trials=(2, 10_000), bank=(0, 1_000_000))
def family(
    symbols: int = 4, concentration: float = 1.0, trials: int = 40, bank: int = 0, bank_seed: int = 0
) -> MarkovChain:
    """Symbols follow one another according to a hidden transition matrix; the action predicts the next symbol.

    Args:
        symbols: K, the number of symbols.
        concentration: α, the concentration of the symmetric Dirichlet prior of every row of the matrix.
        trials: T, the number of trials, at least 2.
        bank: M, the number of training tasks; 0 for no limit.
        bank_seed: the seed that the bank is drawn from.
    """
    if not 0 < concentration < 1e6:
        raise MesascopeError(
            f"concentration={concentration} is out of range.", "Give a number above 0 and below 1,000,000."
        )
    concentration = float(concentration)
    matrices = draw_bank(
        lambda key: _draw_rows(key, concentration, (bank, symbols), symbols),
        bank,
        bank_seed,
        find_property=lambda matrices: np.asarray(matrices).argmax(-1),
        description="with different most probable successors",
        remedy="Take a larger bank or another concentration.",
    )
    settings = {"symbols": symbols, "concentration": concentration, "trials": trials}
    name = make_configured_name(family, **settings, bank=bank, bank_seed=bank_seed)
    return MarkovChain(concentration, matrices, name=name, choices=symbols, horizon=trials)
