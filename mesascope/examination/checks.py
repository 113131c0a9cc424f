"""Checks whether a plug-in keeps the contract of its kind, and describes every violation in one sentence."""

import contextlib
import dataclasses
import inspect
import json
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from mesascope import catalogue
from mesascope.agents.opening import find_adapter, open_subject
from mesascope.contracts import CONTROL_ROLES, UNDETERMINED, Axis, Family, Intact, Metric, Subject, select
from mesascope.contracts import get_split_kind as split_kind
from mesascope.errors import MesascopeError, MesascopeWarning, describe_error, make_unknown_name_error, require
from mesascope.examination.bench import RolloutCache
from mesascope.examination.measurement import apply_metrics
from mesascope.guards import gate
from mesascope.guards.blame import locate_error, prevent_exits
from mesascope.rollouts.leaks import refuse_leaks
from mesascope.rollouts.replays import Replays
from mesascope.rollouts.rollouts import BLOCK_SIZE, rollout

T = TypeVar("T")
# The family on which the check runs a plug-in by default. The file of a plug-in may define its own CHECK_FAMILY, and
# the file of a recipe may define CHECK_SETTINGS, the settings for the check.
CHECK_FAMILY = "bernoulli_bandit:arms=3,trials=12,bank=2"
LONGER_CHECK_FAMILY = "bernoulli_bandit:arms=3,trials=40,bank=2"  # long enough to test the signs that a metric expects
CALLER_ARGUMENTS = {"subjects": {"family", "trust"}, "recipes": {"family", "out", "progress"}}
REQUIRED_LATENTS = ("chance", "best", "worst", "fixed")
SUBJECT_CONDITIONS = ("intact", "feedback_shuffled", "carry_reset", "carry_swapped:trial=6", "carry_exchanged_once")


def check_plugin(name: str, family: str | None = None) -> list[str]:
    """Lists the ways in which a plug-in breaks its contract; the list is empty if it keeps the contract.

    Args:
        name: 'kind/name', or only the name if it is unique, with any settings that the plug-in needs. For your own
            subject, package.module:factory.
        family: the family on which the plug-in is tried, as a name with settings. The default is CHECK_FAMILY in the
            plug-in's module, or else a small bandit.

    Raises:
        MesascopeError: there is no such plug-in, or it is a family and `family` is given.
    """
    gate.allow_from_python(name, family)
    kind, spec = _parse_name(name)
    if kind == "families":
        require(
            not family, "A family is checked by itself.", "Leave out --family, and put its settings after its name."
        )
    plugin_name = catalogue.parse_spec(spec)[0]
    factory = catalogue.get_factory(kind, plugin_name)
    has_summary = catalogue.read_summary(factory).endswith((".", "?"))
    problems = [] if has_summary else ["Its factory has no docstring of one sentence."]
    parameters = inspect.signature(factory).parameters
    reserved = {n for n in ("name", *catalogue.CALLER_PARAMETERS) if n in parameters} - CALLER_ARGUMENTS.get(
        kind, set()
    )
    reserved |= {"trust"} if "trust" in parameters and parameters["trust"].default is not False else set()
    problems += [f"The setting {name!r} is reserved: give it another name." for name in sorted(reserved)]
    try:
        with prevent_exits():
            if kind == "families":
                problems += _check_family(spec)
            else:
                problems += CHECKS[kind](
                    spec, _make_check_family(family or choose_check_family(kind, plugin_name), kind)
                )
    except MesascopeError as error:
        problems.append(str(error))
    except Exception as error:
        problems.append(f"{locate_error(error) or 'It'} raised {describe_error(error)}.")
    return problems


def choose_check_family(kind: str, plugin_name: str) -> str:
    """Finds the family on which a plug-in is tried: CHECK_FAMILY of its file or of its world, or the default."""
    module = catalogue.import_plugin_module(kind, plugin_name)
    world = None if kind == "metrics" else sys.modules.get(module.__name__.rsplit(".", 2)[0])
    default = LONGER_CHECK_FAMILY if kind == "metrics" else getattr(world, "CHECK_FAMILY", CHECK_FAMILY)
    return getattr(module, "CHECK_FAMILY", default)


