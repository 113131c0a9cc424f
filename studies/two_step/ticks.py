"""First choices that more ticks at the same percept change, announced or not: `python ticks.py network.safetensors`."""

from __future__ import annotations

import sys

from mesascope import catalogue
from mesascope.agents.opening import open_subject
from mesascope.rollouts.rollouts import rollout

TICKS = (2, 8)


def main() -> None:
    """Prints a line per network and split, of 512 lifetimes each."""
    family = catalogue.make("families", "two_step")
    conditions = [catalogue.make("conditions", f"thinking:ticks={n}") for n in TICKS]
    intact = catalogue.make("conditions", "intact")
    for path in sys.argv[1:]:
        subject = open_subject(f"recurrent:path={path}", family)
        for split in ("fresh", "revalued:worth", "revalued:map"):
            lived = rollout(subject, family, split, 512, 77, conditions=[intact, *conditions], log_probs=False)
            action, now = lived.action.values, family.horizon // 2
            told = [
                f"{n} ticks {(action[0] != other).mean():.2f}, at the trial half-way "
                f"{(action[0, :, now] != other[:, now]).mean():.2f}"
                for n, other in zip(TICKS, action[1:], strict=True)
            ]
            print(f"{path}, {split}: changed by {'; '.join(told)}")


if __name__ == "__main__":
    main()
