"""Does my family, subject, condition, probe or recipe keep its contract? One sentence for each way it does not."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mesascope import catalogue, gate
from mesascope.axes import UNDETERMINED, Axis
from mesascope.bench import Bench
from mesascope.blame import contained
from mesascope.conditions import select
from mesascope.errors import MesascopeError, unknown
from mesascope.examination import opener, resolve
from mesascope.families import Family
from mesascope.families import kind as ring_kind
from mesascope.leaks import refuse_leaks
from mesascope.measurement import measure
from mesascope.probes import Probe
from mesascope.replays import Replays
from mesascope.rollouts import BLOCK, rollout
from mesascope.subjects import Subject

# what plug-ins of other kinds are tried on; a plug-in's file may name its own, a recipe's also settings, SMALL
TRIED = "bernoulli_bandit:arms=3,trials=12,bank=2"
LATENTS = ("chance", "best", "worst", "fixed")


def check_plugin(name: str) -> list[str]:
    """Every way in which a plug-in breaks its contract; an empty list where it keeps it.

    Args:
        name: 'kind/name', or a name that only one kind has, with settings where it needs some; or
            package.module:factory, a subject of one's own.

    Raises:
        MesascopeError: there is no such plug-in.
    """
    gate.handed(name)
    kind, spec = _find(name)
    made = catalogue.factory(kind, catalogue.split(spec)[0])
    broken = (
        [] if catalogue.says(made).endswith((".", "?")) else ["Its factory has no docstring of one sentence."]
    )
    tests: dict[str, Callable[..., Iterator[str]]] = {
        "families": _family,
        "subjects": _subject,
        "conditions": _condition,
        "probes": _probe,
        "recipes": _recipe,
        "axes": _axis,
    }
    try:
        with contained():
            broken += list(tests[kind](spec))
    except MesascopeError as error:
        broken.append(str(error))
    except Exception as error:
        broken.append(f"It raised {type(error).__name__}: {error}")
    return broken


def _find(name: str) -> tuple[str, str]:
    head, colon, _ = name.partition(":")
    if colon and not set("=/") & set(name) and not any(head in catalogue.names(k) for k in catalogue.KINDS):
        return "subjects", f"function:path={name}"
    head = catalogue.split(name)[0]
    kind, slash, rest = name.partition("/")
    if slash and kind in catalogue.KINDS:
        catalogue.module(kind, catalogue.split(rest)[0])
        return kind, rest
    having = [k for k in catalogue.KINDS if head in catalogue.names(k)]
    if len(having) == 1:
        return having[0], name
    if having:
        raise MesascopeError(
            f"{head!r} is the name of {' and of '.join(having)}.", f"Type {having[0]}/{name}."
        )
    raise unknown("plug-in", head, [n for k in catalogue.KINDS for n in catalogue.names(k)])


def _family(spec: str) -> Iterator[str]:
    family = catalogue.make("families", spec)
    if not isinstance(family, Family):
        yield f"Its factory returned {type(family).__name__}, not a mesascope.Family."
        return
    if "fresh" not in family.rings():
        yield f"Its rings are {family.rings()}; 'fresh' is not among them."
        return
    if ("seen" in family.rings()) != (family.bank is not None):
        yield f"Its bank is {family.bank!r} and its rings are {family.rings()}: 'seen' goes with a bank."
    with contextlib.suppress(MesascopeError):  # it has no banks, or none of this size
        if (named := family.banked("bank:2@1").bank) != "bank:2@1":
            yield f"With the bank 'bank:2@1' its bank is {named!r}."
    for roles in (family.controls, family.references):
        for role, subject in roles.items():
            if catalogue.split(subject)[0] not in catalogue.names("subjects"):
                yield f"Its {role} {subject!r} is no subject."
    lacking = {"learner", "lookalike", "still"} - set(family.controls)
    if lacking:
        yield f"Its controls lack {', '.join(sorted(lacking))}."
    for ring in family.rings():
        yield from _ring(family, ring)


def _ring(family: Family, ring: str) -> Iterator[str]:
    key, trials = jax.random.key(3), family.trials(ring)
    tasks = family.draw(key, BLOCK, ring)
    again = family.draw(key, BLOCK, ring)
    if not all(jax.tree.leaves(jax.tree.map(lambda a, b: bool((a == b).all()), tasks, again))):
        yield f"On {ring} the same key draws other tasks."
    if any(np.shape(leaf)[:1] != (BLOCK,) for leaf in jax.tree.leaves(tasks)):
        yield f"On {ring} its tasks have no leading axis of {BLOCK} lifetimes."
        return
    latents = family.latents(tasks, ring)
    for name in LATENTS:
        if name not in latents or np.shape(latents[name]) != (BLOCK, trials):
            yield f"On {ring} its latents hold no {name} of shape ({BLOCK}, {trials})."
            return
    low, high = latents["worst"] - 1e-5, latents["best"] + 1e-5
    if (latents["chance"] < low).any() or (latents["chance"] > high).any():
        yield f"On {ring} chance is not between worst and best."
    if family.steps > 1:
        yield from _steps(family, ring, tasks)
        return
    state, percept = family.begin(key, tasks)
    none = 0 if family.choices is None else -1  # the last action before the first
    if not bool(jnp.asarray(percept.first).all()) or bool((jnp.asarray(percept.action) != none).any()):
        yield f"On {ring} the start-of-life percept has first false or a last action."
    for t in range(min(trials, 5)):
        rng = np.random.default_rng(t)
        if family.choices is None:
            action = jnp.asarray(rng.standard_normal(BLOCK), jnp.float32)
        else:
            action = jnp.asarray(rng.integers(0, family.choices, BLOCK), jnp.int32)
        before = jax.tree.map(lambda x: (jnp.shape(x), jnp.asarray(x).dtype), (state, percept))
        state, percept, score = family.step(jax.random.fold_in(key, t), tasks, state, action)
        after = jax.tree.map(lambda x: (jnp.shape(x), jnp.asarray(x).dtype), (state, percept))
        if before != after:
            yield f"On {ring} its state or percept changes shape or type at trial {t}: {before} to {after}."
            return
        if np.shape(score) != (BLOCK,) or (score < low[:, t]).any() or (score > high[:, t]).any():
            yield f"On {ring} a score at trial {t} is not between worst and best."
        if not bool((percept.trial == t + 1).all()) or not bool((percept.action == action).all()):
            yield f"On {ring} the percept after trial {t} does not tell the action and trial {t + 1}."


def _steps(family: Family, ring: str, tasks: Any) -> Iterator[str]:
    """The same of trials with steps, over the first two trials."""
    key, alive = jax.random.key(3), np.ones(BLOCK, bool)
    state, percept = family.begin(key, tasks)
    if not np.asarray(percept.first).all():
        yield f"On {ring} the start-of-life percept has first false."
    for now in range(2 * family.steps):
        t, s = divmod(now, family.steps)
        idle = family.idle(state) if s else None
        alive = np.ones(BLOCK, bool) if idle is None else ~np.asarray(idle)
        for part, wanted in (("trial", t), ("step", s)):
            if (np.asarray(getattr(percept, part))[alive] != wanted).any():
                yield f"On {ring} the percept of step {s} in trial {t} names another {part}."
                return
        if family.choices is None:
            action = np.random.default_rng(now).standard_normal(BLOCK).astype(np.float32)
        else:
            action = np.random.default_rng(now).integers(0, family.choices, BLOCK).astype(np.int32)
        if not family.traceable:
            action = np.where(alive, action, np.nan if family.choices is None else -1).astype(action.dtype)
        after, told, score = family.step(jax.random.fold_in(key, now), tasks, state, action)
        if np.shape(score) != (BLOCK,) or not np.isfinite(np.asarray(score)[alive]).all():
            yield f"On {ring} a score at step {s} is no number."
        if (np.asarray(told.action)[alive] != action[alive]).any():
            yield f"On {ring} the percept after step {s} does not tell the action."
        still = jnp.asarray(~alive)
        state = select(still, state, after) if family.traceable else after
        percept = select(still if family.traceable else ~alive, percept, told)


def _subject(spec: str) -> Iterator[str]:
    home = getattr(catalogue.module("subjects", catalogue.split(spec)[0]), "TRIED", TRIED)
    family = catalogue.make("families", home)
    subject = catalogue.make("subjects", spec, family)
    if not isinstance(subject, Subject):
        yield f"Its factory returned {type(subject).__name__}, not a mesascope.Subject."
        return
    if subject.trained_on not in ("unlimited", "unknown"):
        family.banked(subject.trained_on)
    for leaf in jax.tree.leaves(subject.fresh(7)):
        if np.shape(leaf)[:1] != (7,):
            yield f"A part of its fresh carry has shape {np.shape(leaf)}, not 7 lifetimes."
    kinds = [catalogue.make("conditions", c) for c in EVERY]
    lived = rollout(subject, family, "fresh", BLOCK, conditions=kinds)
    action = lived.action.values
    none = np.nan if family.choices is None else -1 if family.steps > 1 else 0
    if family.choices is not None and (action.min() < none or action.max() >= family.choices):
        yield f"It took the action {action.max() if action.max() >= family.choices else action.min()}."
    if "log_probs" in lived:
        stated = lived.log_probs.sel(condition="intact").values
        total = np.exp(stated[np.isfinite(stated).any(-1)]).sum(-1)
        if not np.allclose(total, 1, atol=1e-3):
            yield f"Its probabilities sum to {total.flat[np.abs(total - 1).argmax()]:.3f}."
    again = rollout(subject, family, "fresh", BLOCK, kinds=kinds)
    if not np.array_equal(again.action.values[0], action[0], equal_nan=action.dtype.kind == "f"):
        yield "With the same seed it acts otherwise the second time."
    try:
        refuse_leaks(subject, family, kinds=kinds)
    except MesascopeError as leak:
        yield leak.problem


EVERY = ("intact", "feedback_shuffled", "carry_reset", "carry_swapped:at=6", "carry_exchanged_once")


def _condition(spec: str) -> Iterator[str]:
    condition = catalogue.make("conditions", spec)
    if catalogue.make("conditions", condition.label).label != condition.label:
        yield f"Its label {condition.label!r} does not make it again."
    home = getattr(catalogue.module("conditions", catalogue.split(spec)[0]), "TRIED", TRIED)
    family = catalogue.make("families", home)
    subject = resolve(family.controls["learner"], family)
    intact = catalogue.make("conditions", "intact")
    plain = rollout(subject, family, "fresh", BLOCK)
    both = [intact, *([condition] if condition.label != "intact" else [])]
    lived = rollout(subject, family, "fresh", BLOCK, conditions=both)
    if not (lived.action.sel(condition="intact").values == plain.action.values[0]).all():
        yield "With it in the run, the intact lifetimes are others."
    once = lived.action.sel(condition=condition.label).values
    again = (
        rollout(subject, family, "fresh", BLOCK, conditions=both).action.sel(condition=condition.label).values
    )
    if not (once == again).all():
        yield "With the same seed it disturbs otherwise the second time."


def _probe(spec: str) -> Iterator[str]:
    probe = catalogue.make("probes", spec)
    if not isinstance(probe, Probe):
        yield f"Its factory returned {type(probe).__name__}, not a mesascope.Probe."
        return
    if probe.name != catalogue.split(spec)[0]:
        yield f"Its name is {probe.name!r}, its file's another."
    if not probe.question.endswith("?"):
        yield f"Its question {probe.question!r} is no question."
    for role in dict.fromkeys(("learner", *probe.expects)):
        if role not in ("learner", "lookalike", "still"):
            yield f"It expects something of {role!r}; the controls are the learner, the lookalike and the still one."
        elif probe.expects.get(role) not in ("+", "-", "0", "any"):
            yield f"It does not say what it must read on the {role}: '+', '-', '0' or 'any'."
    family = catalogue.make("families", "bernoulli_bandit:arms=3,trials=40,bank=2")
    rings = [r for r in family.rings() if r.partition(":")[0] in (*probe.rings, "fresh")]
    bench = Bench(family, ("intact", *probe.conditions), rings, 4 * BLOCK)
    for role in ("learner", "lookalike", "still"):
        control = resolve(family.controls[role], family)
        lived = bench.live(control, family)
        asked = measure([probe], lived, bench.references(family), Replays(control))
        if not asked:
            yield f"It gave no reading of the {role}."
        for finding in asked:
            if finding.status == "failed":
                yield f"On the {role} it failed: {finding.reason}."
            elif finding.status == "measured" and not _reads(finding, probe.expects.get(role, "any")):
                yield f"On the {role} {finding.probe} must read {probe.expects[role]!r} and read {finding.text()}."


def _reads(finding: Any, expected: str) -> bool:
    """Whether an estimate is of the expected sign; one that is exactly at its null is 0."""
    if expected == "any" or finding.low is None:
        return True
    above, below = finding.low > finding.null + 1e-9, finding.high < finding.null - 1e-9
    return {"+": above, "-": below, "0": not (above or below) or abs(finding.estimate - finding.null) < 0.05}[
        expected
    ]


def _recipe(spec: str) -> Iterator[str]:
    name, given = catalogue.split(spec)
    made = catalogue.factory("recipes", name)
    known = inspect.signature(made).parameters
    for needed in ("family", "out", "seed", "updates", "progress"):
        if needed not in known:
            yield f"Its factory takes no {needed}."
    if not {"family", "out", "updates", "seed"} <= set(known):
        return
    module = catalogue.module("recipes", name)
    family = catalogue.make("families", getattr(module, "TRIED", TRIED))
    small = {"updates": 2, "seed": 1, **getattr(module, "SMALL", {})}
    small |= catalogue.convert(made, given, f"recipe {name!r}")
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(made(family, Path(folder) / str(i), **small).path) for i in (0, 1)]
        if paths[0].read_bytes() != paths[1].read_bytes():
            yield "With the same seed it trains another network the second time."
        subject = catalogue.make("subjects", opener(str(paths[0])), family, path=str(paths[0]))
        if subject.trained_on != (family.bank or "unlimited"):
            yield f"It was trained on {family.bank or 'unlimited tasks'} and says {subject.trained_on!r}."
        rollout(subject, family, "fresh", BLOCK)


def _axis(spec: str) -> Iterator[str]:
    axis, name = catalogue.make("axes", spec), catalogue.split(spec)[0]
    if not isinstance(axis, Axis):
        yield f"Its factory returned {type(axis).__name__}, not a mesascope.axes.Axis."
        return
    if axis.name != name:
        yield f"Its name is {axis.name!r}, its file's another."
    if not axis.question.endswith("?"):
        yield f"Its question {axis.question!r} is no question."
    if UNDETERMINED not in axis.words:
        yield f"Its readings are {', '.join(axis.words)}; {UNDETERMINED!r} is not among them."
    family = catalogue.make("families", getattr(catalogue.module("axes", name), "TRIED", TRIED))
    rings = [r for r in family.rings() if ring_kind(r) in axis.tested]
    for role, control in family.controls.items():
        who, asked = resolve(control, family), axis.made(family)
        lived = {ring: rollout(who, family, ring, BLOCK, conditions=asked) for ring in rings}
        verdict = axis.read(lived, family)
        if verdict is None:
            continue
        json.dumps(dataclasses.asdict(verdict), allow_nan=False)
        if verdict.reading not in axis.words or set(verdict.probability) != set(axis.words):
            yield f"On the {role} it reads {verdict.reading!r}; its readings are {', '.join(axis.words)}."
        if abs(sum(verdict.probability.values()) - 1) > 1e-6:
            yield f"On the {role} its shares of resamples sum to {sum(verdict.probability.values()):.3f}."