def _make_plugin(kind: str, spec: str, contract: type[T], *arguments: Any) -> T:
    """Makes a plug-in; raises an error, which ends the check, if the result is not of the class `contract`."""
    plugin = catalogue.make(kind, spec, *arguments)
    label = "contracts.axis.Axis" if contract is Axis else contract.__name__
    require(isinstance(plugin, contract), f"Its factory returned {type(plugin).__name__}, not a mesascope.{label}.", "")
    return plugin


def _parse_name(name: str) -> tuple[str, str]:
    """Finds the kind and the spec of a plug-in from what the user typed."""
    head, colon, _ = name.partition(":")
    if colon and not set("=/") & set(name) and not any(head in catalogue.list_names(k) for k in catalogue.KINDS):
        return "subjects", f"function:path={name}"
    head = catalogue.parse_spec(name)[0]
    kind, slash, rest = name.partition("/")
    kind = catalogue.make_plural(kind)
    if slash and kind in catalogue.KINDS:
        catalogue.import_plugin_module(kind, catalogue.parse_spec(rest)[0])
        return kind, rest
    kinds = [k for k in catalogue.KINDS if head in catalogue.list_names(k)]
    if len(kinds) == 1:
        return kinds[0], name
    if kinds:
        raise MesascopeError(f"{head!r} is the name of {' and of '.join(kinds)}.", f"Type {kinds[0]}/{name}.")
    error = make_unknown_name_error("plug-in", head, [n for k in catalogue.KINDS for n in catalogue.list_names(k)])
    raise MesascopeError(error.problem, f"{error.remedy} {catalogue.INSTALL_REMEDY}")


def _make_check_family(spec: str, kind: str) -> Family:
    """Makes the family on which a plug-in is tried."""
    family = catalogue.make("families", spec)
    require(
        kind not in ("metrics", "axes") or family.controls,
        f"{family.name} has no controls on which {kind} can be tried.",
        "Add some, for example {'learner': 'thompson', 'lookalike': 'two_loss_reflex', 'still': 'uniform'}.",
    )
    return family


def _check_family(spec: str) -> Iterator[str]:
    """Yields the ways in which a family breaks its contract."""
    family = _make_plugin("families", spec, Family)
    if "fresh" not in family.split_names:
        yield f"Its splits are {family.split_names}; 'fresh' is not among them."
        return
    if ("seen" in family.split_names) != (family.bank_label is not None):
        yield (
            f"Its bank is {family.bank_label!r} and its splits are {family.split_names}: "
            "a bank and the split 'seen' require each other."
        )
    with contextlib.suppress(MesascopeError):  # the family has no banks, or none of this size
        if (bank := family.with_bank("bank:2@1").bank_label) != "bank:2@1":
            yield f"With the bank 'bank:2@1' its bank is {bank!r}."
    for roles in (family.controls, family.references):
        for role, subject in roles.items():
            if catalogue.parse_spec(subject)[0] not in catalogue.list_names("subjects"):
                yield f"Its {role} {subject!r} is not a subject."
    missing_roles = set(CONTROL_ROLES) - set(family.controls)
    if family.controls and missing_roles:
        yield f"Its controls lack {', '.join(sorted(missing_roles))}."
    for split in family.split_names:
        yield from _check_split(family, split)


