"""The exact optimum for deterministic pay-offs and equally likely tasks, found by search over the possible tasks."""

import functools

import numpy as np


def find_optimum(tables: np.ndarray, forbidden: tuple[int, ...] = ()) -> float:
    """The expected total pay-off of the best adaptive policy that knows the list of tasks but not the current task.

    Each observed pay-off rules out the tasks that would have paid something else. The search computes the value of
    each set of possible tasks on each trial once (Bellman's equation over sets of tasks).

    Args:
        tables: [H, T, K] the pay-offs of H equally likely tasks.
        forbidden: actions that the policy may not take.
    """
    tables = np.asarray(tables, float)
    tasks, trials, choices = tables.shape
    bits = [1 << h for h in range(tasks)]
    allowed = [k for k in range(choices) if k not in forbidden]
    _, codes = np.unique(tables.round(9), return_inverse=True)
    codes = codes.reshape(tables.shape)

    @functools.cache
    def value(trial: int, possible: int) -> float:
        if trial == trials:
            return 0.0
        indices = [h for h in range(tasks) if possible & bits[h]]
        best = -np.inf
        for action in allowed:
            remaining: dict[int, int] = {}  # pay-off code: mask of the tasks that pay it
            for h in indices:
                code = int(codes[h, trial, action])
                remaining[code] = remaining.get(code, 0) | bits[h]
            future = sum(mask.bit_count() * value(trial + 1, mask) for mask in remaining.values())
            present = tables[indices, trial, action].sum()
            best = max(best, (present + future) / len(indices))
        return best

    return value(0, sum(bits))
