"""How far are the subject's predictions from every reference procedure's, along the subject's lifetimes?"""

from mesascope.contracts import Reading, define_metric, find_family, get_split_kind
from mesascope.questions.in_context import predictions


@define_metric(
    "How far are the subject's predictions from those of each procedure (chance errors, or total variation)?",
    splits=predictions.SPLITS,
)
def metric(trials, references, replay):
    """How far are the subject's predictions from each procedure's? A match must also hold on shifted inputs."""
    rows, nearest = [], {}
    for split, rollout in predictions.select_splits_with_targets(trials).items():
        if get_split_kind(split) not in predictions.SPLITS:
            continue
        own = predictions.find_predictions(rollout, replay)
        others = predictions.predict_with_procedures(find_family(replay, rollout), replay, rollout)
        distances = {name: predictions.measure_distance(own, other, rollout) for name, other in others.items()}
        nearest[split] = min(distances, key=lambda name: distances[name].mean())
        rows += [(split, name, values) for name, values in distances.items()]
    verdict = _describe_nearest(nearest)
    reasons = {(split, name): verdict for split, name in nearest.items()}
    return [Reading(v, split, name, reason=reasons.get((split, name), "")) for split, name, v in rows]


def _describe_nearest(nearest_procedures: dict[str, str]) -> str:
    """Describes which procedure is nearest on fresh tasks, and whether the same one is nearest on shifted inputs.

    If fresh tasks were not run, the first split takes their place. `nearest_procedures` maps splits to procedures.
    """
    first = nearest_procedures.get("fresh", next(iter(nearest_procedures.values())))
    other = {split: name for split, name in nearest_procedures.items() if split.startswith("shifted") and name != first}
    if not any(split.startswith("shifted") for split in nearest_procedures):
        return f"nearest: {first}; no match, because no shifted split was run"
    if not other:
        return f"nearest: {first}, on shifted inputs too"
    others = ", ".join(f"{name} on {split}" for split, name in other.items())
    return f"nearest: {first}, but no match: {others}"
