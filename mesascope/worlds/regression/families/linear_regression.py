"""Linear regression: a hidden weight vector maps inputs to noisy outcomes; the action predicts the next outcome.

The tasks are those of Garg et al. (2022, arXiv 2208.01066) and Raventós et al. (2023, arXiv 2306.15063): w ~ N(0, I),
x ~ N(0, I), y = w·x + noise. Before every trial, the percept shows the coming input, the last input and, as feedback,
the last outcome. The score of a prediction is minus its squared distance from w·x. The chance policy predicts 0, which
is also the mean of the prior; the best policy knows w. Pay-offs do not depend on earlier predictions.
"""

import functools
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mesascope.contracts import (
    ConfiguredFamily,
    Split,
    draw_from_bank,
    keep_settings,
    make_configured_name,
    make_reference_roles,
)
from mesascope.contracts.percept import Array, Percept, exchange_earlier_events, make_first_percept, make_next_percept
from mesascope.keys import derive_key
from mesascope.trials import find_reflex_window

SCALE_FACTOR = 2.0  # the factor by which inputs or outcomes are multiplied on the scaled splits
NOISE_FACTOR = 3.0  # the factor by which the noise is multiplied on the split 'shifted:noise'
DRIFT_NOISE_WEIGHT = (
    0.3  # the weight of the noise added to w per trial on the drifting split; the variance of w stays 1
)
MAX_PREDICTION = 100.0  # predictions are clipped to ± this number, so that the worst pay-off is finite

# a function of a key and an array of inputs or weights that returns the changed array
ArrayChange = Callable[[jax.Array, jax.Array], jax.Array]


class Tasks(NamedTuple):
    """N regression tasks.

    Attributes:
        weights: [N, T, D] the weight vector w on every trial.
        inputs: [N, T, D] the input x on every trial.
        noise: [N] the standard deviation of the noise.
        sign_weight: [N] 1 if the outcome depends only on the sign of w·x, else 0.
    """

    weights: jax.Array
    inputs: jax.Array
    noise: jax.Array
    sign_weight: jax.Array