def _check_split(family: Family, split: str) -> Iterator[str]:
    """Yields the ways in which one split of a family breaks its contract."""
    key, trials = jax.random.key(3), family.get_split(split).trial_count
    tasks = family.get_split(split).draw(key, BLOCK_SIZE)
    again = family.get_split(split).draw(key, BLOCK_SIZE)
    if not all(jax.tree.leaves(jax.tree.map(lambda a, b: bool((a == b).all()), tasks, again))):
        yield f"On {split}, two draws with the same key give different tasks."
    if any(np.shape(leaf)[:1] != (BLOCK_SIZE,) for leaf in jax.tree.leaves(tasks)):
        yield f"On {split} its tasks have no leading axis of {BLOCK_SIZE} lifetimes."
        return
    latents = family.compute_latents(tasks, split)
    for name in REQUIRED_LATENTS:
        if name not in latents or np.shape(latents[name]) != (BLOCK_SIZE, trials):
            yield f"On {split} its latents contain no {name} of shape ({BLOCK_SIZE}, {trials})."
            return
    low, high = latents["worst"] - 1e-5, latents["best"] + 1e-5
    if (latents["chance"] < low).any() or (latents["chance"] > high).any():
        yield f"On {split} chance is not between worst and best."
    if family.steps > 1:
        yield from _check_steps(family, split, tasks)
        return
    state, percept = family.begin(key, tasks)
    no_action = 0 if family.choices is None else -1  # the last action in the first percept
    if not bool(jnp.asarray(percept.first).all()) or bool((jnp.asarray(percept.action) != no_action).any()):
        yield f"On {split}, `first` is false in the first percept, or this percept contains a last action."

    def get_shapes_and_types(tree: Any) -> Any:
        return jax.tree.map(lambda x: (jnp.shape(x), jnp.asarray(x).dtype), tree)

    for t in range(min(trials, 5)):
        action, before = jnp.asarray(_draw_actions(family, t)), get_shapes_and_types((state, percept))
        state, percept, score = family.step(jax.random.fold_in(key, t), tasks, state, action)
        after = get_shapes_and_types((state, percept))
        if before != after:
            yield f"On {split} its state or percept changes shape or type at trial {t}: {before} to {after}."
            return
        if np.shape(score) != (BLOCK_SIZE,) or (score < low[:, t]).any() or (score > high[:, t]).any():
            yield f"On {split} a score at trial {t} is not between worst and best."
        if not bool((percept.trial == t + 1).all()) or not bool((percept.action == action).all()):
            yield f"On {split} the percept after trial {t} does not contain the action and trial {t + 1}."


def _draw_actions(family: Family, seed: int) -> np.ndarray:
    """Draws random actions, one for every lifetime of a block."""
    rng = np.random.default_rng(seed)
    if family.choices is None:
        return rng.standard_normal(BLOCK_SIZE).astype(np.float32)
    return rng.integers(0, family.choices, BLOCK_SIZE).astype(np.int32)


def _check_steps(family: Family, split: str, tasks: Any) -> Iterator[str]:
    """Yields the ways in which a split whose trials have several steps breaks its contract, in the first two trials."""
    key = jax.random.key(3)
    state, percept = family.begin(key, tasks)
    if not np.asarray(percept.first).all():
        yield f"On {split}, `first` is false in the first percept of a lifetime."
    for i in range(2 * family.steps):
        t, s = divmod(i, family.steps)
        idle = family.find_idle(state) if s else None
        is_active = np.ones(BLOCK_SIZE, bool) if idle is None else ~np.asarray(idle)
        for field, expected in (("trial", t), ("step", s)):
            if (np.asarray(getattr(percept, field))[is_active] != expected).any():
                yield f"On {split} the percept of step {s} in trial {t} has another {field}."
                return
        action = _draw_actions(family, i)
        if not family.is_traceable:
            action = np.where(is_active, action, np.nan if family.choices is None else -1).astype(action.dtype)
        next_state, next_percept, score = family.step(jax.random.fold_in(key, i), tasks, state, action)
        if np.shape(score) != (BLOCK_SIZE,) or not np.isfinite(np.asarray(score)[is_active]).all():
            yield f"On {split} a score at step {s} is not a number."
        if (np.asarray(next_percept.action)[is_active] != action[is_active]).any():
            yield f"On {split} the percept after step {s} does not contain the action."
        is_idle = jnp.asarray(~is_active) if family.is_traceable else ~is_active
        state = select(is_idle, state, next_state) if family.is_traceable else next_state
        percept = select(is_idle, percept, next_percept)


