"""Every kind of label, shots 0 to 16, intact, reset and shuffled, and a placement on labels that name nothing.

    python benchmarks/lm_battery.py MODEL.gguf OUT [THREADS]

Writes one .nc per kind of label and prints what was seen and the seconds of computing; a stopped run goes on.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np

from mesascope import catalogue, trials
from mesascope.bench import Bench
from mesascope.measurement import measure
from mesascope.placement import conditions, place
from mesascope.rollouts import rollout

CONDITIONS = (
    "intact",
    "carry_reset",
    "feedback_shuffled:older_than=0",
    "context_emptied_once",
    "outcomes_exchanged_once",
)
KINDS = ("gold", "abstract", "flipped", "random")
PLACED = "abstract"
PROBES = ("recognition_and_acquisition", "override_of_prior", "unanswered", "wording")
LIFETIMES = 64


def main(path: str, out: str, threads: str = "2") -> None:
    for kind in KINDS:
        start, family = time.monotonic(), catalogue.make("families", f"word_labels:labels={kind}")
        file = Path(out) / f"{kind}.nc"
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.is_file():
            subject = catalogue.make("subjects", f"llama_cpp:path={path},threads={threads}", family)
            labels = dict.fromkeys([*CONDITIONS, *(conditions(family.horizon) if kind == PLACED else ())])
            asked = {c.label: c for c in (catalogue.make("conditions", label) for label in labels)}.values()
            lived = rollout(subject, family, "fresh", LIFETIMES, 0, [c for c in asked if not c.unfit(family)])
            trials.save({"fresh": lived.assign_attrs(floor=subject.moved()[0])}, file)
        lived = trials.open_trials(file)["fresh"]
        right = lived.action.values == lived.right.values
        there = lived.condition.values.tolist()
        told = {catalogue.make("conditions", c).label for c in CONDITIONS}
        shots = {c: np.round(right[there.index(c)].mean(0), 2).tolist() for c in there if c in told}
        late = {c: round(float(right[there.index(c), :, 8:].mean()), 3) for c in shots}
        told = {"labels": kind, "late": late, "by shots": shots, "floor": lived.attrs["floor"]}
        found = measure([catalogue.make("probes", p) for p in PROBES], {"fresh": lived})
        told["found"] = {f.probe: [f.estimate, f.low, f.high] for f in found if f.status == "measured"}
        if kind == PLACED:
            references = Bench(family, ["intact"], ["fresh"], LIFETIMES).references(family)
            placed = place({"fresh": lived}, references)
            told["placed"] = {"lowest": placed.lowest, "highest": placed.highest, "why": placed.reason}
            told["placed"] |= {"shares": placed.probability, "numbers": placed.numbers}
        used = resource.getrusage(resource.RUSAGE_SELF)
        spent = {"wall": round(time.monotonic() - start), "seconds": round(used.ru_utime + used.ru_stime)}
        print(json.dumps(told | spent), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
