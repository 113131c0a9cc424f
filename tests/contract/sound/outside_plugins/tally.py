"""Plays at random and keeps, for every last action and feedback, what paid next."""

from __future__ import annotations

import json
from pathlib import Path

import jax
import numpy as np

from mesascope.contracts import Family, Progress, TrainingSummary, ignore_progress
from mesascope.keys import derive_key

BATCH = 64


def recipe(family: Family, out, updates: int = 10, seed: int = 0, progress=ignore_progress) -> TrainingSummary:
    """Plays at random and keeps, for every last action and feedback, what paid next.

    Args:
        family: what is trained on.
        out: the folder for network.table.json.
        updates: batches of 64 lifetimes.
        seed: of all draws.
        progress: called after every update.
    """
    split, key = "seen" if family.bank_label else "fresh", jax.random.key(seed)
    paid = np.ones((family.choices + 1, 2, family.choices))
    for i in range(updates):
        own = derive_key(key, "update", i)
        tasks = family.get_split(split).draw(own, BATCH)
        state, percept = family.begin(own, tasks)
        for t in range(family.horizon):
            last, won = np.asarray(percept.action), (np.asarray(percept.feedback) > 0.5).astype(int)
            action = jax.random.randint(derive_key(own, "act", t), (BATCH,), 0, family.choices)
            state, percept, score = family.step(derive_key(own, "pay", t), tasks, state, action)
            np.add.at(paid, (last, won, np.asarray(action)), np.asarray(percept.feedback))
        progress(Progress(i + 1, updates, None, float(score.mean())))
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    path, trained_on = folder / "network.table.json", family.bank_label or "unlimited"
    table = (paid / paid.sum(-1, keepdims=True)).tolist()
    path.write_text(json.dumps({"family": family.name, "trained_on": trained_on, "table": table}))
    return TrainingSummary(path, family.name, trained_on, updates, updates * BATCH * family.horizon, 0.0)
