"""Runs a study: trains, measures, and writes published, exact and our numbers into one table."""

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
from mesascope.guards.blame import contain_exits, make_plugin_error
from mesascope.reproduction.crew import collect_seconds, name_seconds, run_in_processes
from mesascope.reproduction.figures import draw
from mesascope.reproduction.measures import SHIPPED, Measure
from mesascope.reproduction.outcomes import make_document, write_table
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
    """Runs a study; does not repeat units that are finished in its folder.

    Args:
        study: the name of a study that ships, or a folder with plan.toml and expects.toml.
        quick: whether to use one seed and the plan's short values. Such results are labelled quick, and not evidence.
        seeds: how many training seeds; 0 for the plan's own.
        out: the folder of the run; by default runs/reproduce/STUDY.
        trust: whether code of a study that does not ship with mesascope may run.
        progress: called with the share of the work that is done, and with a text that says what is running; if there
            are several workers, another thread calls it.
        workers: how many processes run in parallel; 0 for one per core. If there are several, the calling module must
            be importable without side effects.

    Returns:
        The document that results.json contains. The folder also has table.md, figure.png and seconds.json.

    Raises:
        MesascopeError: there is no such study, its files contain a mistake, or it contains code that is not trusted.
    """
    plan = load(study, quick, seeds)
    measures = load_measures(plan, trust)
    folder = runs.prepare(out or choose_folder({"study": plan.name, "quick": quick}))
    shop = Workshop(plan, folder, measures, lambda place, share, doing: message(place, share, doing))
    message = Message(shop.plan, shop.seconds, progress)
    collect_seconds(shop)
    finished = [i for i, u in enumerate(shop.plan) if u.kind == "train" and not shop.lacks(u)]
    shop.work(finished)  # refuses a network from another training run before other work starts
    if workers != 1:
        request = Request(study, quick, seeds, folder, trust, shop.code)
        run_in_processes(shop, functools.partial(_run_part, request), workers, progress)
    results = make_document(plan, shop.work(), trust)
    write_text(folder / "results.json", json.dumps(results, indent=1, allow_nan=False) + "\n")
    write_text(folder / "table.md", write_table(results))
    draw(plan, results, folder / "figure.png")
    return results


class Request(NamedTuple):
    """The arguments of `reproduce`, the folder, and the hashes of the code at its start."""

    study: str
    quick: bool
    seeds: int
    folder: Path
    trust: bool
    code: list[str]


def _run_part(request: Request, places: Sequence[int], relay_folder: Path) -> None:
    """Runs the units at some places of a study's plan, in any process."""
    plan = load(request.study, request.quick, request.seeds)
    measures = load_measures(plan, request.trust)
    try:
        shop = Workshop(plan, request.folder, measures, Relay(relay_folder), name_seconds(places))
        if shop.code != request.code:
            raise MesascopeError("The code was changed while the study ran.", "Run the command again.")
        shop.work(places)
    except Exception as error:  # the parent process cannot tell where it was raised
        other_error = None if isinstance(error, MesascopeError) else make_plugin_error(error)
        if other_error is None or os.environ.get("MESASCOPE_TRACEBACK"):
            raise
        raise other_error from error


def choose_folder(document: Mapping[str, Any]) -> Path:
    """The default folder for a study's run."""
    return Path("runs") / "reproduce" / (document["study"] + ("-quick" if document["quick"] else ""))


def load_measures(study: Study, trust: bool) -> dict[str, Measure]:
    """The measures that ship and the study's own; without `trust`, refuses code from elsewhere."""
    own_file = study.folder / "measures.py"
    texts = [t for c in study.cells for t in (c.recipe, c.subject, c.family)]
    texts += [t for q in study.quantities for t in (q.spec, q.family)]
    if trust:
        gate.allow(*texts)
    if not (study.ours or trust):
        if own_file.is_file():
            raise _make_error(f"{str(own_file)!r} is code")
        for cell in study.cells:
            name = cell.subject.partition(":")[0]
            if cell.subject and name not in catalogue.names("subjects"):
                raise _make_error(f"its subject {cell.subject!r} would run code")
        for text in texts:
            if running := sorted(set(re.findall(r"\w+", text)) & _list_code_runners()):
                raise _make_error(f"{running[0]} in {text!r} would run code")
    if not own_file.is_file():
        return SHIPPED
    module = gate.run_file(own_file, f"mesascope_study_{study.name}")
    definitions = {k: v for k, v in vars(module).items() if getattr(v, "__module__", "") == module.__name__}
    own_measures: dict[str, Any] = {k: v for k, v in definitions.items() if callable(v) and not k.startswith("_")}
    return {**SHIPPED, **own_measures}


def _list_code_runners() -> set[str]:
    """The names of the subjects and families that run code given in their settings."""
    found = set()
    for kind in ("subjects", "families"):
        for name in catalogue.names(kind):
            try:
                module = catalogue.module(kind, name)
            except MesascopeError:  # a broken plug-in of another package cannot run anything
                continue
            found |= {name} if getattr(module, "RUNS_CODE", False) else set()
    return found


def _make_error(reason: str) -> MesascopeError:
    return MesascopeError(f"The study does not ship with mesascope, and {reason}.", "Read it, then add --trust.")
