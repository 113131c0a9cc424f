"""Which reference procedure, with fitted parameters, predicts its choices best; or none of these?

Every procedure's settings (temperature, lapse, rates, bonus, prior, discount …) are fitted to one half of the
lifetimes and its predictions scored on the other half, both ways round; so what a setting does not earn, it costs, and
nothing else penalises. Where the subject gives probabilities the score of a trial is their expected log-probability
(no sampling noise), else the log-probability of the choice made.
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from mesascope.contracts.metric import DoesNotApply, Metric, Reading, fresh, pad_readings
from mesascope.errors import MesascopeError, pick_named
from mesascope.questions.procedures.fits import Fitted, fit, flexible_gain, group_alike
from mesascope.questions.procedures.histories import History, history
from mesascope.questions.procedures.procedures import SIMPLE, Procedure
from mesascope.questions.procedures.samplers import EXACT, EXACT_DEPENDENT, SLOW, ideal_locator
from mesascope.stats import standard_error

MISS = {True: 0.02, False: 0.01}  # nats per trial: by probabilities, by choices
LISTED = 6
LONGEST = 600  # trials of a lifetime that are looked at
NEAREST = 8  # procedures whose predictions the flexible model may use


class Comparison(NamedTuple):
    """What was fitted.

    Attributes:
        fitted: every procedure, in the order of the list.
        scores: [P, N] mean held-out log-probability per trial and lifetime, in nats.
        classes: indices of procedures that act alike, best class first, the simplest of each first.
        miss: [N] nats per trial that the best procedure misses.
        none: whether it misses so much that it is none of these.
        exact: whether the subject gave probabilities.
    """

    fitted: list[Fitted]
    scores: np.ndarray
    classes: list[list[int]]
    miss: np.ndarray
    none: bool
    exact: bool

    def names(self, place: int = 0) -> list[str]:
        """The procedures of a class, the simplest first."""
        return [self.fitted[i].procedure.name for i in self.classes[place]]


def metric(lifetimes: int = 0, without: str = "", also: str = "", probabilities: bool = True) -> Metric:
    """Which reference procedure predicts its choices best, or none of these?

    Args:
        lifetimes: at most how many are used; more tell closer procedures apart and take longer. 0 for 32 where the
            subject gives probabilities and 200 where only its choices are known.
        without: procedures left out of the list, joined by '+'.
        also: further subjects by name and settings, of any package, joined by '+'; their settings are not fitted, a
            lapse is.
        probabilities: compare with the subject's probabilities where it gives them, else with its choices alone.
    """
    if lifetimes != 0 and lifetimes < 4:
        raise MesascopeError(f"lifetimes={lifetimes} is out of range.", "Give a whole number from 4, or 0.")
    known = [p.name for p in (*SIMPLE, *SLOW, EXACT, EXACT_DEPENDENT)] + ["locator"]
    left_out = [name for name in without.split("+") if name]
    for name in left_out:
        pick_named("procedure", name, known)

    def measure(trials, references, replay):
        lived = fresh(trials)
        if "offered" in lived:
            raise DoesNotApply("not every choice was offered on every trial, as the procedures expect")
        exact = probabilities and "log_probs" in lived
        most = lifetimes or (32 if exact else 200)
        listed = procedures(lived, left_out, replay, [name for name in also.split("+") if name], most)
        return pad_readings(_readings(compare(lived, listed, most, exact), str(lived.attrs["split"])), lived)

    return Metric(
        name="acts_like",
        question="Which reference procedure predicts its choices best, in nats per trial; or none of these?",
        measure=measure,
        expects={"learner": "any"},
        settings={"lifetimes": lifetimes, "without": without, "also": also, "probabilities": probabilities},
    )


def procedures(
    trials: xr.Dataset,
    without: Sequence[str] = (),
    replay: Any = None,
    also: Sequence[str] = (),
    lifetimes: int = 200,
) -> list[Procedure]:
    """The procedures that apply to a split or log, the simplest first."""
    family, seen = str(trials.attrs.get("family", "")), history(trials, lifetimes=lifetimes)
    listed = [*SIMPLE, *SLOW]
    if seen.choices == 2 and seen.trials <= 100:
        listed.append(EXACT_DEPENDENT if "dependent" in family.replace("independent", "") else EXACT)
    bank = str(trials.attrs.get("trained_on", ""))
    if bank.startswith("bank:") and replay is not None and hasattr(replay, "home"):
        means = getattr(replay.home(trials), "bank_means", None)
        if means is not None:
            listed.append(ideal_locator(np.asarray(means, np.float32)))
    for spec in also:
        if replay is None:
            raise DoesNotApply(f"{spec!r} cannot be replayed along a log")
        listed.append(_replayed(spec, trials, replay))
    listed = [p for p in listed if p.name not in without]
    return [p for p in listed if seen.binary or not p.binary]


def _replayed(spec: str, trials: xr.Dataset, replay: Any) -> Procedure:
    """A subject of any package as a procedure without settings."""

    @functools.cache
    def stated() -> np.ndarray:
        log_probs = replay(spec, trials).log_probs
        if log_probs is None:
            raise DoesNotApply(f"{spec} gives no probabilities")
        return np.exp(log_probs)

    return Procedure(spec, lambda h: stated()[h.lifetimes, : h.trials])


def compare(
    trials: xr.Dataset, listed: Sequence[Procedure], lifetimes: int = 200, probabilities: bool = True
) -> Comparison:
    """Fits every procedure and scores it on the lifetimes that it was not fitted to.

    Raises:
        DoesNotApply: fewer than four lifetimes, or lifetimes of one trial.
    """
    seen = history(trials.isel(trial=slice(LONGEST)), lifetimes=lifetimes)
    if len(seen.action) < 4 or seen.trials < 2:
        raise DoesNotApply(
            f"there are {len(seen.action)} lifetimes of {seen.trials} trials; it needs 4 of 2, to fit on half of them"
        )
    return judge(trials, seen, [fit(p, seen) for p in listed], probabilities)


def judge(trials: xr.Dataset, seen: History, fitted: list[Fitted], probabilities: bool = True) -> Comparison:
    """Scores fitted procedures, sorts them into classes, and says whether the best is good enough."""
    lifetimes = len(seen.action)
    exact = probabilities and "log_probs" in trials
    target = seen.chosen
    if exact:
        stated = trials.log_probs.sel(condition="intact").values[:lifetimes, :LONGEST]
        target = np.exp(stated.astype(np.float32))
    lengths = np.maximum(seen.known.sum(-1), 1)

    def per_lifetime(x: np.ndarray) -> np.ndarray:
        return np.where(seen.known, x, 0).sum(-1) / lengths

    scores = np.stack([per_lifetime((target * np.log(f.held_out)).sum(-1)) for f in fitted])
    means = scores.mean(1)
    alike = group_alike(fitted, seen, means)
    best = int(np.argmax(means))
    if exact:
        ceiling = (target * np.log(np.maximum(target, 1e-30))).sum(-1)
        miss = per_lifetime(ceiling) - scores[best]
    else:
        near = [i for i in np.argsort(-means)[: NEAREST + 1] if i != best]
        miss = per_lifetime(flexible_gain(fitted[best], [fitted[i] for i in near], seen))
    sure = exact or miss.mean() > 3.09 * standard_error(miss)
    return Comparison(fitted, scores, alike, miss, bool(miss.mean() > MISS[exact] and sure), exact)


def _readings(found: Comparison, split: str) -> list[Reading]:
    """The gain of the nearest over chance, what it misses, and by how much the other classes are behind."""
    best = int(np.argmax(found.scores.mean(1)))
    first, *same = found.names()
    simplest = found.fitted[found.classes[0][0]]
    told = f"{first}{f' ({simplest.text()})' if simplest.text() else ''}"
    told += f"; acts alike: {', '.join(same)}" if same else ""
    criterion = f"more than {MISS[found.exact]} nats per trial missed"
    verdict = f"none of these ({criterion}); nearest: {told}" if found.none else f"acts like {told}"
    chance = -np.log(found.fitted[0].held_out.shape[-1])
    by = "by its probabilities" if found.exact else "by a flexible model of its choices"
    numbers = {
        "the nearest, above chance": found.scores[best] - chance,
        f"missed by the nearest, {by}": found.miss,
    }
    out = [Reading(v, split, label, reason=verdict, descriptive=True) for label, v in numbers.items()]
    for place, members in list(enumerate(found.classes))[1:LISTED]:
        index = max(members, key=lambda i: found.scores[i].mean())
        behind = found.scores[index] - found.scores[best]
        name, *same = found.names(place)
        why = found.fitted[index].text() + (f"; acts alike: {', '.join(same)}" if same else "")
        out.append(Reading(behind, split, f"{name}, behind the nearest", reason=why))
    return out
