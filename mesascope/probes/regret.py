"""How much pay-off does it miss over a lifetime, and how much more than reference procedures on the same tasks?"""

from __future__ import annotations

from mesascope.probes import DoesNotApply, Probe, Reading
from mesascope.trials import payoff


def probe() -> Probe:
    """How much pay-off does it miss over a lifetime, and how much more than each reference procedure?"""

    def measure(trials, references, replay):
        if "fresh" not in trials or "best" not in trials["fresh"]:
            raise DoesNotApply("the best pay-off is not known")
        lived = trials["fresh"]
        missed = (lived.best.values - payoff(lived)).sum(-1)
        out = [
            Reading(missed, label="against the best arm"),
            Reading((lived.fixed.values - payoff(lived)).sum(-1), label="against the best policy that cannot adapt"),
        ]
        for role, rings in references.items():
            if "fresh" in rings and rings["fresh"].sizes["lifetime"] == len(missed):
                other = rings["fresh"]
                out.append(Reading((payoff(other) - payoff(lived)).sum(-1), label=f"against {other.attrs['subject']}"))
        return out

    return Probe(
        name="regret",
        question="How much expected pay-off does it miss over a lifetime, in units of one trial's pay-off?",
        measure=measure,
        references=("learner", "strongest"),
        expects={"learner": "any", "lookalike": "any", "still": "any"},
    )
