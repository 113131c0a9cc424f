"""Runs a study from nothing: trains, measures, and puts published, exact and our numbers in one table."""

import functools
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mesascope import catalogue
from mesascope.errors import MesascopeError
from mesascope.examination import runs
from mesascope.files import write_text
from mesascope.guards import gate
from mesascope.guards.blame import contain_exits, plugin_error
from mesascope.reproduction.crew import collect_seconds, run_in_processes, seconds_file
from mesascope.reproduction.figures import draw
from mesascope.reproduction.measures import SHIPPED, Measure
from mesascope.reproduction.outcomes import document, table
from mesascope.reproduction.plans import Study, load
from mesascope.reproduction.progress import Message, Relay
from mesascope.reproduction.work import Workshop


@contain_exits()
def reproduce(
    study: str,
    quick: bool = False,
    seeds: int = 0,
    out: str | os.PathLike | None = None,
    trust: bool = False,
    *,
    progress: Callable[[float, str], None] = lambda share, doing: None,
    workers: int = 1,
) -> dict[str, Any]:
    """Runs a study; what is finished in the folder is not repeated.

    Args:
        study: a study that ships, by name, or a folder with plan.toml and expects.toml.
        quick: one seed and the plan's short values; labelled so, and no evidence.
        seeds: how many training seeds; 0 for the plan's own.
        out: the folder; runs/reproduce/STUDY by default.
        trust: whether code that a study which does not ship names may run.
        progress: called with the share that is done and what is being done; with several workers from another thread.
        workers: processes side by side, 0 for one per core; not 1 only from a module that may be imported without
            doing anything.

    Returns:
        The document that results.json holds. Beside it in the folder: table.md, figure.png, and seconds.json, which
        alone has times.

    Raises:
        MesascopeError: no such study, a mistake in its files, or code in it that is not trusted.
    """
    plan = load(study, quick, seeds)
    measures = known_measures(plan, trust)
    folder = runs.prepare(out or home({"study": plan.name, "quick": quick}))
    shop = Workshop(plan, folder, measures, lambda place, share, doing: told(place, share, doing))
    told = Message(shop.plan, shop.seconds, progress)
    collect_seconds(shop)
    there = [i for i, u in enumerate(shop.plan) if u.kind == "train" and not shop.lacks(u)]
    shop.work(there)  # a network of another training is refused before there is work
    if workers != 1:
        asked = Request(study, quick, seeds, folder, trust, shop.code)
        run_in_processes(shop, functools.partial(_part, asked), workers, progress)
    found = document(plan, shop.work(), trust)
    write_text(folder / "results.json", json.dumps(found, indent=1, allow_nan=False) + "\n")
    write_text(folder / "table.md", table(found))
    draw(plan, found, folder / "figure.png")
    return found


class Request(NamedTuple):
    """What `reproduce` was asked, in which folder, and the code that began it."""

    study: str
    quick: bool
    seeds: int
    folder: Path
    trust: bool
    code: list[str]


def _part(asked: Request, places: Sequence[int], heard: Path) -> None:
    """Does the units at some places of a study's plan, in any process."""
    plan = load(asked.study, asked.quick, asked.seeds)
    measures = known_measures(plan, asked.trust)
    try:
        shop = Workshop(plan, asked.folder, measures, Relay(heard), seconds_file(places))
        if shop.code != asked.code:
            raise MesascopeError("The code was changed while the study ran.", "Give the command again.")
        shop.work(places)
    except Exception as error:  # where it was raised is not known in the process that began this one
        of_others = None if isinstance(error, MesascopeError) else plugin_error(error)
        if of_others is None or os.environ.get("MESASCOPE_TRACEBACK"):
            raise
        raise of_others from error


def home(found: Mapping[str, Any]) -> Path:
    """The folder of a study that is given none."""
    return Path("runs") / "reproduce" / (found["study"] + ("-quick" if found["quick"] else ""))


def known_measures(study: Study, trust: bool) -> dict[str, Measure]:
    """The measures that ship and the study's own; refuses code of others that was not asked for."""
    own = study.folder / "measures.py"
    texts = [t for c in study.cells for t in (c.recipe, c.subject, c.family)]
    texts += [t for q in study.quantities for t in (q.spec, q.family)]
    if trust:
        gate.allow(*texts)
    if not (study.ours or trust):
        if own.is_file():
            raise _untrusted(f"{str(own)!r} is code")
        for cell in study.cells:
            name = cell.subject.partition(":")[0]
            if cell.subject and name not in catalogue.names("subjects"):
                raise _untrusted(f"its subject {cell.subject!r} would run code")
        for text in texts:
            if running := sorted(set(re.findall(r"\w+", text)) & _runs_code()):
                raise _untrusted(f"{running[0]} in {text!r} would run code")
    if not own.is_file():
        return SHIPPED
    module = gate.run_file(own, f"mesascope_study_{study.name}")
    named = {k: v for k, v in vars(module).items() if getattr(v, "__module__", "") == module.__name__}
    own_measures: dict[str, Any] = {k: v for k, v in named.items() if callable(v) and not k.startswith("_")}
    return {**SHIPPED, **own_measures}


def _runs_code() -> set[str]:
    """Names of the subjects and families that run what their settings name."""
    out = set()
    for kind in ("subjects", "families"):
        for name in catalogue.names(kind):
            try:
                module = catalogue.module(kind, name)
            except MesascopeError:  # another package's, broken: nothing of it runs
                continue
            out |= {name} if getattr(module, "RUNS_CODE", False) else set()
    return out


def _untrusted(why: str) -> MesascopeError:
    return MesascopeError(f"The study does not ship with mesascope, and {why}.", "Read it, then add --trust.")
