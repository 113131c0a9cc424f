"""Each of two first choices commonly leads to its own state; the state that pays well switches from time to time.

This is the task of Daw et al. 2011 in three versions. In '2018' (Wang et al. 2018), a trial is one action; the next
observation shows the state that it led to, and the feedback is the pay-off of that state. In '2016' (after Wang et al.
2016), the subject sees the state first, and a second action, which makes no difference, collects the pay-off. In
'daw', each state has two options, and the four pay-offs drift independently. In all versions, only announcements can
distinguish planning from other uses of the states (Akam et al. 2015). On the splits 'revalued', the task announces its
pay-offs and transitions half-way through the lifetime: new pay-offs, new transitions or, on 'revalued:same', unchanged
ones. They apply from then on.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from mesascope.contracts import (
    ActionConsequences,
    ConfiguredFamily,
    Percept,
    Split,
    convert_to_arrays,
    make_payoff_latents,
    read_observations,
)
from mesascope.contracts.bank_draws import draw_bank, draw_from_bank
from mesascope.contracts.family import make_reference_roles
from mesascope.contracts.percept import exchange_earlier_events, make_first_percept, make_next_percept
from mesascope.contracts.settings import keep_settings, make_configured_name
from mesascope.errors import MesascopeError
from mesascope.keys import derive_key

COMMON_PROBABILITIES = {"2018": 0.8, "2016": 0.8, "daw": 0.7}  # by version
# Daw et al. 2011: the standard deviation of the walk per trial, and its reflecting bounds
WALK_DEVIATION, LOWEST, HIGHEST = 0.025, 0.25, 0.75


class Tasks(NamedTuple):
    """The tasks by trial.

    Attributes:
        payoffs: [N, T, 2, 2] the mean pay-off of each option of each state.
        is_swapped: [N, T] whether choice 0 commonly leads to state 1, and choice 1 to state 0.
        is_common: [N, T] whether the transition of the trial is the common one.
        is_announced: [N, T] whether pay-offs and transitions are announced at the start of the trial.
    """

    payoffs: jax.Array
    is_swapped: jax.Array
    is_common: jax.Array
    is_announced: jax.Array


class State(NamedTuple):
    """The trial, the step, and the state that the first choice of the trial led to, each [N]."""

    trial: jax.Array
    step: jax.Array
    reached_state: jax.Array


class TwoStep(ConfiguredFamily):
    """The two-step task; see `family` for the settings.

    Probabilities and pay-offs are arrays, so tasks that differ only in these settings share compiled code.

    An observation [N, 8] contains the state that was reached (one-hot; both entries are 0 before the first choice of a
    lifetime and, in versions with two steps, of every trial), a flag for an announcement, and the announcement itself.
    The first entry of the announcement is 1 if choice 0 commonly leads to state 0, and -1 if that choice commonly leads
    to state 1. The other entries are the mean pay-offs of the two options of each state. Without an announcement, these
    entries are 0.
    """

    version: str
    common_probability: jax.Array  # the probability of the common transition
    payoffs: jax.Array  # [2] high, low
    switch_probability: jax.Array
    announced_share: jax.Array
    bank_payoffs: jax.Array | None = None  # [M, T, 2, 2]

    controls: ClassVar = {"learner": "model_based", "lookalike": "win_stay_lose_shift", "still": "uniform"}

    @property
    def steps(self) -> int:
        """The number of steps in a trial: two in versions that show the state before the pay-off, otherwise one."""
        return 1 if self.version == "2018" else 2

    @property
    def references(self) -> dict[str, str]:
        """The reference procedures by role; 'strongest', the exact optimum, is left out in the version 'daw'."""
        strongest = "" if self.version == "daw" else "state_filter"
        discounting = "model_based:rate=0.6"
        return make_reference_roles(
            "model_based", discounting, "worth_locator", strongest=strongest, against_setting=""
        )

    def list_splits(self) -> tuple[Split, ...]:
        """Lists the splits. On the restructured split, pay-offs drift if they switch in training, and vice versa."""
        split, half = self.make_split, self.horizon // 2
        other_payoffs = "switching" if self.version == "daw" else "drift"
        has_drift = other_payoffs == "drift"
        return (
            *(() if self.bank_payoffs is None else (split("seen", is_seen=True),)),
            split("fresh"),
            split("shifted:close", change_payoffs=lambda payoffs: 0.5 + 0.5 * (payoffs - 0.5)),
            split("exchanged:map", change_trial=half, swap_trial=half),
            split(f"restructured:{other_payoffs}", has_drift=has_drift, is_drifting=has_drift),
            split("revalued:worth", change_trial=half, is_counted=False, announced_part="worth"),
            split("revalued:map", change_trial=half, is_counted=False, announced_part="map", swap_trial=half),
            split("revalued:same", change_trial=half, is_counted=False, announced_part="same"),
        )

    def draw(
        self,
        key: jax.Array,
        n: int,
        *,
        is_seen: bool = False,
        change_payoffs: Callable[[jax.Array], jax.Array] = lambda payoffs: payoffs,
        has_drift: bool | None = None,
        swap_trial: int | None = None,
        announced_part: str = "",
    ) -> Tasks:
        """Draws n tasks.

        Args:
            key: the random key of all draws.
            n: the number of tasks.
            is_seen: whether pay-offs come from the bank.
            change_payoffs: a function of the mean pay-offs [n, T, 2, 2] that returns other mean pay-offs of this shape.
            has_drift: whether pay-offs drift instead of switching; None for the version's default.
            swap_trial: the first trial on which the common transitions of the two choices are swapped; None if they
                never are.
            announced_part: what the task announces half-way through the lifetime: 'worth' (new pay-offs), 'map' (the
                transitions of `swap_trial`), 'same' (no change) or '' for nothing. Unless it is '', there is one good
                state, which switches only for 'worth'.
        """
        shape, half = (n, self.horizon), self.horizon // 2
        has_drift = self.version == "daw" if has_drift is None else has_drift
        means = (_draw_walks if has_drift else self._draw_switches)(derive_key(key, "worth"), n, self.horizon)
        if is_seen:
            means = draw_from_bank(derive_key(key, "which"), self.bank_payoffs, n)
        is_swapped = jnp.arange(self.horizon) >= (self.horizon if swap_trial is None else swap_trial)
        is_announced = jax.random.bernoulli(derive_key(key, "tells"), self.announced_share, shape)
        if announced_part:
            good_state = jax.random.randint(derive_key(key, "good"), (n, 1), 0, 2)
            has_switched = (jnp.arange(self.horizon) >= half) & (announced_part == "worth")
            means = self._assign_payoffs(jnp.broadcast_to(good_state, shape) ^ has_switched)
            is_announced = jnp.broadcast_to(jnp.arange(self.horizon) == half, shape)
        is_common = jax.random.bernoulli(derive_key(key, "common"), self.common_probability, shape)
        return Tasks(change_payoffs(means), jnp.broadcast_to(is_swapped, shape), is_common, is_announced)

    def _draw_switches(self, key: jax.Array, n: int, trial_count: int) -> jax.Array:
        """Draws mean pay-offs [n, T, 2, 2] with one good state, which switches with a fixed probability per trial."""
        start = jax.random.bernoulli(derive_key(key, "start"), 0.5, (n, 1))
        has_switched = jax.random.uniform(derive_key(key, "moves"), (n, trial_count)) < self.switch_probability
        return self._assign_payoffs((start + jnp.cumsum(has_switched.at[:, 0].set(False), 1)) % 2)

    def _assign_payoffs(self, good_state: jax.Array) -> jax.Array:
        """Assigns mean pay-offs [n, T, 2, 2], given the good state [n, T]; in 'daw' only its first option pays well."""
        is_good = jnp.arange(2) == good_state[..., None]
        options = jnp.asarray([True, self.version != "daw"])
        return jnp.where(is_good[..., None] & options, self.payoffs[0], self.payoffs[1])

    def begin(self, key: jax.Array, tasks: Tasks) -> tuple[State, Percept]:
        """Starts one lifetime per task."""
        zero = jnp.zeros(len(tasks.is_common), jnp.int32)
        return State(zero, zero, zero), make_first_percept(self._observe(tasks, zero, jnp.full_like(zero, -1)))

    def step(self, key: jax.Array, tasks: Tasks, state: State, action: jax.Array):
        """Applies the first choice of a trial, or the second one in versions with two steps."""
        rows = jnp.arange(len(action))
        payoffs, is_swapped, is_common = (x[rows, state.trial] for x in tasks[:3])
        reached_state = (action ^ is_swapped.astype(jnp.int32) ^ (~is_common).astype(jnp.int32)).astype(jnp.int32)
        best = payoffs.max(-1)  # [N, 2] by state
        first_values = self._compute_choice_values(is_swapped[:, None], best[:, None])[:, 0]  # [N, 2]
        score = first_values[rows, action]
        uniform = jax.random.uniform(key, action.shape)
        if self.steps == 1:
            is_trial_end = jnp.ones_like(is_common)
            feedback = (uniform < payoffs[rows, reached_state, 0]).astype(jnp.float32)
        else:
            is_trial_end = state.step == 1
            payoff = payoffs[rows, state.reached_state, action]
            feedback = (is_trial_end & (uniform < payoff)).astype(jnp.float32)
            # the score of a second choice is its pay-off minus that of the better option
            score = jnp.where(is_trial_end, payoff - best[rows, state.reached_state], score)
            reached_state = jnp.where(is_trial_end, state.reached_state, reached_state)
        trial = state.trial + is_trial_end
        step = jnp.where(is_trial_end, 0, state.step + 1)
        shown_state = reached_state if self.steps == 1 else jnp.where(is_trial_end, -1, reached_state)
        is_trial_start = (step == 0) & (trial < self.horizon)
        observation = self._observe(tasks, jnp.minimum(trial, self.horizon - 1), shown_state, is_trial_start)
        return State(trial, step, reached_state), make_next_percept(observation, action, feedback, trial, step), score

    def _observe(
        self, tasks: Tasks, trial: jax.Array, reached_state: jax.Array, is_trial_start: Any = True
    ) -> jax.Array:
        """Makes the observation [N, 8]: `reached_state` (-1 for none) and, at a trial's start, any announcement."""
        rows = jnp.arange(len(trial))
        is_announced = (tasks.is_announced[rows, trial] & is_trial_start).astype(jnp.float32)[:, None]
        sign = jnp.where(tasks.is_swapped[rows, trial], -1.0, 1.0)[:, None]
        payoffs = tasks.payoffs[rows, trial].reshape(-1, 4)
        parts = [jax.nn.one_hot(reached_state, 2), is_announced, is_announced * sign, is_announced * payoffs]
        return jnp.concatenate(parts, -1)

    def _compute_choice_values(self, is_swapped: Any, state_values: Any) -> Any:
        """Computes the values [N, T, 2] of first choices from `is_swapped` [N, T] and the states' values [N, T, 2]."""
        xp = jnp if isinstance(state_values, jax.Array) else np
        probability = self.common_probability if xp is jnp else float(self.common_probability)
        common_value = xp.where(is_swapped[..., None], state_values[..., ::-1], state_values)
        return probability * common_value + (1.0 - probability) * common_value[..., ::-1]

    def compute_latents(self, tasks: Tasks, split: str) -> dict[str, np.ndarray]:
        """Computes `means`, the value [N, T, K] of each first choice, and other latents, each [N, T].

        These are transition (1 if it is common), chance, best, worst and fixed. Values assume the best second choice.
        """
        payoffs, is_swapped = np.asarray(tasks.payoffs, float), np.asarray(tasks.is_swapped)
        means = self._compute_choice_values(is_swapped, payoffs.max(-1))
        average = payoffs.mean((-1, -2))
        fixed = average  # by symmetry all choices are equally good before any feedback
        if split == "seen":
            bank = np.asarray(self.bank_payoffs, float).mean(0)  # [T, 2, 2]
            option = bank.argmax(-1)[None, ..., None]  # the best option of each state on average over the bank
            state_values = np.take_along_axis(payoffs, np.broadcast_to(option, (*payoffs.shape[:3], 1)), -1)[..., 0]
            first = self._compute_choice_values(np.zeros(len(bank), bool), bank.max(-1)).argmax(-1)
            fixed = self._compute_choice_values(is_swapped, state_values)[:, np.arange(self.horizon), first]
        return make_payoff_latents(means, fixed) | {
            "transition": np.asarray(tasks.is_common, np.float32),
            "chance": average,
            "worst": self._compute_choice_values(is_swapped, payoffs.min(-1)).min(-1),
        }

    def evaluate_consequences(self, trials: xr.Dataset, condition: str = "intact") -> ActionConsequences:
        """Evaluates the first choices, with the values of their own and of the previous trial.

        A trial counts as observed if it begins with an announcement.
        """
        action = trials.action.sel(condition=condition).values.astype(int)
        first_choice = action[..., 0] if action.ndim == 3 else action
        values = trials.means.values.astype(float)[:, :, None]
        previous_values = np.full_like(values, np.nan)
        previous_values[:, 1:] = values[:, :-1]
        observation = read_observations(trials, self.name)
        is_announced = (observation if self.steps == 1 else observation[:, :, 0])[..., 2] > 0
        return ActionConsequences(
            first_choice[..., None],
            values,
            previous_values,
            is_announced,
            np.full((*first_choice.shape, 1), 2),
            4,
            has_goal=True,
        )

    def with_opposite_outcome(self, percept: Percept) -> Percept:
        """Replaces the last pay-off in a percept with the opposite one, and in '2018' on odd trials also the state.

        In versions with two steps only the pay-off changes: they show no state at the first choice, and only the
        current state at the second.
        """
        opposite, observation = percept._replace(feedback=1.0 - percept.feedback), percept.observation
        if self.steps > 1:
            return opposite
        xp = np if isinstance(observation, np.ndarray) else jnp
        return exchange_earlier_events(opposite, xp.concatenate([observation[:, 1::-1], observation[:, 2:]], -1))

    def describe_step(self, action: int, feedback: float) -> str:
        """Describes one choice in words."""
        return f"chose {'AB'[action]}, got {feedback:g}"


