"""Does feedback older than w trials, held in the carry, change what it scores?"""

from __future__ import annotations

from mesascope.probes import Probe, Reading, fresh, gains
from mesascope.stats import ratio


def probe(older_than: int = 4) -> Probe:
    """Does feedback older than a few trials, held in the carry, change what it scores?

    Args:
        older_than: w, the trials that stay true.
    """
    shuffled = f"feedback_shuffled:older_than={older_than}"

    def measure(trials, references, replay):
        lived, share = fresh(trials), []
        for label in ("intact", shuffled):
            share.append(ratio(*gains(lived, label)))
        return [Reading(share[0] - share[1])]

    return Probe(
        name="benefit",
        question=f"By how much of what could be gained does feedback older than {older_than} trials raise the score?",
        measure=measure,
        conditions=("intact", *(f"{shuffled},replicate={r}" for r in range(4))),
        expects={"learner": "+", "lookalike": "0", "still": "0"},
        settings={"older_than": older_than},
        confirmatory=True,
    )
