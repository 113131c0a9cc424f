"""Scripted answerers behind a real address, placed by the rule: how many of so many runs are right?

python benchmarks/lm_known_answers.py [RUNS] [FIRST SEED]
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from subjects.lm_server import serving

from mesascope import catalogue
from mesascope.bench import Bench
from mesascope.placement import conditions

RIGHT = {  # lowest ends and levels that the truth allows
    "first": ("inert", ("inert",)),
    "parrot": ("reactive", ("reactive",)),
    "recogniser": ("locating", ("undetermined", "locating")),
    "learner": ("acquiring", ("undetermined", "acquiring")),
}


def main(runs: str = "20", first: str = "1000") -> None:
    family = catalogue.make("families", "word_labels")
    for who, (lowest, levels) in RIGHT.items():
        right, read = 0, []
        for seed in range(int(first), int(first) + int(runs)):
            with serving(who) as server:
                spec = f"openai_api:path={server.address},batch=64,side=1,cache=none"
                subject = catalogue.make("subjects", spec, family)
                bench = Bench(family, conditions(family.horizon), None, 64, seed)
                placed = bench.place(subject, "unknown")[2]
            read.append(f"{placed.lowest}..{placed.highest}")
            right += placed.lowest == lowest and placed.level in levels
        used = resource.getrusage(resource.RUSAGE_SELF)
        told = {
            "answerer": who,
            "right": right,
            "runs": int(runs),
            "readings": {r: read.count(r) for r in set(read)},
        }
        print(json.dumps(told | {"seconds": round(used.ru_utime + used.ru_stime)}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
