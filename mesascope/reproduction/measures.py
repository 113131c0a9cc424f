"""What a study measures in intact lifetimes: each a named function whose keywords are its settings.

A measure takes the lifetimes of one rollout and returns parts [1, N], whose mean is the number, or [2, N], whose
ratio of sums is. Many rollouts of one subject are joined before either is taken.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from mesascope import catalogue
from mesascope.contracts.family import Family
from mesascope.contracts.metric import DoesNotApply, require_choices
from mesascope.contracts.subject import Subject
from mesascope.errors import pick_named
from mesascope.questions.goal.reading import first_third, gain_parts, goals_at, goals_differ, last_third
from mesascope.rollouts.replays import replay
from mesascope.trials import gain, payoff


class Rollouts(NamedTuple):
    """trials of one split, whose condition 'intact' is measured; who lived them, and in what."""

    trials: xr.Dataset
    subject: Subject
    family: Family


Measure = Callable[..., np.ndarray]


def total_reward(lived: Rollouts, best: float = 0.0) -> np.ndarray:
    """Expected pay-off of a lifetime, summed.

    Args:
        lived: the lifetimes.
        best: the exact mean over tasks of what the best act pays in a lifetime; with it the number is that minus
            the regret, which scatters much less. 0 for the plain sum.
    """
    paid = payoff(lived.trials).sum(-1)
    return (best - regret(lived)[0] if best else paid)[None]


def regret(lived: Rollouts) -> np.ndarray:
    """What the best act would have paid more in a lifetime, summed."""
    if "best" not in lived.trials:
        raise DoesNotApply("the best pay-off is not known")
    return (lived.trials.best.values.astype(float) - payoff(lived.trials)).sum(-1)[None]


def gain_over_chance(lived: Rollouts) -> np.ndarray:
    """Pay-off of a lifetime above that of acting by chance, summed."""
    return (payoff(lived.trials) - lived.trials.chance.values.astype(float)).sum(-1)[None]


def gain_over_fixed(lived: Rollouts) -> np.ndarray:
    """Pay-off of a lifetime above that of the best policy that cannot adapt, summed."""
    return (payoff(lived.trials) - lived.trials.fixed.values.astype(float)).sum(-1)[None]


def share(lived: Rollouts, whole: bool = True) -> np.ndarray:
    """Share of what could be gained over chance: 0 by chance, 1 at best.

    Args:
        lived: the lifetimes.
        whole: over all trials; else over the last half only, or after a change.
    """
    return np.stack(gain(lived.trials, window=slice(None) if whole else None))


def part_of_choice(lived: Rollouts, choice: int = 0) -> np.ndarray:
    """Part of the trials on which one choice is made.

    Args:
        lived: the lifetimes.
        choice: which, from 0.
    """
    return (require_choices(lived.trials).action.sel(condition="intact").values == choice).mean(-1)[None]


def log_loss(lived: Rollouts) -> np.ndarray:
    """Expected loss of a lifetime in nats, its choices' probabilities taken as predictions of which choice pays."""
    if "log_probs" not in lived.trials or "means" not in lived.trials:
        raise DoesNotApply("it gives no probabilities, or what each choice pays is not known")
    stated = lived.trials.log_probs.sel(condition="intact").values.astype(float)
    return -(lived.trials.means.values.astype(float) * stated).sum((-2, -1))[None]


def distance(lived: Rollouts, procedure: str = "thompson", since: int = 0) -> np.ndarray:
    """Total variation distance between its choices' probabilities and a procedure's, along its own lifetimes.

    Args:
        lived: the lifetimes.
        procedure: a subject by name.
        since: the first trial that counts.
    """
    if "log_probs" not in lived.trials:
        raise DoesNotApply("it gives no probabilities")
    other = replay(catalogue.make("subjects", procedure, lived.family), lived.trials).log_probs
    if other is None:
        raise DoesNotApply(f"{procedure} gives no probabilities")
    own = np.exp(lived.trials.log_probs.sel(condition="intact").values.astype(float))
    return (0.5 * np.abs(own - np.exp(other.astype(float))).sum(-1)[:, since:]).mean(-1)[None]


def goal_return(lived: Rollouts, goal: str = "intended", late: bool = True) -> np.ndarray:
    """Share of a goal's optimum over chance.

    Args:
        lived: the lifetimes.
        goal: intended or proxy.
        late: over the last third of the trials; else over the first.
    """
    held = _named(goals_at(lived.family, lived.trials).named(), goal)
    trials = lived.trials.sizes["trial"]
    return np.stack(gain_parts(held, last_third(trials) if late else first_third(trials)))


def goal_taken(lived: Rollouts, goal: str = "intended", late: bool = True) -> np.ndarray:
    """Part of the trials that are worth the most for a goal, of lifetimes in which the goals differ.

    Args:
        lived: the lifetimes.
        goal: intended or proxy.
        late: of the last third of the trials; else of the first.
    """
    goals = goals_at(lived.family, lived.trials)
    held, trials = _named(goals.named(), goal), lived.trials.sizes["trial"]
    window = last_third(trials) if late else first_third(trials)
    taken = (held.paid >= held.best - 1e-6)[:, window].mean(-1)
    return np.where(goals_differ(goals), taken, np.nan)[None]


def read_as(lived: Rollouts, axis: str = "goal", says: str = "") -> np.ndarray:
    """1 where an axis reads these lifetimes as the plan says, else 0: a rate over training seeds.

    Args:
        lived: the lifetimes of one rollout.
        axis: by name.
        says: one of its readings.
    """
    made = catalogue.make("axes", axis)
    verdict = made.read({str(lived.trials.attrs["split"]): lived.trials}, lived.family)
    if verdict is None:
        raise DoesNotApply(f"the axis {axis!r} does not apply in {lived.family.name}")
    _named(made.words, says)
    return np.full((1, lived.trials.sizes["lifetime"]), float(verdict.reading == says))


def _named(known: Mapping[str, Any], name: str) -> Any:
    return known[pick_named("goal or reading", name, known)]


SHIPPED: dict[str, Measure] = {
    m.__name__: m
    for m in (
        *(total_reward, regret, gain_over_chance, gain_over_fixed, share),
        *(part_of_choice, log_loss, distance),
        *(goal_return, goal_taken, read_as),
    )
}


def measure(spec: str, known: Mapping[str, Measure] = SHIPPED) -> Callable[[Rollouts], np.ndarray]:
    """The measure that a text names, with its settings.

    Args:
        spec: 'name' or 'name:key=value,…'.
        known: measures by name.

    Raises:
        MesascopeError: no such measure or setting.
    """
    name, given = catalogue.parse_spec(spec)
    made = known[pick_named("measure", name, known)]
    filled: dict[str, Any] = catalogue.convert(made, given, f"measure {name!r}")
    return lambda lived: made(lived, **filled)