class LinearRegression(ConfiguredFamily):
    """Linear regression in context; see `family` for the settings."""

    dimension: int
    noise: float
    bank_weights: jax.Array | None  # [M, D]

    controls: ClassVar = {"learner": "ridge", "lookalike": "last_pair", "still": "zero"}
    # ridge regression with the variance of the noise as penalty gives the posterior mean
    references: ClassVar = make_reference_roles("ridge", "ridge:discount=0.8", "dmmse", strongest="ridge")
    predictors: ClassVar = (
        "zero",
        "running_mean",
        "last_pair",
        "nearest_neighbours",
        "gradient_descent",
        "gradient_descent:steps=5",
        "gradient_descent:steps=2,preconditioning=0.5",
        "least_squares",
        "ridge",
        "dmmse",
    )

    def list_splits(self) -> tuple[Split, ...]:
        """Lists the splits: seen (with a bank), fresh, and changes of the inputs, outcomes, weights, noise and horizon.

        The splits with exchanged coordinates or with inputs in half of the directions need at least two dimensions.
        """
        split, half, has_several_axes = self.make_split, self.horizon // 2, self.dimension > 1

        def make_halfway_change(change: Callable[[jax.Array], jax.Array]) -> ArrayChange:
            """Returns a function that changes the weights from half-way on."""
            return lambda _, path: path.at[:, half:].set(change(path[:, half:]))

        def drift_weights(key: jax.Array, weights: jax.Array) -> jax.Array:
            """Lets the weights [N, T, D] drift from their values on the first trial."""
            return _draw_drifting_weights(weights[:, 0], jax.random.normal(derive_key(key, "drift"), weights.shape))

        roll_weights = make_halfway_change(lambda w: jnp.roll(w, 1, -1))
        coordinate_split = split("exchanged:coordinates", change_trial=half, change_weights=roll_weights)
        half_splits = (
            split(f"shifted:{name}", is_counted=False, change_inputs=functools.partial(self._mask_directions, turns))
            for name, turns in (("subspace", False), ("orthogonal", True))
        )
        return (
            *(() if self.bank_weights is None else (split("seen", is_seen=True),)),
            split("fresh"),
            split("shifted:scaled_x", change_inputs=lambda _, x: SCALE_FACTOR * x),
            split("shifted:scaled_y", change_weights=lambda _, path: SCALE_FACTOR * path),
            split("shifted:skewed", change_inputs=self._skew_inputs),
            *((coordinate_split,) if has_several_axes else ()),
            split("exchanged:sign", change_trial=half, change_weights=make_halfway_change(lambda w: -w)),
            split("restructured:drift", change_weights=drift_weights, is_drifting=True),
            split("restructured:threshold", sign_weight=1.0),
            # these splits are not counted: more noise leaves less to gain; inputs in half of the directions also occur
            # in training; after a switch to orthogonal inputs, what was learned about w before is of no use
            split("shifted:noise", is_counted=False, noise_factor=NOISE_FACTOR),
            *(half_splits if has_several_axes else ()),
            split("horizon:longer", is_counted=False, trials=5 * self.horizon),
        )

    def draw(
        self,
        key: jax.Array,
        n: int,
        *,
        is_seen: bool = False,
        change_inputs: ArrayChange = lambda key, inputs: inputs,
        change_weights: ArrayChange = lambda key, path: path,
        noise_factor: float = 1.0,
        sign_weight: float = 0.0,
        trials: int = 0,
    ) -> Tasks:
        """Draws n tasks.

        Args:
            key: the random key for all draws.
            n: the number of tasks.
            is_seen: whether the weights come from the bank.
            change_inputs: a function of a key and the inputs [n, T, D] that returns other inputs of this shape.
            change_weights: a function of a key and the weights [n, T, D] that returns other weights of this shape.
            noise_factor: the factor by which the family's noise is multiplied.
            sign_weight: 1 if the outcome depends only on the sign of w·x, else 0.
            trials: T, the number of trials; 0 for the family's horizon.
        """
        trials = trials or self.horizon
        draws = jax.random.normal(derive_key(key, "w and x"), (n, 1 + trials, self.dimension))
        task_weights = draws[:, 0]
        if is_seen:
            task_weights = draw_from_bank(derive_key(key, "bank"), self.bank_weights, n)
        weights = change_weights(key, jnp.repeat(task_weights[:, None], trials, 1))
        return Tasks(
            weights,
            change_inputs(key, draws[:, 1:]),
            jnp.full((n,), self.noise * noise_factor),
            jnp.full((n,), sign_weight),
        )

    def _skew_inputs(self, key: jax.Array, x: jax.Array) -> jax.Array:
        """Scales and rotates inputs [n, T, D], so that they have a different spread in each direction."""
        # the variance along axis i is proportional to 1 / i², with mean 1 over the axes (Garg et al. 2022)
        variance = 1.0 / np.arange(1, self.dimension + 1) ** 2
        deviations = np.sqrt(variance * self.dimension / variance.sum())
        rotation = jax.random.orthogonal(derive_key(key, "axes"), self.dimension, (len(x),))
        return jnp.einsum("ntd,nde->nte", x * deviations, rotation)

    def _mask_directions(self, is_switching: bool, key: jax.Array, x: jax.Array) -> jax.Array:
        """Projects inputs [n, T, D] on half of the directions; `is_switching` uses the other half from half-way on."""
        n, trials, d = x.shape
        mask = jnp.broadcast_to(jnp.arange(d) < d // 2, (trials, d))
        if is_switching:
            mask = mask ^ (jnp.arange(trials) >= self.horizon // 2)[:, None]
        # scales the inputs to the size that they have in training
        size = jnp.sqrt(d / mask.sum(-1, keepdims=True))
        rotation = jax.random.orthogonal(derive_key(key, "axes"), d, (n,))
        return jnp.einsum("ntd,nde->nte", x * mask * size, rotation)

    def begin(self, key: jax.Array, tasks: Tasks) -> tuple[jax.Array, Percept]:
        """Starts one lifetime per task; the hidden state is the trial index [N]."""
        n = len(tasks.noise)
        observation = jnp.concatenate([tasks.inputs[:, 0], jnp.zeros((n, self.dimension))], -1)
        return jnp.zeros(n, jnp.int32), make_first_percept(observation)._replace(action=jnp.zeros(n))

    def step(self, key: jax.Array, tasks: Tasks, state: jax.Array, action: jax.Array):
        """Scores the predictions [N]; the feedback is the noisy outcome, which does not depend on the prediction."""
        rows, last = jnp.arange(len(state)), tasks.inputs.shape[1] - 1
        x = tasks.inputs[rows, state]
        target = _compute_outcome((tasks.weights[rows, state] * x).sum(-1), tasks.sign_weight, self.dimension)
        y = target + tasks.noise * jax.random.normal(key, target.shape)
        score = -jnp.square(jnp.clip(action, -MAX_PREDICTION, MAX_PREDICTION) - target)
        coming = tasks.inputs[rows, jnp.minimum(state + 1, last)]
        observation = jnp.concatenate([coming, x], -1)
        return state + 1, make_next_percept(observation, action.astype(jnp.float32), y, state + 1), score

    def compute_latents(self, tasks: Tasks, split: str) -> dict[str, np.ndarray]:
        """Returns the latents target (the noiseless outcome), chance, best, worst and fixed, each [N, T]."""
        w, x = (np.asarray(part, float) for part in (tasks.weights, tasks.inputs))
        sign_weight = np.asarray(tasks.sign_weight, float)[:, None]
        target = np.asarray(_compute_outcome((w * x).sum(-1), sign_weight, self.dimension))
        mean = np.asarray(self.bank_weights, float).mean(0) if split == "seen" else np.zeros(self.dimension)
        return {
            "target": target,
            "best": np.zeros_like(target),
            "chance": -(target**2),
            "worst": -((np.abs(target) + MAX_PREDICTION) ** 2),
            "fixed": -((target - x @ mean) ** 2),
        }

    def interpolate_tasks(self, observation: np.ndarray, proportion: float, rng: Any) -> tuple[np.ndarray, np.ndarray]:
        """Computes outcomes [N, T], without and with noise, for weights between those of two random tasks of the bank.

        The length of the weight vector is interpolated separately (Raventós et al. 2023), because a mixture of two
        vectors is shorter than the vectors.

        Args:
            observation: [N, T, 2D] the observations of lifetimes.
            proportion: the fraction of the way from the weights of the first task to those of the second.
            rng: the NumPy generator that draws the tasks and the noise.
        """
        bank = np.asarray(self.bank_weights, float)
        one, other = bank[rng.permuted(np.tile(np.arange(len(bank)), (len(observation), 1)), axis=1)[:, [0, -1]].T]
        mixture = (1 - proportion) * one + proportion * other
        length = [np.linalg.norm(w, axis=-1, keepdims=True) for w in (one, other, mixture)]
        mixture = mixture * ((1 - proportion) * length[0] + proportion * length[1]) / np.maximum(length[2], 1e-9)
        target = (observation[..., : self.dimension] * mixture[:, None]).sum(-1)
        return target, target + self.noise * rng.standard_normal(target.shape)

    @property
    def has_payoff_values(self) -> bool:
        """Whether the worth of predictions counts whole outcomes, because the last few inputs span all directions."""
        return self.dimension <= find_reflex_window(self.horizon)

    def compute_action_values(
        self, tasks: Tasks, split: str, observation: np.ndarray, action: np.ndarray
    ) -> np.ndarray:
        """Computes the worth [N, T, M] of predictions on each of M tasks, given the observed inputs [N, T, 2D].

        If the last few inputs span all directions, the worth is the reduction in squared error relative to the
        prediction 0. Otherwise only a part of the outcome counts: the part due to the component of the input that is
        orthogonal to the last few inputs. The worth is then this part times the prediction. The components of w are
        independent, so the last trials contain no information about this part.
        """
        action = np.clip(action[..., None] if action.ndim == 2 else action, -MAX_PREDICTION, MAX_PREDICTION)
        outcome = self.find_best_actions(tasks, split, observation)
        if not self.has_payoff_values:
            return action * outcome
        return np.square(outcome) - np.square(action - outcome)

    def find_best_actions(self, tasks: Tasks, split: str, observation: np.ndarray) -> np.ndarray:
        """Returns the noiseless outcomes [N, T, M] on M tasks, or the part of each that `compute_action_values` counts.

        The outcomes are those of the inputs in the observations [N, T, 2D].
        """
        x = observation[..., : self.dimension]
        if not self.has_payoff_values:
            x = find_orthogonal_part(x, find_reflex_window(self.horizon))
        linear = np.einsum("ntd,mtd->ntm", x, np.asarray(tasks.weights))
        sign_only = np.asarray(tasks.sign_weight) * self.has_payoff_values
        return np.asarray(_compute_outcome(linear, sign_only, self.dimension))

    def mark_as_first(self, percept: Percept, start: Percept) -> Percept:
        """Returns the percept as if the lifetime began now: with the coming input, but without a past pair."""
        xp = np if isinstance(percept.observation, np.ndarray) else jnp
        now, before = percept.observation[:, : self.dimension], percept.observation[:, self.dimension :]
        return start._replace(observation=xp.concatenate([now, xp.zeros_like(before)], -1))

    def read_target(self, percept: Percept) -> Array:
        """Returns the noisy outcome of the last trial, [N]; 0 before the first trial."""
        return percept.feedback

    def with_opposite_outcome(self, percept: Percept) -> Percept:
        """Returns the percept with the sign of the outcome flipped, and on odd trials with another last input.

        This other input is the last input with its coordinates moved by one place and their signs flipped.
        """
        xp = np if isinstance(percept.observation, np.ndarray) else jnp
        coming, last = percept.observation[:, : self.dimension], percept.observation[:, self.dimension :]
        opposite = percept._replace(feedback=-percept.feedback)
        return exchange_earlier_events(opposite, xp.concatenate([coming, -xp.roll(last, 1, -1)], -1))

    def describe_step(self, action: Any, feedback: float) -> str:
        """Describes one trial in words."""
        return f"predicted {action:.2f}, it was {feedback:.2f}"


def _compute_outcome(linear_outcome: Any, sign_weight: Any, dimension: int) -> Any:
    """Computes the noiseless outcome from w·x: w·x itself, or its sign times the standard deviation of w·x."""
    return linear_outcome + sign_weight * (np.sqrt(dimension) * jnp.sign(linear_outcome) - linear_outcome)


def find_orthogonal_part(inputs: np.ndarray, window: int) -> np.ndarray:
    """Computes the component [N, T, D] of each input that is orthogonal to the inputs of the `window` trials before it.

    Args:
        inputs: [N, T, D] the inputs.
        window: the number of trials before each trial.
    """
    x = np.asarray(inputs, float)
    last = np.zeros((*x.shape, window))
    for i in range(1, window + 1):
        last[:, i:, :, i - 1] = x[:, :-i]
    gram = np.einsum("ntdw,ntdv->ntwv", last, last) + 1e-9 * np.eye(window)  # inputs before the first trial are 0
    factors = np.linalg.solve(gram, np.einsum("ntdw,ntd->ntw", last, x)[..., None])
    return x - (last @ factors)[..., 0]


def _draw_drifting_weights(start: jax.Array, draws: jax.Array) -> jax.Array:
    """Makes weights [N, T, D] that drift with constant variance, from start [N, D] and normal draws [N, T, D]."""

    def add_drift(w, noise):
        return np.sqrt(1.0 - DRIFT_NOISE_WEIGHT**2) * w + DRIFT_NOISE_WEIGHT * noise, w

    return jnp.moveaxis(jax.lax.scan(add_drift, start, jnp.moveaxis(draws, 1, 0))[1], 0, 1)


@keep_settings(dimension=(1, 256), noise=(0, 100), trials=(2, 10_000), bank=(0, 1_000_000))
def family(
    dimension: int = 4, noise: float = 0.5, trials: int = 16, bank: int = 0, bank_seed: int = 0
) -> LinearRegression:
    """A hidden weight vector maps inputs to noisy outcomes; the action predicts the next outcome.

    Args:
        dimension: D, the dimension of the inputs.
        noise: the standard deviation of the outcomes around w·x.
        trials: T, the number of trials, at least 2.
        bank: M, the number of training tasks; 0 for no limit.
        bank_seed: the seed that the bank is drawn from.
    """
    noise = float(noise)
    key = derive_key(jax.random.key(bank_seed), "bank")
    bank_weights = jax.random.normal(key, (bank, dimension)) if bank else None
    settings = {"dimension": dimension, "noise": noise, "trials": trials}
    name = make_configured_name(family, **settings, bank=bank, bank_seed=bank_seed)
    return LinearRegression(dimension, noise, bank_weights, name=name, choices=None, horizon=trials)
