"""Computes how many first choices change with more ticks at the same percept: `python ticks.py network.safetensors`."""

from __future__ import annotations

import sys

from mesascope import catalogue
from mesascope.agents.opening import open_subject
from mesascope.rollouts.rollouts import rollout

TICK_COUNTS = (2, 8)


def main() -> None:
    """Prints one line per network and split, over 512 lifetimes each."""
    family = catalogue.make("families", "two_step")
    conditions = [catalogue.make("conditions", f"thinking:ticks={n}") for n in TICK_COUNTS]
    intact = catalogue.make("conditions", "intact")
    for path in sys.argv[1:]:
        subject = open_subject(f"recurrent:path={path}", family)
        for split in ("fresh", "revalued:worth", "revalued:map"):
            trials = rollout(
                subject, family, split, 512, 77, conditions=[intact, *conditions], should_keep_log_probs=False
            )
            action, half = trials.action.values, family.horizon // 2
            texts = [
                f"{n} ticks {(action[0] != other).mean():.2f}, at the trial half-way "
                f"{(action[0, :, half] != other[:, half]).mean():.2f}"
                for n, other in zip(TICK_COUNTS, action[1:], strict=True)
            ]
            print(f"{path}, {split}: changed by {'; '.join(texts)}")


if __name__ == "__main__":
    main()
