"""How far are its predictions from those of every reference procedure, along its own lifetimes?"""

from mesascope.contracts.metric import Reading, asks, family_of
from mesascope.questions.in_context.predictions import (
    KINDS,
    prediction_distance,
    predictions_of,
    procedures,
    splits_with_targets,
)


@asks("How far are its predictions from a procedure's (1: as chance errs; or total variation)?", splits=KINDS)
def metric(trials, references, replay):
    """How far are its predictions from each procedure's? A match counts only if it holds on shifted inputs."""
    out, nearest = [], {}
    for split, lived in splits_with_targets(trials).items():
        if split.partition(":")[0] not in KINDS:
            continue
        own = predictions_of(lived, replay)
        found = procedures(family_of(replay, lived), replay, lived)
        away = {name: prediction_distance(own, other, lived) for name, other in found.items()}
        nearest[split] = min(away, key=lambda name: away[name].mean())
        out += [(split, name, values) for name, values in away.items()]
    told_of = _verdict(nearest)
    why = {(split, name): told_of for split, name in nearest.items()}
    return [Reading(v, split, name, reason=why.get((split, name), "")) for split, name, v in out]


def _verdict(nearest: dict[str, str]) -> str:
    """Which procedure is nearest on fresh tasks, and whether that holds on shifted inputs."""
    first = nearest.get("fresh", next(iter(nearest.values())))
    other = {split: name for split, name in nearest.items() if split.startswith("shifted") and name != first}
    if not any(split.startswith("shifted") for split in nearest):
        return f"nearest: {first}; no match, for no shifted split was run"
    if not other:
        return f"nearest: {first}, on shifted inputs too"
    others = ", ".join(f"{name} on {split}" for split, name in other.items())
    return f"nearest: {first}, but no match: {others}"
