"""Every kind of label, shots 0 to 16, intact, reset and shuffled, and a placement on labels that name nothing.

    python benchmarks/lm_battery.py MODEL.gguf OUT [THREADS]

Writes one .nc per kind of label and prints what was seen and the seconds of computing; a stopped run goes on.
"""

from __future__ import annotations

import contextlib
import json
import resource
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from mesascope import catalogue, trials
from mesascope.examination.bench import RolloutCache
from mesascope.examination.measurement import apply_metrics
from mesascope.questions.spectrum.placement import list_conditions, place
from mesascope.rollouts.rollouts import rollout

CONDITIONS = (
    "intact",
    "carry_reset",
    "feedback_shuffled:older_than=0",
    "context_emptied_once",
    "outcomes_exchanged_once",
)
KINDS = ("gold", "abstract", "flipped", "random")
PLACED = "abstract"
METRICS = ("recognition_and_acquisition", "override_of_prior", "unanswered", "wording")
LIFETIMES = 64


def main(path: str, out: str, threads: str = "2") -> None:
    Path(out).mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        with told_with_seconds() as told:
            lived = asked(path, threads, kind, CONDITIONS, Path(out) / f"{kind}.nc")
            right = lived.action.values == lived.right.values
            there = lived.condition.values.tolist()
            shots = {c: np.round(right[there.index(c)].mean(0), 2).tolist() for c in there}
            late = {c: round(float(right[there.index(c), :, 8:].mean()), 3) for c in shots}
            told |= {"labels": kind, "late": late, "by shots": shots, "floor": lived.attrs["floor"]}
            found = apply_metrics([catalogue.make("metrics", p) for p in METRICS], {"fresh": lived})
            told["found"] = {f.metric: [f.estimate, f.low, f.high] for f in found if f.status == "measured"}
    with told_with_seconds() as told:
        family = catalogue.make("families", f"word_labels:labels={PLACED}")
        lived = asked(path, threads, PLACED, list_conditions(family), Path(out) / f"{PLACED}_placed.nc")
        references = RolloutCache(family, ["intact"], ["fresh"], LIFETIMES).run_references(family)
        placed = place({"fresh": lived}, references)
        told |= {"labels": PLACED, "lowest": placed.lowest, "highest": placed.highest, "why": placed.reason}
        told |= {"shares": placed.probability, "numbers": placed.numbers}


def asked(path: str, threads: str, kind: str, labels: Iterable[str], file: Path) -> xr.Dataset:
    """What the model did, from the file if it was asked before."""
    if not file.is_file():
        family = catalogue.make("families", f"word_labels:labels={kind}")
        subject = catalogue.make("subjects", f"llama_cpp:path={path},threads={threads}", family)
        made = {c.label: c for c in (catalogue.make("conditions", label) for label in labels)}
        fit = [c for c in made.values() if not c.explain_mismatch(family)]
        lived = rollout(subject, family, "fresh", LIFETIMES, 0, conditions=fit)
        trials.save_trials({"fresh": lived.assign_attrs(floor=subject.measure_drift()[0])}, file)
    return trials.open_trials(file)["fresh"]


@contextlib.contextmanager
def told_with_seconds() -> Iterator[dict[str, Any]]:
    """Prints what was put into it, with the seconds that passed and were computed meanwhile."""

    def spent() -> float:
        used = resource.getrusage(resource.RUSAGE_SELF)
        return used.ru_utime + used.ru_stime

    start, before = time.monotonic(), spent()
    told: dict[str, Any] = {}
    yield told
    told |= {"wall": round(time.monotonic() - start), "seconds": round(spent() - before)}
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
