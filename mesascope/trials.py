"""Makes, checks, writes and reads trials, which are an xarray.Dataset with fixed conventions.

The axes are condition (C), lifetime (N) and trial (T). Some variables have further axes, such as choice (K),
transplant, rank, or the units of a tap. The variables are:
- action, feedback, score [C, N, T]: if a trial is missing, action is -1, and feedback and score are NaN. If actions are
  real numbers, the attribute actions is 'real', and action is float32 and NaN if missing.
- score under a one-step condition: chance plus the worth of the disturbed action on the subject's own task; NaN if
  unknown. feedback is NaN under a one-step condition.
- act_worth, act_room [N, T], if trials have several steps (or the family's `has_payoff_values` is otherwise False) and
  the family can value single actions. act_worth is how much more the first action of a trial pays than a random first
  action, if the best actions follow both. act_room is the same difference for the best first action. Under a one-step
  condition, score minus chance is the act_worth of the disturbed action.
- donor_gain, donor_room, donor_strict, donor_strict_all, donor_strict_room [transplant, N, T]: the worth, on the
  donor's task, of actions taken after a transplant (see `mesascope.rollouts.worth`); `transplant` lists the conditions.
- donor_ranks [transplant, N, T, rank]: the best action on the donor's task, the second best action, and so on; with
  more than eight actions, only the best one.
- log_probs [C, N, T, K]: the log-probabilities of the choices, if the subject reports them; NaN under conditions other
  than the intact and the one-step conditions.
- partner [C, N, T]: the lifetime whose carry, percept or feedback the condition may have used.
- chance, best, worst, fixed [N, T]: expected pay-offs that the subject does not observe.

If trials have several steps, there is an axis step, and the attribute steps is S, the maximum number. feedback and
score are sums over the steps of a trial, and n_steps [C, N, T] counts the steps that were run. action [C, N, T, S] and
log_probs [C, N, T, S, K] describe single steps; after the trial's end, actions are -1 and log-probabilities NaN. At
most 64 steps of a trial are stored, and the attribute kept lists their indices. If all steps are stored and the arrays
are not too large, step_feedback [N, T, S] and observation [N, T, S, D] describe the intact run, so that lifetimes can
be replayed; D is the number of values in an observation. If trials have one step, observation is [C, N, T, D].
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from mesascope import formats
from mesascope.errors import MesascopeError, require
from mesascope.files import replace_when_written
from mesascope.formats import TRIALS_FORMAT
from mesascope.guards import limits

AXES = ("condition", "lifetime", "trial")
REFLEX_TRIALS = 4  # a reflex may depend on this many of the last trials; only the carry can contain older trials
BLOCK_SIZE = 64  # lifetimes run in blocks of this size, and a lifetime's partners are in its block
MAX_STORED_STEPS = 64  # the largest number of steps of a trial whose actions are stored
# above this many numbers per lifetime and condition, log-probabilities and observations are not stored
MAX_STORED_NUMBERS = 1 << 16


def choose_stored_steps(steps: int) -> np.ndarray:
    """Chooses the indices of the steps to store: all or, of more than 64, the first and 63 drawn with a fixed seed."""
    if steps <= MAX_STORED_STEPS:
        return np.arange(steps)
    others = np.random.default_rng(0).choice(np.arange(1, steps), MAX_STORED_STEPS - 1, replace=False)
    return np.sort(np.concatenate([[0], others]))


def find_reflex_window(trial_count: int, max_window: int = REFLEX_TRIALS) -> int:
    """Returns w, the number of last trials on which a reflex may depend.

    This number is `max_window`, but at most a fifth of the trials of a lifetime, and at least one.
    """
    return max(1, min(max_window, trial_count // 5))


def fill_in_trial_counts(condition: str, trial_count: int) -> str:
    """Replaces {half}, {tenth} and {few} in a condition's spec by a half and a tenth of `trial_count`, and by w."""
    return condition.format(half=trial_count // 2, tenth=trial_count // 10, few=find_reflex_window(trial_count))


def join_records(
    records: Sequence[Sequence[Any]],
    latents: Mapping[str, np.ndarray],
    condition_labels: Sequence[str],
    is_one_step_condition: Sequence[bool],
    lifetime_count: int,
    *,
    attrs: Mapping[str, Any],
    transplants: Mapping[str, Sequence[Any]] | None = None,
) -> xr.Dataset:
    """Joins the records of all blocks into one data set with `lifetime_count` lifetimes.

    Args:
        records: for each condition, a sequence with the `mesascope.rollouts.blocks.Record` of every block.
        latents: the variables of the tasks by name. An array has the first one, two or all three of the axes lifetime,
            trial and choice.
        condition_labels: the labels of the conditions, in the order of `records`.
        is_one_step_condition: whether each condition disturbs one response at a time.
        lifetime_count: the number of lifetimes to keep; the blocks may contain more.
        attrs: the attributes of the data set, such as family, split and steps.
        transplants: for each transplant condition, by label, the worth of the actions in each block, as a
            `mesascope.rollouts.worth.Transplant`; None or empty without such conditions.
    """

    stepwise = records[0][0].n_steps is not None

    def stack(parts, lifetime=1, dtype=None):
        """Joins the blocks of each condition along the axis of lifetimes, and moves this axis behind the conditions."""
        first = np.moveaxis(np.asarray(parts[0][0]), lifetime, 0)
        joined = np.empty((len(parts), lifetime_count, *first.shape[1:]), dtype or first.dtype)
        for rows, blocks in zip(joined, parts, strict=True):
            start = 0
            for block in blocks:
                moved = np.moveaxis(np.asarray(block), lifetime, 0)[: lifetime_count - start]
                rows[start : start + len(moved)] = moved
                start += len(moved)
        return joined

    def join(name, lifetime=1, dtype=None):
        """Joins the field `name` of all records along their axis of lifetimes, which is the axis number `lifetime`."""
        return stack([[getattr(r, name) for r in row] for row in records], lifetime, dtype)

    lifetime, each = (2, (*AXES, "step")) if stepwise else (1, AXES)  # axes of variables with a value for each step
    is_one_step = np.asarray(is_one_step_condition)[:, None, None]
    data: dict[str, Any] = {
        "action": (each, join("action", lifetime, np.float32 if attrs.get("actions") == "real" else np.int16)),
        # a one-step condition leaves the lifetime undisturbed, so the feedback says nothing about the condition
        "feedback": (AXES, np.where(is_one_step, np.float32(np.nan), join("feedback", dtype=np.float32))),
        "score": (AXES, join("score", dtype=np.float32)),
        "partner": (AXES, join("partner", dtype=np.int16)),
    }
    # log-probabilities are stored only where a metric compares responses; this shrinks the file to a fifth
    if records[0][0].log_probs is not None:
        compared = is_one_step[:, 0, 0] | (np.asarray(condition_labels) == "intact")
        log_probs = join("log_probs", lifetime)
        if not stepwise or log_probs[0, 0].size <= MAX_STORED_NUMBERS:
            log_probs = np.where(compared.reshape(-1, *[1] * (log_probs.ndim - 1)), log_probs, np.nan)
            data["log_probs"] = ((*each, "choice"), log_probs.astype(np.float32))
    if stepwise:
        data |= _make_step_variables(records, condition_labels, stack, join, int(attrs["steps"]))
        attrs = {**attrs, "kept": choose_stored_steps(int(attrs["steps"])).tolist()}
    elif np.asarray(records[0][0].observation).shape[-1]:
        data["observation"] = ((*AXES, "shown"), join("observation", dtype=np.float32))
    for tap in records[0][0].taps or {}:
        activations = stack([[r.taps[tap] for r in row] for row in records], lifetime)
        data[f"tap_{tap}"] = ((*each, f"unit_{tap}"), activations)
    for name, value in latents.items():
        data[name] = (("lifetime", "trial", "choice")[: value.ndim], np.asarray(value, np.float32))
    coords = {"condition": list(condition_labels)}
    if transplants:
        coords["transplant"] = list(transplants)
        for name in next(iter(transplants.values()))[0]._fields:
            parts = [np.concatenate([getattr(b, name) for b in row])[:lifetime_count] for row in transplants.values()]
            values = np.stack(parts)
            axes = ("transplant", *AXES[1:], "rank")[: values.ndim]
            data[f"donor_{name}"] = (axes, values.astype(np.float32) if values.dtype.kind == "f" else values)
    # the last digits of a sum depend on an array's memory layout, so arrays get the layout that reading a file gives
    data = {name: (axes, np.ascontiguousarray(values)) for name, (axes, values) in data.items()}
    trials = xr.Dataset(data, coords=coords, attrs={"format": TRIALS_FORMAT, **attrs})
    check_trials(trials)
    return trials


def _make_step_variables(records, condition_labels, stack, join, steps: int) -> dict[str, Any]:
    """Makes the variables from which the intact run can be replayed, and the number of steps of every trial."""
    data: dict[str, Any] = {"n_steps": (AXES, join("n_steps", dtype=np.int32))}
    intact = records[list(condition_labels).index("intact")] if "intact" in condition_labels else None
    if intact is not None and intact[0].observation is not None:
        axes = ("lifetime", "trial", "step")
        data["step_feedback"] = (axes, stack([[r.step_feedback for r in intact]], 2, np.float32)[0])
        observation = stack([[r.observation for r in intact]], 2, np.float32)[0]
        if observation.size:
            more = ("shown", *(f"shown_{i}" for i in range(1, observation.ndim - 3)))
            data["observation"] = ((*axes, *more), observation)
    return data


def _check_attributes(attrs: Mapping[str, Any]) -> None:
    """Checks the types of those attributes of trials that this package uses, as far as they are present."""

    def is_whole(value: Any) -> bool:
        return isinstance(value, int | np.integer) and not isinstance(value, bool)

    texts, numbers = (
        ("subject", "family", "split", "trained_on", "unit", "actions"),
        ("steps", "parts", "changes", "choices"),
    )
    flags = ("counted", "changing", "inexpressible")
    checks: dict[str, tuple[Callable[[Any], bool], str]] = {
        **dict.fromkeys(texts, (lambda value: isinstance(value, str), "a text")),
        **dict.fromkeys(numbers, (is_whole, "a whole number")),
        **dict.fromkeys(flags, (lambda value: isinstance(value, bool | np.bool_), "true or false")),
        "digits": (
            lambda value: isinstance(value, list | tuple) and all(map(is_whole, value)),
            "a list of whole numbers",
        ),
    }
    for name, (is_valid, description) in checks.items():
        value = attrs.get(name)
        problem = f"The attribute {name!r} of the trials is {value!r}."
        require(value is None or is_valid(value), problem, f"It needs to be {description}.")


def check_trials(trials: xr.Dataset) -> None:
    """Checks that a data set follows the conventions of trials.

    Raises:
        MesascopeError: the data set breaks a convention; the message says what is wrong and what is needed.
    """
    if trials.attrs.get("format") != TRIALS_FORMAT:
        problem = f"This is not a {TRIALS_FORMAT} data set: its format attribute is {trials.attrs.get('format')!r}."
        raise MesascopeError(problem, "Write it with mesascope, or read a log with mesascope.logs.read_log.")
    _check_attributes(trials.attrs)
    if "action" not in trials or "feedback" not in trials:
        problem = f"The trials contain {', '.join(map(str, trials)) or 'nothing'}."
        raise MesascopeError(problem, "They need action and feedback.")
    each = (*AXES, "step") if int(trials.attrs.get("steps", 1)) > 1 else AXES
    for name, axes in (("action", each), ("feedback", AXES), ("score", AXES)):
        if name in trials and trials[name].dims != axes:
            raise MesascopeError(f"{name} has axes {trials[name].dims}.", f"It needs the axes {axes}, in this order.")
    if each != AXES and ("n_steps" not in trials or trials.n_steps.dims != AXES):
        raise MesascopeError(
            "Trials with several steps lack the numbers of their steps.", f"They need n_steps with axes {AXES}."
        )
    labels = trials.condition.values.tolist()
    require(
        len(set(labels)) == len(labels), "Two conditions have the same label.", "Give each condition its own label."
    )
    action, is_real = trials.action.values, trials.attrs.get("actions") == "real"
    if is_real and (action.dtype.kind != "f" or np.isinf(action).any() or "log_probs" in trials):
        raise MesascopeError(
            f"The actions should be real numbers and are {action.dtype}"
            f"{', with log-probabilities' if 'log_probs' in trials else ''}.",
            "They need to be floating-point numbers, NaN where missing, and to have no log-probabilities.",
        )
    if not is_real and not np.issubdtype(action.dtype, np.integer):
        raise MesascopeError(f"Actions are {action.dtype}.", "They need to be whole numbers, -1 where missing.")
    if "log_probs" in trials:
        choices = trials.sizes["choice"]
        if action.size and (action.max() >= choices or action.min() < -1):
            raise MesascopeError(
                f"An action is {int(action.max() if action.max() >= choices else action.min())}, "
                f"but there are {choices} choices.",
                f"Actions run from 0 to {choices - 1}.",
            )
        is_nan = np.isnan(trials.log_probs.values)
        is_absent = is_nan.any(-1)
        is_over = action < 0 if each != AXES else np.zeros(action.shape, bool)
        has_log_probs = ~(is_absent | is_over).all(tuple(range(1, is_absent.ndim)))  # of each condition
        is_incomplete = (is_absent & ~is_over)[has_log_probs].any() or (is_nan.all(-1) != is_absent).any()
        require(not is_incomplete, "A log-probability is not a number.", "Every action needs a log-probability.")


def save_trials(splits: Mapping[str, xr.Dataset], path: str | os.PathLike) -> Path:
    """Writes one data set per split into one netCDF file, atomically, and returns the path of the file.

    A variable that equals the variable with the same name on an earlier split, such as the pay-offs of the same tasks,
    is stored only once. The attribute `stored_in` then names the earlier split.
    """
    path = Path(path)
    packed, first_splits = {}, {}
    for split, trials in splits.items():
        hashes = {name: _hash_variable(name, variable) for name, variable in trials.data_vars.items()}
        repeated = {k: first for k, h in hashes.items() if (first := first_splits.setdefault(h, split)) != split}
        attrs = {k: json.dumps(v) for k, v in {**trials.attrs, "stored_in": repeated}.items()}
        packed[f"/{split}"] = trials.drop_vars(repeated).assign_attrs(attrs)
    zipped = {"zlib": True, "complevel": 1, "shuffle": True}
    encoding = {g: {str(v): zipped for v in d.data_vars if d[v].dtype.kind in "if"} for g, d in packed.items()}
    # made in memory, because the library may crash if the disk is full while it writes to a file
    content = xr.DataTree.from_dict(packed).to_netcdf(engine="h5netcdf", encoding=encoding)
    with replace_when_written(path) as part:
        part.write_bytes(content)
    return path


def _hash_variable(name: Any, variable: xr.DataArray) -> bytes:
    described = f"{name} {variable.dims} {variable.dtype} {variable.shape}"
    return hashlib.sha256(described.encode() + np.ascontiguousarray(variable.values).tobytes()).digest()


def open_trials(path: str | os.PathLike) -> dict[str, xr.Dataset]:
    """Reads and checks a file that `save_trials` wrote, and returns the data sets by the name of the split.

    Raises:
        MesascopeError: the file does not exist, is not netCDF, or does not contain trials.
    """
    path, remedy = Path(path), "Name a .nc file that mesascope wrote."
    require(path.is_file(), f"There is no file {str(path)!r}.", remedy)
    try:
        limits.check_netcdf(path)
        with xr.open_datatree(path, engine="h5netcdf", decode_times=False) as tree:
            splits = {name: node.to_dataset().load() for name, node in tree.children.items()}
        for trials in splits.values():
            for name, split in limits.parse_json(trials.attrs.pop("stored_in", "{}")).items():
                trials[name] = splits[split].variables[name]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise MesascopeError(
            f"{str(path)!r} is not a netCDF file of trials: {str(error).splitlines()[0][:200]}.",
            "Name a .nc file that mesascope wrote, or a .csv, .tsv or .parquet log.",
        ) from None
    require(bool(splits), f"{str(path)!r} contains no splits.", remedy)
    for trials in splits.values():
        try:
            attrs = {k: limits.parse_json(v) for k, v in trials.attrs.items() if isinstance(v, str)}
        except ValueError:
            attrs = dict(trials.attrs)
        if formats.is_old_format(attrs.get("format"), TRIALS_FORMAT):
            attrs = formats.rename_old_keys(attrs) | {"format": TRIALS_FORMAT}
        trials.attrs = attrs
        check_trials(trials)
    return splits


def select_window(trials: xr.Dataset, find_window: Callable[[int], slice]) -> slice | np.ndarray:
    """Selects the trials in a window whose position depends on the length of a lifetime, such as its last half.

    Args:
        trials: the trials on one split.
        find_window: find_window(length) returns the window of a lifetime with that many trials.

    Returns:
        A slice; or, for a log whose lifetimes differ in length, a mask [N, T] of the window of each lifetime.
    """
    length = trials.sizes["trial"]
    if trials.attrs.get("family") != "log":
        return find_window(length)
    is_present = trials.action.values[0] >= 0
    own_lengths = np.where(is_present.any(-1), length - is_present[:, ::-1].argmax(-1), 0)
    if (own_lengths == length).all():
        return find_window(length)
    mask = np.zeros(is_present.shape, bool)
    for own in np.unique(own_lengths[own_lengths > 0]):
        trial = np.arange(own)[find_window(int(own))]
        mask[np.ix_(own_lengths == own, trial)] = True
    return mask


def select_counted_trials(trials: xr.Dataset) -> slice | np.ndarray:
    """Selects the trials that count: the last half of each lifetime, or all trials after the task has changed."""
    change = trials.attrs.get("changes")
    return slice(int(change), None) if change is not None else select_window(trials, lambda n: slice(n // 2, None))


def find_forced_trials(trials: xr.Dataset, condition: str = "intact") -> np.ndarray:
    """Returns a mask [N, T] of the trials whose choice was forced; they give the subject feedback, but no score."""
    if "forced" not in trials:
        return np.zeros((trials.sizes["lifetime"], trials.sizes["trial"]), bool)
    return trials.forced.sel(condition=condition).values == 1


def select_values(trials: xr.Dataset, name: str, label: str) -> np.ndarray:
    """Selects the values of a variable at a label of its first axis, such as a condition (faster than by xarray).

    Raises:
        KeyError: the axis does not have the label.
    """
    variable = trials.variables[name]
    return variable.values[trials.get_index(variable.dims[0]).get_loc(label)]


def read_payoffs(trials: xr.Dataset, condition: str = "intact") -> np.ndarray:
    """Reads the expected pay-offs [N, T] of the actions, or the realised pay-offs in a log without expected pay-offs.

    A pay-off is NaN on trials that are missing or forced.
    """
    payoffs = select_values(trials, "score" if "score" in trials else "feedback", condition).astype(float)
    return np.where(find_forced_trials(trials, condition), np.nan, payoffs) if "forced" in trials else payoffs


def measure_gain(
    trials: xr.Dataset, condition: str = "intact", window: slice | np.ndarray | None = None, is_against: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Computes Σ(score - chance) and Σ(best - chance) for each lifetime, for a ratio of sums over lifetimes.

    Args:
        trials: the trials on one split.
        condition: the label of the condition.
        window: the trials to sum over, as a slice or a mask [N, T]; by default those that `select_counted_trials`
            selects.
        is_against: whether to return Σ(chance - score) and Σ(chance - worst) instead, for a subject whose actions avoid
            the pay-off.

    Returns:
        Two arrays [N] of sums over trials. In a log, both sums are NaN for a lifetime without a trial in the window.
    """
    window = select_counted_trials(trials) if window is None else window
    mask = isinstance(window, np.ndarray)
    chosen = slice(None) if mask else window
    score, chance = read_payoffs(trials, condition)[:, chosen], trials.chance.values.astype(float)[:, chosen]
    end = trials["worst" if is_against else "best"].values.astype(float)[:, chosen]
    gained, room = (chance - score, chance - end) if is_against else (score - chance, end - chance)
    counts = np.isfinite(score) & (window if mask else True)
    absent = np.where(counts.any(-1) | (trials.attrs.get("family") != "log"), 0.0, np.nan)  # no trial in the window
    return np.where(counts, gained, 0.0).sum(-1) + absent, np.where(counts, room, 0.0).sum(-1) + absent
