"""Every kind of label, shots 0 to 16, intact, reset and shuffled.

    python benchmarks/lm_battery.py MODEL.gguf OUT [THREADS]

Writes one .nc per kind of label and prints what was seen and the seconds of computing; a stopped run goes on.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

import numpy as np

from mesascope import catalogue, trials
from mesascope.rollouts import rollout

CONDITIONS = ("intact", "carry_reset", "feedback_shuffled:older_than=0", "context_emptied_once")
KINDS = ("gold", "abstract", "flipped", "random")


def main(path: str, out: str, threads: str = "2") -> None:
    for kind in KINDS:
        family = catalogue.make("families", f"word_labels:labels={kind}")
        file = Path(out) / f"{kind}.nc"
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.is_file():
            subject = catalogue.make("subjects", f"llama_cpp:path={path},threads={threads}", family)
            asked = [catalogue.make("conditions", c) for c in CONDITIONS]
            lived = rollout(subject, family, "fresh", 64, 0, asked)
            trials.save({"fresh": lived.assign_attrs(floor=subject.moved()[0])}, file)
        lived = trials.open_trials(file)["fresh"]
        right = lived.action.values == lived.right.values
        shots = {c: np.round(right[i].mean(0), 2).tolist() for i, c in enumerate(CONDITIONS)}
        late = {c: round(float(right[i, :, 8:].mean()), 3) for i, c in enumerate(CONDITIONS)}
        used = resource.getrusage(resource.RUSAGE_SELF)
        told = {"labels": kind, "late": late, "by shots": shots, "floor": lived.attrs["floor"]}
        print(json.dumps(told | {"seconds": round(used.ru_utime + used.ru_stime)}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
