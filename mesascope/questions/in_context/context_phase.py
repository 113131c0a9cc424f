"""Does it memorise, identify or acquire: does its error fall within a lifetime on seen tasks, and on fresh ones?

After Kirsch et al. (2022, arXiv 2212.04458), who tell the phases of training apart by whether predictions improve
within the sequence, on tasks of training and on others. Improvement is the error before anything was seen less the
error at the end, in units of chance's: positive where the error falls.
"""

import numpy as np

from mesascope.contracts.metric import Reading, asks
from mesascope.questions.in_context.predictions import possible_gain, splits_with_targets
from mesascope.stats import ratio, standard_error
from mesascope.trials import payoff

SPLITS = ("seen", "fresh")


@asks(
    "By how much does its error fall from the first trial to the last quarter (positive: it falls)?",
    splits=SPLITS,
)
def metric(trials, references, replay):
    """By how much does its error fall within a lifetime, on seen and on fresh tasks? Positive where it falls."""
    improved, born = {}, {}
    for split in SPLITS:
        lived = splits_with_targets(trials).get(split)
        if lived is None:
            continue
        missed, size = lived.best.values.astype(float) - payoff(lived), possible_gain(lived)
        last = slice(-max(lived.sizes["trial"] // 4, 1), None)
        end = ratio(missed[:, last].sum(-1), size[:, last].sum(-1))
        born[split] = ratio(missed[:, 0], size[:, 0])
        improved[split] = born[split] - end
    why, before = describe_phase(improved, born), "gain before anything was seen"
    out = [Reading(v, split, "fall of the error", reason=why) for split, v in improved.items()]
    return out + [Reading(1.0 - v, split, before) for split, v in born.items()]


def describe_phase(improved: dict[str, np.ndarray], born: dict[str, np.ndarray]) -> str:
    """The phase in words, each sign beyond two standard errors."""

    def rises(values: np.ndarray | None) -> bool:
        return values is not None and bool(values.mean() > 2 * standard_error(values))

    fresh, seen = improved.get("fresh"), improved.get("seen")
    if seen is None:
        return "improves on fresh tasks" if rises(fresh) else "does not improve on fresh tasks"
    if rises(fresh) and fresh is not None and fresh.mean() > 0.5 * seen.mean():
        return "acquires: it improves on fresh tasks as on seen ones"
    if rises(seen):
        return "identifies: it improves on seen tasks more than twice as much as on fresh ones"
    known = born.get("seen")
    if known is not None and rises(1.0 - known):
        return "memorises: it gains on seen tasks before anything was seen, and improves on none"
    return "neither: it improves on no task"