def _draw_walks(key: jax.Array, n: int, trial_count: int) -> jax.Array:
    """Draws mean pay-offs [n, T, 2, 2] that follow reflected Gaussian random walks."""
    start = jax.random.uniform(derive_key(key, "start"), (n, 1, 2, 2), minval=LOWEST, maxval=HIGHEST)
    steps = WALK_DEVIATION * jax.random.normal(derive_key(key, "walk"), (n, trial_count, 2, 2))
    width = HIGHEST - LOWEST
    walk = start - LOWEST + jnp.cumsum(steps.at[:, 0].set(0.0), 1)
    return LOWEST + width - jnp.abs(width - jnp.mod(walk, 2 * width))


@keep_settings(
    version=tuple(COMMON_PROBABILITIES),
    trials=(4, 100_000),
    bank=(0, 100_000),
    **dict.fromkeys(("high", "low", "switch_probability", "announced_share"), (0.0, 1.0)),
)
def family(
    version: str = "2018",
    trials: int = 100,
    common_probability: float = 0.0,
    high: float = 0.9,
    low: float = 0.1,
    switch_probability: float = 0.025,
    announced_share: float = 0.0,
    bank: int = 0,
    bank_seed: int = 0,
) -> TwoStep:
    """Each first choice commonly leads to its own state, and the good state switches from time to time.

    Args:
        version: which version of the task: '2018' (one action per trial), '2016' (a second action that makes no
            difference) or 'daw' (two options in each state, with drifting pay-offs).
        trials: T, the number of trials, at least 4.
        common_probability: the probability of the common transition; 0 for the default of the version, which is .8
            for '2018' and '2016' and .7 for 'daw'.
        high: the mean pay-off of the good state, at least .001 above `low`.
        low: the mean pay-off of the other state.
        switch_probability: the probability per trial that the good state switches.
        announced_share: the share of trials that announce the pay-offs of the states and the transitions.
        bank: M, the number of training tasks (whole paths of pay-offs); 0 for no limit.
        bank_seed: the seed that the bank is drawn from.
    """
    if high - low < 1e-3:
        raise MesascopeError(
            f"high={high} and low={low}: no state pays more than the other by 0.001.",
            "Give a high that is at least 0.001 above low, e.g. high=0.9,low=0.1.",
        )
    probability = common_probability or COMMON_PROBABILITIES[version]
    if not 0.5 < probability <= 1:
        raise MesascopeError(
            f"common_probability={common_probability} is out of range: the common transition must occur more often.",
            "Give a number above 0.5 and at most 1.",
        )
    if common_probability == COMMON_PROBABILITIES[version]:
        common_probability = 0.0
    settings = {"version": version, "trials": trials, "common_probability": common_probability}
    settings |= {"high": high, "low": low, "switch_probability": switch_probability, "announced_share": announced_share}
    name = make_configured_name(family, **settings, bank=bank, bank_seed=bank_seed)
    payoffs = jnp.asarray([high, low], jnp.float32)
    numbers = convert_to_arrays(
        common_probability=probability, switch_probability=switch_probability, announced_share=announced_share
    )
    task = TwoStep(version, payoffs=payoffs, **numbers, name=name, choices=2, horizon=trials)
    bank_payoffs = draw_bank(
        lambda key: task.draw(key, bank).payoffs,
        bank,
        bank_seed,
        find_property=lambda payoffs: np.asarray(payoffs).max(-1).mean(1).argmax(-1),  # the better state on average
        description="with a different better state in two of its tasks",
    )
    return dataclasses.replace(task, bank_payoffs=bank_payoffs)
