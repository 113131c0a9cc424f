"""Which reference procedure, with fitted settings, predicts the subject's choices best, or does none of them fit?

The settings of every procedure (temperature, lapse, rates, bonus, prior, discount …) are fitted to one half of the
lifetimes, and its predictions are scored on the other half. Then the halves are swapped. This two-fold cross-validation
is the only penalty on the number of settings. The score of a trial is the log-probability that the procedure gives to
the choice made. If the subject gives probabilities, the score is instead the mean of the log-probabilities of all
choices, weighted by the subject's probabilities, so it has no sampling noise.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from mesascope.contracts import DoesNotApply, Metric, Reading, make_metric, pad_readings, select_fresh_trials
from mesascope.errors import MesascopeError, require_known_name
from mesascope.questions.procedures.fits import Fit, fit, group_procedures, measure_flexible_gain
from mesascope.questions.procedures.histories import History, read_history
from mesascope.questions.procedures.procedures import SIMPLE_PROCEDURES, Procedure
from mesascope.questions.procedures.samplers import BAYES_DEPENDENT, BAYES_OPTIMAL, SLOW_PROCEDURES, make_ideal_locator
from mesascope.stats import average_by_unit, compute_intervals, compute_standard_error

# nats per trial by which the best procedure may fall short, by whether the subject gives probabilities
MAX_SHORTFALL = {True: 0.02, False: 0.01}
MAX_CLASSES = 6  # how many classes of procedures are reported
MAX_TRIALS = 600  # the largest number of trials of a lifetime that are used
MAX_RIVAL_PROCEDURES = 8  # how many procedures' predictions the flexible model may use


class Comparison(NamedTuple):
    """Every fitted procedure, and how they compare.

    Attributes:
        fits: the fitted procedures, in the order in which they were given.
        scores: [P, N] the mean held-out log-probability of a trial, in nats, for each of P procedures and N lifetimes.
        classes: for each class of procedures that act alike, their indices. The best class comes first, and so does the
            simplest procedure of each class.
        shortfall: [N] the nats per trial by which the best procedure predicts the choices worse than the subject's own
            probabilities do or, if they are not used, than a flexible model of the choices does.
        has_no_match: whether the shortfall is so large that the subject acts like none of the procedures.
        has_probabilities: whether the subject's probabilities were used instead of its choices.
    """

    fits: list[Fit]
    scores: np.ndarray
    classes: list[list[int]]
    shortfall: np.ndarray
    has_no_match: bool
    has_probabilities: bool

    def list_class_names(self, class_index: int = 0) -> list[str]:
        """Lists the names of the procedures in the class with this index; the simplest comes first."""
        return [self.fits[i].procedure.name for i in self.classes[class_index]]


def metric(lifetimes: int = 0, without: str = "", also: str = "", probabilities: bool = True) -> Metric:
    """Which reference procedure predicts the subject's choices best, or does none of them fit?

    Args:
        lifetimes: the largest number of lifetimes to use. More lifetimes distinguish closer procedures and take longer.
            0 stands for 32 if the subject's probabilities are used, and for 200 if its choices are.
        without: procedures to leave out of the list, joined by '+'.
        also: additional subjects of any package to compare with, by name and settings, joined by '+'. For these, only a
            lapse is fitted.
        probabilities: whether to use the subject's probabilities, if it gives any, instead of its choices.
    """
    if lifetimes != 0 and lifetimes < 4:
        raise MesascopeError(f"lifetimes={lifetimes} is out of range.", "Give a whole number from 4, or 0.")
    options = [p.name for p in (*SIMPLE_PROCEDURES, *SLOW_PROCEDURES, BAYES_OPTIMAL, BAYES_DEPENDENT)] + ["locator"]
    omitted = [name for name in without.split("+") if name]
    for name in omitted:
        require_known_name("procedure", name, options)

    def measure(trials, references, replay):
        rollout = select_fresh_trials(trials)
        if "offered" in rollout:
            raise DoesNotApply("not every choice was offered on every trial, as the procedures expect")
        by_probabilities = probabilities and "log_probs" in rollout
        most = lifetimes or (32 if by_probabilities else 200)
        order = order_by_participant(rollout)[:most]
        used = rollout.isel(lifetime=order)
        candidates = list_procedures(used, omitted, replay, [name for name in also.split("+") if name], most)
        readings = _make_readings(compare_procedures(used, candidates, most, by_probabilities), used)
        place = np.argsort(np.r_[order, np.setdiff1d(np.arange(rollout.sizes["lifetime"]), order)])
        return [r._replace(values=r.values[place]) for r in pad_readings(readings, rollout)]

    question = "Which reference procedure predicts the subject's choices best, in nats per trial; or none of these?"
    settings = {"lifetimes": lifetimes, "without": without, "also": also, "probabilities": probabilities}
    return dataclasses.replace(make_metric(question, measure, {"learner": "any"}, **settings), is_cheap=False)


def order_by_participant(trials: xr.Dataset) -> np.ndarray:
    """Sorts the indices of lifetimes so that even and odd places belong to different participants.

    So the two halves of the cross-validation share no participant, and the first lifetimes come from many participants.
    Without participants, or with a single one or one lifetime for each, the order is that of the data set. Lifetimes
    that do not fit into the order are left out.
    """
    number = np.arange(trials.sizes["lifetime"])
    if "participant" not in trials.coords or len(np.unique(trials.participant)) in (1, len(number)):
        return number
    owner = np.unique(trials.participant.values, return_inverse=True)[1]
    by_owner = np.argsort(owner, kind="stable")
    place = np.empty_like(number)  # of a lifetime among the participant's own
    place[by_owner] = number - np.searchsorted(owner[by_owner], owner[by_owner])
    in_turn = np.lexsort((owner, place))
    halves = [in_turn[owner[in_turn] % 2 == half] for half in (0, 1)]
    size = min(len(halves[1]), len(halves[0]))
    return np.append(np.stack([h[:size] for h in halves], 1).ravel(), halves[0][size : size + 1])


def list_procedures(
    trials: xr.Dataset,
    excluded_names: Sequence[str] = (),
    replay: Any = None,
    extra_subjects: Sequence[str] = (),
    lifetime_count: int = 200,
) -> list[Procedure]:
    """Lists the procedures that apply to a split or log; the simplest come first.

    Args:
        trials: the trials of the split or log.
        excluded_names: the names of procedures to leave out.
        replay: the function that replays a subject along recorded trials; None for a log.
        extra_subjects: additional subjects, by name and settings.
        lifetime_count: the largest number of lifetimes to use.
    """
    family, history = str(trials.attrs.get("family", "")), read_history(trials, lifetime_count=lifetime_count)
    candidates = [*SIMPLE_PROCEDURES, *SLOW_PROCEDURES]
    if history.choices == 2 and history.trial_count <= 100:
        candidates.append(BAYES_DEPENDENT if "dependent" in family.replace("independent", "") else BAYES_OPTIMAL)
    if str(trials.attrs.get("trained_on", "")).startswith("bank:") and hasattr(replay, "make_family"):
        means = getattr(replay.make_family(trials), "bank_means", None)
        if means is not None:
            candidates.append(make_ideal_locator(np.asarray(means, np.float32)))
    for spec in extra_subjects:
        if replay is None:
            raise DoesNotApply(f"{spec!r} cannot be replayed along a log")
        candidates.append(_make_procedure(spec, trials, replay))
    return [p for p in candidates if p.name not in excluded_names and (history.is_binary or not p.needs_binary)]


def _make_procedure(spec: str, trials: xr.Dataset, replay: Any) -> Procedure:
    """Makes a procedure without settings from a subject, which is replayed along the trials."""

    @functools.cache
    def replay_probabilities() -> np.ndarray:
        log_probs = replay(spec, trials).log_probs
        if log_probs is None:
            raise DoesNotApply(f"{spec} gives no probabilities")
        return np.exp(log_probs)

    return Procedure(spec, lambda history: replay_probabilities()[history.lifetime_indices, : history.trial_count])


def compare_procedures(
    trials: xr.Dataset,
    candidates: Sequence[Procedure],
    lifetime_count: int = 200,
    should_use_probabilities: bool = True,
) -> Comparison:
    """Fits every procedure and scores it on held-out lifetimes.

    Args:
        trials: the trials of a split or log.
        candidates: the procedures to compare.
        lifetime_count: the largest number of lifetimes to use.
        should_use_probabilities: whether to use the subject's probabilities, if it gives any, instead of its choices.

    Raises:
        DoesNotApply: there are fewer than four lifetimes, or lifetimes have only one trial.
    """
    history = read_history(trials.isel(trial=slice(MAX_TRIALS)), lifetime_count=lifetime_count)
    if len(history.action) < 4 or history.trial_count < 2:
        size = f"{len(history.action)} lifetimes of {history.trial_count} trials"
        raise DoesNotApply(f"there are {size}; fitting needs 4 lifetimes of 2 trials")
    return compare_fits(trials, history, [fit(p, history) for p in candidates], should_use_probabilities)


def compare_fits(
    trials: xr.Dataset, history: History, fits: list[Fit], should_use_probabilities: bool = True
) -> Comparison:
    """Scores fitted procedures, groups them into classes, and decides whether the best one predicts well enough."""
    by_probabilities = should_use_probabilities and "log_probs" in trials
    target = history.choice_made
    if by_probabilities:
        log_probs = trials.log_probs.sel(condition="intact").values[: len(history.action), :MAX_TRIALS]
        target = np.exp(log_probs.astype(np.float32))
    lengths = np.maximum(history.is_present.sum(-1), 1)

    def average_per_lifetime(x: np.ndarray) -> np.ndarray:
        return np.where(history.is_present, x, 0).sum(-1) / lengths

    scores = np.stack([average_per_lifetime((target * np.log(f.held_out_probabilities)).sum(-1)) for f in fits])
    means = scores.mean(1)
    alike = group_procedures(fits, history, means)
    best = int(np.argmax(means))
    if by_probabilities:
        ceiling = (target * np.log(np.maximum(target, 1e-30))).sum(-1)
        shortfall = average_per_lifetime(ceiling) - scores[best]
    else:
        near = [i for i in np.argsort(-means)[: MAX_RIVAL_PROCEDURES + 1] if i != best]
        shortfall = average_per_lifetime(measure_flexible_gain(fits[best], [fits[i] for i in near], history))
    is_sure = by_probabilities or shortfall.mean() > 3.09 * compute_standard_error(shortfall)
    none_fits = bool(shortfall.mean() > MAX_SHORTFALL[by_probabilities] and is_sure)
    return Comparison(fits, scores, alike, shortfall, none_fits, by_probabilities)


def _make_readings(comparison: Comparison, rollout: xr.Dataset) -> list[Reading]:
    """Makes readings of the nearest procedure's score above chance and of its shortfall, and compares other classes.

    For up to five other classes, a reading says by how much the best procedure of the class scores below the nearest.
    """
    mean_scores, split = comparison.scores.mean(1), str(rollout.attrs["split"])
    best = int(np.argmax(mean_scores))
    first, *same = comparison.list_class_names()
    simplest = comparison.fits[comparison.classes[0][0]]
    description = f"{first}{f' ({simplest.describe_settings()})' if simplest.describe_settings() else ''}"
    description += f"; indistinguishable from it: {', '.join(same)}" if same else ""
    criterion = f"more than {MAX_SHORTFALL[comparison.has_probabilities]} nats per trial missed"
    verdict = (
        f"none of these ({criterion}); nearest: {description}"
        if comparison.has_no_match
        else f"acts like {description}"
    )
    chance = -np.log(comparison.fits[0].held_out_probabilities.shape[-1])
    above_chance = comparison.scores[best] - chance
    if rollout.attrs.get("family") == "log" and first != "uniform" and not comparison.has_no_match:
        owners = rollout.participant.values if "participant" in rollout.coords else np.arange(rollout.sizes["lifetime"])
        low = compute_intervals(average_by_unit(above_chance, owners)[None]).low[0]
        verdict = verdict if low > 0 else f"not distinguished from uniform choices; nearest: {description}"
    ceiling = "the subject's own probabilities" if comparison.has_probabilities else "a flexible model of the choices"
    numbers = {"nearest procedure, above chance": above_chance}
    numbers[f"nearest procedure, short of {ceiling}"] = comparison.shortfall
    readings = [Reading(v, split, label, reason=verdict, is_descriptive=True) for label, v in numbers.items()]
    for place in range(1, min(len(comparison.classes), MAX_CLASSES)):
        index = max(comparison.classes[place], key=lambda i: mean_scores[i])
        gap = comparison.scores[index] - comparison.scores[best]
        name, *same = comparison.list_class_names(place)
        reason = comparison.fits[index].describe_settings() + (
            f"; indistinguishable from it: {', '.join(same)}" if same else ""
        )
        readings.append(Reading(gap, split, f"{name}, minus the nearest procedure", reason=reason))
    return readings
