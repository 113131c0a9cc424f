"""Does the subject have several kinds of lifetimes: does it draw something at the start and keep it?

A recorded history is replayed eight times, each time to a fresh carry with other random keys. If the subject draws
anew on every trial, its responses to a given history are independent over trials. The agreement of two replays on some
trials then does not predict their agreement on others. The reading is the correlation of these two agreements over
pairs of replays, within histories. If the subject gives probabilities, these are compared instead of the actions.

The first and third quarter of a lifetime are compared with the second and fourth, with gaps of a tenth of a lifetime
between quarters. So a draw that is kept for only a few trials, such as noise in the carry, lies within one quarter and
does not count.

The p-value is exact: under the null hypothesis all 8! orders of the replays on one set of trials are equally likely,
given the other set. The same order is used for all histories, which may share draws.

In shapes, 28 is the number of pairs of replays, N of histories, T of trials, and S of steps in a trial.
"""

import functools
import itertools
from typing import Any

import numpy as np
import xarray as xr

from mesascope.contracts import DoesNotApply, Metric, Reading, make_metric, pad_readings, select_fresh_trials
from mesascope.errors import MesascopeError
from mesascope.questions.procedures.histories import check_lifetimes
from mesascope.stats import linearise

REPLAYS = 8
MIN_TRIALS = 8
TOLERANCE = 1e-4  # the largest total variation between probabilities that count as equal
PAIRS = np.triu_indices(REPLAYS, 1)  # the pairs of replays


def metric(lifetimes: int = 64) -> Metric:
    """Do replays of one history differ in the same way on trials that are far apart?

    Args:
        lifetimes: the largest number of histories to use.
    """
    check_lifetimes(lifetimes, minimum=3)

    def measure(trials, references, replay):
        history = select_fresh_trials(trials).isel(lifetime=slice(lifetimes)).sel(condition=["intact"])
        _require_replays(history, replay)
        agreement, has_run = _compare_replays(history, replay)
        n = history.sizes["lifetime"]
        values, p, reason = np.zeros(n), 1.0, "its responses are the same in all replays of a history"
        if agreement is not None and (agreement < 1 - TOLERANCE).any():
            steps = has_run.shape[1] // history.sizes["trial"]
            masks = [mask.repeat(steps) & has_run for mask in make_quarter_masks(history.sizes["trial"])]
            values, p = correlate_agreements(*(_average_agreement(agreement, mask) for mask in masks))
            reason = f"{n} histories, each replayed {REPLAYS} times; exact permutation test"
        return pad_readings(
            [Reading(values, str(history.attrs["split"]), reason=reason, p=p)], select_fresh_trials(trials)
        )

    question = "How strongly is two replays' agreement on some trials correlated with that on distant trials (r)?"
    return make_metric(question, measure, {"learner": "0"}, lifetimes=lifetimes)


def _require_replays(history: xr.Dataset, replay: Any) -> None:
    """Raises `DoesNotApply` if the subject cannot be replayed, or not often enough."""
    if getattr(replay, "subject", None) is None:
        raise DoesNotApply("only its trials are known; replaying a history needs the subject itself")
    if replay.subject.describe_cost(0):
        raise DoesNotApply(f"its responses cost money or time, and each would be needed {REPLAYS} times")
    if history.attrs.get("actions") == "real":
        raise DoesNotApply("its actions are real numbers, but the question is about choices")
    if history.sizes["trial"] < MIN_TRIALS:
        raise DoesNotApply(f"a lifetime has {history.sizes['trial']} trials, but the metric needs {MIN_TRIALS}")


