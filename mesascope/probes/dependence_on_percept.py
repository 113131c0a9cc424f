"""What part of its choices changes when only the last percept is exchanged, for one response?"""

from __future__ import annotations

from mesascope.probes import Probe, Reading, fresh, replicates
from mesascope.probes._changes import changed, nats

CHANGES = dict(
    zip(
        ("percept_exchanged_once:action=0", "percept_exchanged_once:action=1"),
        ("feedback flipped", "last action exchanged"),
        strict=True,
    )
)


def probe() -> Probe:
    """What part of its choices changes when only the last percept is exchanged, for one response?"""

    def measure(trials, references, replay):
        lived, out = fresh(trials), []
        for label, words in CHANGES.items():
            if lived.attrs.get("actions") == "real" and label.endswith("action=1"):
                continue  # there is no other action to name
            replicates(lived, label)
            out.append(Reading(changed(lived, label), label=words))
            if "log_probs" in lived:
                out.append(Reading(nats(lived, label), label=f"{words}, in nats", descriptive=True))
        return out

    return Probe(
        name="dependence_on_percept",
        question="What part of its choices changes when only the last percept is exchanged, for one response?",
        measure=measure,
        conditions=("intact", *CHANGES),
        expects={"learner": "+", "lookalike": "+", "still": "0"},
        confirmatory=True,
    )