def _check_subject(spec: str, family: Family) -> Iterator[str]:
    """Yields the ways in which a subject breaks its contract."""
    subject = _make_plugin("subjects", spec, Subject, family)
    if subject.trained_on not in ("unlimited", "unknown"):
        family.with_bank(subject.trained_on)
    for leaf in jax.tree.leaves(subject.initialize_carry(7)):
        if np.shape(leaf)[:1] != (7,):
            yield f"A part of its fresh carry has shape {np.shape(leaf)}, but there are 7 lifetimes."
    conditions = [catalogue.make("conditions", c) for c in SUBJECT_CONDITIONS]
    trials = rollout(subject, family, "fresh", BLOCK_SIZE, conditions=conditions)
    action = trials.action.values
    lowest = np.nan if family.choices is None else -1 if family.steps > 1 else 0
    if family.choices is not None and (action.min() < lowest or action.max() >= family.choices):
        yield f"It took the action {action.max() if action.max() >= family.choices else action.min()}."
    if "log_probs" in trials:
        log_probs = trials.log_probs.sel(condition="intact").values
        total = np.exp(log_probs[np.isfinite(log_probs).any(-1)]).sum(-1)
        if not np.allclose(total, 1, atol=1e-3):
            yield f"Its probabilities sum to {total.flat[np.abs(total - 1).argmax()]:.3f}."
    again = rollout(subject, family, "fresh", BLOCK_SIZE, condition_examples=conditions)
    if not np.array_equal(again.action.values[0], action[0], equal_nan=action.dtype.kind == "f"):
        yield "With the same seed, its actions differ when it runs a second time."
    try:
        refuse_leaks(subject, family, condition_examples=conditions)
    except MesascopeError as leak:
        yield leak.problem


def _check_condition(spec: str, family: Family) -> Iterator[str]:
    """Yields the ways in which a condition breaks its contract."""
    condition = catalogue.make("conditions", spec)
    if catalogue.make("conditions", condition.label).label != condition.label:
        yield f"Its label {condition.label!r}, used as a spec, does not make the same condition."
    subject = open_subject(family.controls.get("learner", "uniform"), family)
    alone = rollout(subject, family, "fresh", BLOCK_SIZE)
    conditions = [Intact(), *([condition] if condition.label != "intact" else [])]
    actions, again = (rollout(subject, family, "fresh", BLOCK_SIZE, conditions=conditions).action for _ in range(2))
    disturbed, intact = (actions.sel(condition=label) for label in (condition.label, "intact"))
    if not (intact.values == alone.action.values[0]).all():
        yield "The intact lifetimes change if it runs beside them."
    if not (actions == again).sel(condition=condition.label).all():
        yield "With the same seed, the disturbed actions differ when it runs a second time."
    if condition.label != "intact" and (disturbed == intact).all():
        message = f"{condition.label} changes no action of {subject.name} on {family.name}."
        warnings.warn(f"{message} Name a --family on which it changes actions.", MesascopeWarning, stacklevel=2)


def _check_question(plugin: Metric | Axis, name: str) -> Iterator[str]:
    """Yields errors in the name and the question of a metric or axis."""
    if plugin.name != name:
        yield f"Its name is {plugin.name!r}, but its file is {name!r}."
    if not plugin.question.endswith("?"):
        yield f"Its question {plugin.question!r} does not end with a question mark."


def _check_metric(spec: str, family: Family) -> Iterator[str]:
    """Yields the ways in which a metric breaks its contract."""
    metric = _make_plugin("metrics", spec, Metric)
    yield from _check_question(metric, catalogue.parse_spec(spec)[0])
    if not isinstance(metric.expected_signs, Mapping):
        example = {"learner": "+", "still": "0"}
        yield f"It expects {metric.expected_signs!r}, not a sign for each control, such as {example}."
        return
    for role, sign in metric.expected_signs.items():
        if role not in CONTROL_ROLES:
            yield f"It expects a sign for {role!r}, but the controls are learner, lookalike and still."
        elif sign not in ("+", "-", "0", "any"):
            yield f"The sign that it expects for the {role} is not '+', '-', '0' or 'any'."
    splits = [r for r in family.split_names if split_kind(r) in (*metric.splits, "fresh")]
    bench = RolloutCache(family, ("intact", *metric.conditions), splits, 4 * BLOCK_SIZE)
    reasons, applies = [], False
    for role, control_name in family.controls.items():
        control = open_subject(control_name, family)
        trials = bench.run_subject(control, family)
        findings = apply_metrics([metric], trials, bench.run_references(family), Replays(control))
        if not findings:
            yield f"It gave no reading for the {role}."
        reasons += [finding.reason for finding in findings if finding.status == "does not apply"]
        applies |= any(finding.status == "measured" for finding in findings)
        where = f"On the {role} ({control.name} on {family.name})"
        for finding in findings:
            if finding.status == "failed":
                yield f"{where}, it failed: {finding.reason}."
            elif finding.status == "measured" and not _has_sign(finding, metric.expected_signs.get(role, "any")):
                sign = metric.expected_signs[role]
                yield f"{where}, {finding.metric} expects {sign!r}, but measured {finding.describe()}."
    if reasons and not applies:
        message = f"{metric.name} applies to none of the controls on {family.name}: {reasons[0]}."
        remedy = "So the expected signs were not tested; name another --family."
        warnings.warn(f"{message} {remedy}", MesascopeWarning, stacklevel=2)


