"""A first choice leads to one of two states, commonly to its own; one state pays well, and now and then the other one.

Daw et al. 2011 in three versions. '2018' (Wang et al. 2018): one act a trial; what is seen next is the state that it
led to and what that paid. '2016' (after Wang et al. 2016): the state is seen first, and an act that makes no difference
takes its pay-off. 'daw': two options at each state, whose four pay-offs drift apart. Nothing here tells planning from
other uses of the states (Akam et al. 2015) but what is said and not lived through: on the splits 'revalued' the worth
of the states, or where the choices lead, is announced half-way and true from then on.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from mesascope.contracts.configured import (
    Configured,
    Percept,
    Split,
    first_percept,
    keep_settings,
    name_with_settings,
    next_percept,
)
from mesascope.contracts.family import draw_bank, payoff_latents, pick, reference_roles
from mesascope.contracts.plans import Plans, observed
from mesascope.errors import MesascopeError
from mesascope.keys import address

VERSIONS = ("2018", "2016", "daw")
COMMON = {"2018": 0.8, "2016": 0.8, "daw": 0.7}
# Daw et al. 2011: the walk's standard deviation per trial, and where it is reflected
WALK, LOW, HIGH = 0.025, 0.25, 0.75


class Tasks(NamedTuple):
    """All [N, T]: what is true on each trial.

    worth [N, T, 2, 2] what each option of each state pays; crossed whether the first choice leads to the other state;
    common whether the transition of that trial is the common one; tells whether worth and map are announced.
    """

    worth: jax.Array
    crossed: jax.Array
    common: jax.Array
    tells: jax.Array


class State(NamedTuple):
    """trial, step, and the state that the first choice of the trial led to, each [N]."""

    trial: jax.Array
    step: jax.Array
    place: jax.Array


class TwoStep(Configured):
    """The two-step task; see `family` for the settings. Its numbers are data.

    An observation [N, 8]: the state that was reached (two places, both 0 at a first choice of versions with two steps);
    whether worth and map are announced; where they are, 1 if the first choice leads commonly to the first state and -1
    if it leads to the second, and what the two options of both states pay.
    """

    version: str
    usual: jax.Array  # how often the common transition is made
    payoffs: jax.Array  # [2] high, low
    switch: jax.Array
    announced: jax.Array
    bank_worth: jax.Array | None  # [M, T, 2, 2]

    controls: ClassVar = {"learner": "model_based", "lookalike": "win_stay_lose_shift", "still": "uniform"}

    @property
    def steps(self) -> int:
        """One, or two where the second state is seen before it pays."""
        return 1 if self.version == "2018" else 2

    @property
    def references(self) -> dict[str, str]:
        """Reference procedures by role; the filter is the exact optimum where one state is the good one."""
        best = "" if self.version == "daw" else "state_filter"
        slow = "model_based:rate=0.6"
        return reference_roles("model_based", slow, "worth_locator", strongest=best, against="")

    def splits(self) -> tuple[Split, ...]:
        """On the restructured split pay-offs drift where they switched, or switch where they drifted."""
        split, half = self.varied, self.horizon // 2
        other = "switching" if self.version == "daw" else "drift"
        return (
            *(() if self.bank_worth is None else (split("seen", seen=True),)),
            split("fresh"),
            split("shifted:close", worth=lambda worth: 0.5 + 0.5 * (worth - 0.5)),
            split("exchanged:map", changes_at=half, crossed_at=half),
            split(f"restructured:{other}", drifts=other == "drift"),
            split("revalued:worth", changes_at=half, counted=False, revalued="worth"),
            split("revalued:map", changes_at=half, counted=False, revalued="map", crossed_at=half),
            split("revalued:same", changes_at=half, counted=False, revalued="same"),
        )

    def draw(
        self,
        key: jax.Array,
        n: int,
        *,
        seen: bool = False,
        worth: Callable[[jax.Array], jax.Array] = lambda worth: worth,
        drifts: bool | None = None,
        crossed_at: int | None = None,
        revalued: str = "",
    ) -> Tasks:
        """Draws n tasks.

        Args:
            key: of all draws.
            n: how many.
            seen: whether pay-offs are of the bank.
            worth: what becomes of the pay-offs [n, T, 2, 2].
            drifts: whether they drift, rather than switch; as the version has it where None.
            crossed_at: the trial from which choices lead to the other state.
            revalued: what is announced half-way and true from then on, as splits are called; '' for nothing.
        """
        shape, half = (n, self.horizon), self.horizon // 2
        drifts = self.version == "daw" if drifts is None else drifts
        paid = (_walked if drifts else self._switching)(address(key, "worth"), n, self.horizon)
        if seen:
            paid = pick(address(key, "which"), self.bank_worth, n)
        crossed = jnp.arange(self.horizon) >= (self.horizon if crossed_at is None else crossed_at)
        tells = jax.random.bernoulli(address(key, "tells"), self.announced, shape)
        if revalued:
            first = jax.random.randint(address(key, "good"), (n, 1), 0, 2)
            changed = (jnp.arange(self.horizon) >= half) & (revalued == "worth")
            paid = self._paid(jnp.broadcast_to(first, shape) ^ changed)
            tells = jnp.broadcast_to(jnp.arange(self.horizon) == half, shape)
        common = jax.random.bernoulli(address(key, "common"), self.usual, shape)
        return Tasks(worth(paid), jnp.broadcast_to(crossed, shape), common, tells)

    def _switching(self, key: jax.Array, n: int, trials: int) -> jax.Array:
        """[n, T, 2, 2] where one state is good, and with the probability of a switch the other one from then on."""
        start = jax.random.bernoulli(address(key, "start"), 0.5, (n, 1))
        moves = jax.random.uniform(address(key, "moves"), (n, trials)) < self.switch
        return self._paid((start + jnp.cumsum(moves.at[:, 0].set(False), 1)) % 2)

    def _paid(self, good: jax.Array) -> jax.Array:
        """[n, T, 2, 2] where the good state [n, T] is known; of two options of that state the first one pays."""
        is_good = jnp.arange(2) == good[..., None]
        options = jnp.asarray([True, self.version != "daw"])
        return jnp.where(is_good[..., None] & options, self.payoffs[0], self.payoffs[1])

    def begin(self, key: jax.Array, tasks: Tasks) -> tuple[State, Percept]:
        """Starts one lifetime per task."""
        zero = jnp.zeros(len(tasks.common), jnp.int32)
        return State(zero, zero, zero), first_percept(self._shown(tasks, zero, jnp.full_like(zero, -1)))

    def step(self, key: jax.Array, tasks: Tasks, state: State, action: jax.Array):
        """The first choice, and in versions of two steps the second one."""
        rows = jnp.arange(len(action))
        worth, crossed, common = (x[rows, state.trial] for x in tasks[:3])
        reached = (action ^ crossed.astype(jnp.int32) ^ (~common).astype(jnp.int32)).astype(jnp.int32)
        best = worth.max(-1)  # [N, 2] of each state
        led = self._led(crossed[:, None], best[:, None])[:, 0]  # [N, 2] what each first choice is worth
        score = led[rows, action]
        uniform = jax.random.uniform(key, action.shape)
        if self.steps == 1:
            feedback = (uniform < worth[rows, reached, 0]).astype(jnp.float32)
            return self._after(
                tasks, state, action, feedback, reached, ends=jnp.ones_like(common), score=score
            )
        second = state.step == 1
        paid = worth[rows, state.place, action]
        feedback = (second & (uniform < paid)).astype(jnp.float32)
        score = jnp.where(second, paid - best[rows, state.place], score)  # what the worse option forgoes
        place = jnp.where(second, state.place, reached)
        return self._after(tasks, state, action, feedback, place, ends=second, score=score)

    def _after(self, tasks, state, action, feedback, place, *, ends, score):
        """The next state, percept and the score."""
        trial = state.trial + ends
        step = jnp.where(ends, 0, state.step + 1)
        seen = place if self.steps == 1 else jnp.where(ends, -1, place)
        shown = self._shown(
            tasks, jnp.minimum(trial, self.horizon - 1), seen, (step == 0) & (trial < self.horizon)
        )
        return State(trial, step, place), next_percept(shown, action, feedback, trial, step), score

    def _shown(self, tasks: Tasks, trial: jax.Array, place: jax.Array, begins: Any = True) -> jax.Array:
        """[N, 8] the state that was reached (-1 for none), and what is announced before a first choice."""
        rows = jnp.arange(len(trial))
        tells = (tasks.tells[rows, trial] & begins).astype(jnp.float32)[:, None]
        leads = jnp.where(tasks.crossed[rows, trial], -1.0, 1.0)[:, None]
        pays = tasks.worth[rows, trial].reshape(-1, 4)
        return jnp.concatenate([jax.nn.one_hot(place, 2), tells, tells * leads, tells * pays], -1)

    def _led(self, crossed: Any, best: Any) -> Any:
        """[N, T, 2] what each first choice is worth; crossed [N, T], and what the states pay [N, T, 2]."""
        xp = jnp if isinstance(best, jax.Array) else np
        usual = self.usual if xp is jnp else float(self.usual)
        way = xp.where(crossed[..., None], best[..., ::-1], best)
        return usual * way + (1.0 - usual) * way[..., ::-1]

    def latents(self, tasks: Tasks, split: str) -> dict[str, np.ndarray]:
        """What each first choice is worth [N, T, K], whether transitions are common, and chance, best, worst, fixed."""
        worth, crossed = np.asarray(tasks.worth, float), np.asarray(tasks.crossed)
        means = self._led(crossed, worth.max(-1))
        average = worth.mean((-1, -2))
        fixed = average  # by symmetry no act is better than another before anything is seen
        if split == "seen":
            bank = np.asarray(self.bank_worth, float).mean(0)  # [T, 2, 2]
            option = bank.argmax(-1)
            kept = np.take_along_axis(
                worth, np.broadcast_to(option[None, ..., None], (*worth.shape[:3], 1)), -1
            )[..., 0]
            usual = np.take_along_axis(bank, option[..., None], -1)[..., 0]
            first = self._led(np.zeros(len(usual), bool), usual).argmax(-1)
            fixed = self._led(crossed, kept)[:, np.arange(self.horizon), first]
        return payoff_latents(means, fixed) | {
            "transition": np.asarray(tasks.common, np.float32),
            "chance": average,
            "worst": self._led(crossed, worth.min(-1)).min(-1),
        }

    def plans(self, trials: xr.Dataset, label: str = "intact") -> Plans:
        """What the first choices were worth, before and after something was announced."""
        action = trials.action.sel(condition=label).values.astype(int)
        first = action[..., 0] if action.ndim == 3 else action
        values = trials.means.values.astype(float)[:, :, None]
        before = np.full_like(values, np.nan)
        before[:, 1:] = values[:, :-1]
        # whether worth and map are announced before the first choice
        seen = observed(trials, self.name)
        shown = (seen if self.steps == 1 else seen[:, :, 0])[..., 2] > 0
        return Plans(first[..., None], values, before, shown, np.full((*first.shape, 1), 2), 4, goal=True)

    def text(self, action: int, feedback: float) -> str:
        """One choice in words."""
        return f"chose {'AB'[action]}, got {feedback:g}"


def _walked(key: jax.Array, n: int, trials: int) -> jax.Array:
    """[n, T, 2, 2] Gaussian walks, reflected."""
    start = jax.random.uniform(address(key, "start"), (n, 1, 2, 2), minval=LOW, maxval=HIGH)
    steps = WALK * jax.random.normal(address(key, "walk"), (n, trials, 2, 2))
    span = HIGH - LOW
    walk = start - LOW + jnp.cumsum(steps.at[:, 0].set(0.0), 1)
    return LOW + span - jnp.abs(span - jnp.mod(walk, 2 * span))


@keep_settings(
    version=VERSIONS,
    trials=(4, 100_000),
    bank=(0, 100_000),
    **dict.fromkeys(("high", "low", "switch", "announced"), (0.0, 1.0)),
)
def family(
    version: str = "2018",
    trials: int = 100,
    common: float = 0.0,
    high: float = 0.9,
    low: float = 0.1,
    switch: float = 0.025,
    announced: float = 0.0,
    bank: int = 0,
    bank_seed: int = 0,
) -> TwoStep:
    """A first choice leads commonly to its own of two states, and the states pay by turns.

    Args:
        version: 2018 (one act a trial), 2016 (a second act that makes no difference), daw (two options at each state,
            pay-offs that drift).
        trials: T, at least 4.
        common: how often the common transition is made; 0 for the version's own, .8, .8 and .7.
        high: what the good state pays.
        low: what the other one pays.
        switch: the probability per trial that the other state is the good one from now on.
        announced: the share of trials at which what the states pay and where the choices lead is told.
        bank: M, the number of training tasks, whole lifetimes of pay-offs; 0 for unlimited.
        bank_seed: the seed that the bank is drawn from.
    """
    if high - low < 1e-3:
        raise MesascopeError(
            f"high={high} and low={low}: no state pays more than the other.",
            "Give high above low, as high=0.9,low=0.1.",
        )
    usual = common or COMMON[version]
    if not 0.5 < usual <= 1:
        raise MesascopeError(
            f"common={common}: a common transition is made more often than the other.",
            "Give a number above 0.5.",
        )
    shown = {"version": version, "trials": trials, "common": 0.0 if usual == COMMON[version] else usual}
    shown |= {"high": high, "low": low, "switch": switch, "announced": announced}
    plain = TwoStep(
        name=name_with_settings(family, **shown, bank=bank, bank_seed=bank_seed),
        choices=2,
        horizon=trials,
        version=version,
        usual=jnp.asarray(usual, jnp.float32),
        payoffs=jnp.asarray([high, low], jnp.float32),
        switch=jnp.asarray(switch, jnp.float32),
        announced=jnp.asarray(announced, jnp.float32),
        bank_worth=None,
    )
    worth = draw_bank(
        lambda key: plain.draw(key, bank).worth,
        bank,
        bank_seed,
        tell=lambda worth: np.asarray(worth).max(-1).mean(1).argmax(-1),  # the better states over all
        what="with two different better states",
    )
    return dataclasses.replace(plain, bank_worth=worth)
