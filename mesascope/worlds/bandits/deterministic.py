"""The exact optimum where pay-offs do not scatter and the tasks are equally likely: search over what may still be."""

import functools

import numpy as np


def optimum(tables: np.ndarray, barred: tuple[int, ...] = ()) -> float:
    """The expected total pay-off of the best adaptive policy that knows the list of tasks and not which one it is.

    Every pay-off that is seen leaves the tasks that would have paid it; the value of a set of tasks at a trial is
    found once (Bellman's equation over sets).

    Args:
        tables: [H, T, K] what each of H equally likely tasks pays.
        barred: actions that the policy may not take.
    """
    tables = np.asarray(tables, float)
    everything, trials, choices = tables.shape
    bits = [1 << h for h in range(everything)]
    allowed = [k for k in range(choices) if k not in barred]
    _, codes = np.unique(tables.round(9), return_inverse=True)
    codes = codes.reshape(tables.shape)

    @functools.cache
    def value(trial: int, left: int) -> float:
        if trial == trials:
            return 0.0
        held = [h for h in range(everything) if left & bits[h]]
        best = -np.inf
        for action in allowed:
            after: dict[int, int] = {}
            for h in held:
                code = int(codes[h, trial, action])
                after[code] = after.get(code, 0) | bits[h]
            later = sum(mask.bit_count() * value(trial + 1, mask) for mask in after.values())
            now = tables[held, trial, action].sum()
            best = max(best, (now + later) / len(held))
        return best

    return value(0, sum(bits))
