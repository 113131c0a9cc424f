"""Scripted answerers behind a real address, placed by the rule: how many of so many runs are right?

    python benchmarks/lm_known_answers.py [RUNS] [FIRST SEED] [address|here]

`here` takes the answerers' twins in this process, which act the same, answer for answer
(tests/subjects/test_lm_server.py), and need a fraction of the time.
"""

from __future__ import annotations

import contextlib
import json
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from subjects.lm_server import serving

from mesascope import catalogue
from mesascope.examination.bench import RolloutCache
from mesascope.questions.spectrum.placement import list_conditions

RIGHT = {  # twins, and the lowest ends and levels that the truth allows
    "first": ("fixed", "inert", ("inert",)),
    "parrot": ("last_answer", "reactive", ("reactive",)),
    "recogniser": ("label_recogniser", "tracking", ("tracking",)),
    "learner": ("label_learner", "acquiring", ("undetermined", "acquiring")),
}


@contextlib.contextmanager
def answerer(who: str, twin: str, way: str) -> Iterator[str]:
    """What to type for an answerer, while it is there."""
    if way == "here":
        yield twin
        return
    with serving(who) as server:
        yield f"openai_api:path={server.address},batch=64,parallel_requests=1,cache=none"


def main(runs: str = "20", first: str = "1000", way: str = "address") -> None:
    family = catalogue.make("families", "word_labels")
    for who, (twin, lowest, levels) in RIGHT.items():
        right, read = 0, []
        for seed in range(int(first), int(first) + int(runs)):
            with answerer(who, twin, way) as spec:
                subject = catalogue.make("subjects", spec, family)
                bench = RolloutCache(family, list_conditions(family), None, 64, seed)
                placed = bench.place(subject, "unknown")[2]
            read.append(f"{placed.lowest}..{placed.highest}")
            right += placed.lowest == lowest and placed.level in levels
        used = resource.getrusage(resource.RUSAGE_SELF)
        told = {
            "answerer": who,
            "way": way,
            "right": right,
            "runs": int(runs),
            "readings": {r: read.count(r) for r in set(read)},
        }
        print(json.dumps(told | {"seconds": round(used.ru_utime + used.ru_stime)}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