def _has_sign(finding: Any, expected: str) -> bool:
    """Checks whether an estimate is above ('+'), below ('-') or near ('0') its null value, as expected."""
    if expected == "any" or finding.low is None:
        return True
    above, below = finding.low > finding.null + 1e-9, finding.high < finding.null - 1e-9
    near = not (above or below) or abs(finding.estimate - finding.null) < 0.05
    return {"+": above, "-": below, "0": near}[expected]


def _check_recipe(spec: str, family: Family) -> Iterator[str]:
    """Yields the ways in which a recipe breaks its contract."""
    name, settings = catalogue.parse_spec(spec)
    factory = catalogue.get_factory("recipes", name)
    parameters = inspect.signature(factory).parameters
    for needed in ("family", "out", "seed", "updates", "progress"):
        if needed not in parameters:
            yield f"Its factory takes no {needed}."
    if not {"family", "out", "updates", "seed"} <= set(parameters):
        return
    small = {"updates": 2, "seed": 1, **getattr(catalogue.import_plugin_module("recipes", name), "CHECK_SETTINGS", {})}
    small |= catalogue.convert_settings(factory, settings, f"recipe {name!r}")
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(factory(family, Path(folder) / str(i), **small).path) for i in (0, 1)]
        if paths[0].read_bytes() != paths[1].read_bytes():
            yield "With the same seed, a second training gives another network."
        subject = catalogue.make("subjects", find_adapter(str(paths[0])), family, path=str(paths[0]))
        if subject.trained_on != (family.bank_label or "unlimited"):
            bank = family.bank_label or "unlimited tasks"
            yield f"It was trained on {bank}, but its file states {subject.trained_on!r}."
        rollout(subject, family, "fresh", BLOCK_SIZE)


def _check_axis(spec: str, family: Family) -> Iterator[str]:
    """Yields the ways in which an axis breaks its contract."""
    axis = _make_plugin("axes", spec, Axis)
    yield from _check_question(axis, catalogue.parse_spec(spec)[0])
    if UNDETERMINED not in axis.reading_meanings:
        yield f"Its readings are {', '.join(axis.reading_meanings)}; {UNDETERMINED!r} is not among them."
    splits = [r for r in family.split_names if split_kind(r) in axis.tested_split_kinds]
    for role, control in family.controls.items():
        subject, conditions = open_subject(control, family), axis.list_conditions(family)
        trials = {split: rollout(subject, family, split, BLOCK_SIZE, conditions=conditions) for split in splits}
        verdict = axis.read(trials, family)
        if verdict is None:
            continue
        json.dumps(dataclasses.asdict(verdict), allow_nan=False)
        if verdict.reading not in axis.reading_meanings or set(verdict.probability) != set(axis.reading_meanings):
            readings = ", ".join(axis.reading_meanings)
            yield f"For the {role}, its reading is {verdict.reading!r}, but its readings are {readings}."
        if abs(sum(verdict.probability.values()) - 1) > 1e-6:
            yield f"For the {role}, its shares of resamples sum to {sum(verdict.probability.values()):.3f}."


CHECKS: dict[str, Callable[[str, Family], Iterator[str]]] = {  # by kind of plug-in
    **{"subjects": _check_subject, "conditions": _check_condition, "metrics": _check_metric},
    **{"recipes": _check_recipe, "axes": _check_axis},
}
