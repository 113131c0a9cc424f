"""How often is there no answer: refused, naming none or several of the labels, or none that came?"""

import numpy as np

from mesascope.contracts.metric import DoesNotApply, Reading, asks, fresh

CODES = {  # as mesascope.agents.language.answers numbers them
    1: "a label below the listed ones",
    2: "refused",
    3: "named none or several labels",
    4: "no answer came",
}


@asks("How often does it refuse, answer in no label, or not answer at all?")
def metric(trials, references, replay):
    """How often does it refuse, answer in no label, or not answer at all?"""
    lived = fresh(trials)
    if "answered" not in lived:
        raise DoesNotApply("it does not answer in words")
    code = lived.answered.sel(condition="intact").values
    out = [Reading((code == c).mean(-1), label=what) for c, what in CODES.items()]
    mass = lived.mass.sel(condition="intact").values.astype(float)
    if np.isfinite(mass).any():
        again = f"asked again, a log-probability moved by at most {lived.attrs.get('floor', 0.0):.3f}"
        out.append(Reading(np.nanmean(mass, -1), label="probability of all labels together", reason=again))
    return out