def _compare_replays(history: xr.Dataset, replay: Any) -> tuple[np.ndarray | None, np.ndarray]:
    """Measures the agreement of each pair of replays [28, N, T·S]; None if all replays agree.

    The second result says whether each step took place [N, T·S].

    Raises:
        DoesNotApply: the single steps were not stored, or replays may differ only because the subject checks whether
            its last actions agree with its memory.
    """
    recorded = history.sel(condition="intact")
    n, length, *steps = recorded.action.shape
    ran = np.ones((n, length), bool)
    if steps:
        ran = (np.arange(steps[0]) < recorded.n_steps.values[..., None]).reshape(n, -1)
    seeds = np.random.default_rng(int(history.attrs.get("seed") or 0)).integers(2**31, size=REPLAYS).tolist()

    def respond(seed: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Replays once; returns the actions [N, T·S] and, if the subject gives them, the probabilities [N, T·S, K]."""
        try:
            response = replay("itself", history, seed=seed)
        except MesascopeError as error:
            raise DoesNotApply(error.problem) from None
        stated = response.log_probs
        return response.action.reshape(n, -1), None if stated is None else np.exp(stated.reshape(n, ran.shape[1], -1))

    first = respond(seeds[0])
    if first[1] is not None and "log_probs" in recorded:
        known_probs = np.exp(recorded.log_probs.values.reshape(first[1].shape))
        if 0.5 * np.abs(first[1] - known_probs).sum(-1)[ran].max() < TOLERANCE:
            return None, ran  # a subject that draws at the start would differ in some histories
    replays = [first, *map(respond, seeds[1:])]
    action = np.stack([a for a, _ in replays])
    probs = [p for _, p in replays if p is not None]
    if not probs:
        return (action[PAIRS[0]] == action[PAIRS[1]]).astype(float), ran
    agreement = np.stack([np.minimum(probs[i], probs[j]).sum(-1) for i, j in zip(*PAIRS, strict=True)])
    differ = (agreement < 1 - TOLERANCE) & ran
    own = np.roll(np.logical_and.accumulate((action == recorded.action.values.reshape(n, -1)) | ~ran, -1), 1, -1)
    own[..., 0] = True  # whether the replay's own actions so far equal those of the history
    if differ.any() and not (differ & own[PAIRS[0]] & own[PAIRS[1]]).any():
        reason = "its replays differ only after its own actions differed from those of the history"
        raise DoesNotApply(f"{reason}, as happens if it checks whether its memory agrees with the history")
    return agreement, ran


def make_quarter_masks(length: int) -> tuple[np.ndarray, np.ndarray]:
    """Makes two masks [T]: quarters one and three, and quarters two and four, with gaps of a tenth of a lifetime."""
    quarter = np.arange(length) * 4 // length
    since = np.arange(length) - np.searchsorted(quarter, quarter)
    apart = (quarter == 0) | (since >= length // 10)
    return apart & (quarter % 2 == 0), apart & (quarter % 2 == 1)


def _average_agreement(agreement: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Averages the agreement of each pair of replays [28, N] over the steps in a mask [N, T·S]."""
    return (agreement * mask).sum(-1) / np.maximum(mask.sum(-1), 1)


def correlate_agreements(first_agreement: np.ndarray, second_agreement: np.ndarray) -> tuple[np.ndarray, float]:
    """Correlates two agreements [28, N] over pairs of replays, within histories.

    Returns:
        Numbers [N] whose mean is the correlation, and the one-sided exact p-value; zeros and 1 if either agreement does
        not vary.
    """
    first_agreement, second_agreement = (
        first_agreement - first_agreement.mean(0),
        second_agreement - second_agreement.mean(0),
    )
    parts = np.stack(
        [(first_agreement * second_agreement).sum(0), (first_agreement**2).sum(0), (second_agreement**2).sum(0)]
    )
    if (parts[1:].sum(-1) < 1e-12).any():
        return np.zeros(first_agreement.shape[1]), 1.0
    values = linearise(lambda m: m[0] / np.sqrt(m[1] * m[2]), parts)
    table = np.zeros((len(PAIRS[0]), REPLAYS, REPLAYS))  # Σ over histories, by pair and by other pair
    table[:, PAIRS[0], PAIRS[1]] = table[:, PAIRS[1], PAIRS[0]] = first_agreement @ second_agreement.T
    orders = _list_orders()
    sums = np.zeros(len(orders))
    for k, (i, j) in enumerate(zip(*PAIRS, strict=True)):
        sums += table[k, orders[:, i], orders[:, j]]
    reached = sums >= sums[0] - 1e-9 * np.abs(sums).max()  # the first order is the observed one
    return values, float(np.mean(reached))


@functools.cache
def _list_orders() -> np.ndarray:
    """Lists all orders of the replays [8!, 8]."""
    return np.asarray(list(itertools.permutations(range(REPLAYS))))
