"""Small examinations, lived by NumPy subjects that act on wins and losses per arm alone; and logs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr

from mesascope import catalogue
from mesascope.examination.examination import Examination
from mesascope.examination.measurement import apply_metrics
from mesascope.questions.spectrum.placement import place

K, T, N = 3, 12, 64
BANK = np.array([[0.9, 0.2, 0.1], [0.1, 0.2, 0.8], [0.2, 0.1, 0.7]])
FAMILY = "bernoulli_bandit:arms=3,trials=12,bank=3,bank_seed=1"
AXES = ("condition", "lifetime", "trial")
METRICS = (
    "adaptation",
    "benefit",
    "cost_of_reset",
    "deletion",
    "dependence_on_carry",
    "dependence_on_percept",
    "locate_or_learn",
    "memory_span",
    "performance",
    "share_of_reference",
    "transplant",
)
SHUFFLED = ["feedback_shuffled:older_than=2,replicate=0"]
DELETED = [f"past_deleted:window={w},birth={b}" for w in (1, 2, 4, 5, 6, 8) for b in (0, 1)]
DELETED += [f"past_deleted_once:window={w},birth={b}" for w in (1, 2) for b in (0, 1)]
MOVED = [f"past_transplanted_once:window=2,replicate={r}" for r in (0, 1)]
ONE_STEP = [f"carry_exchanged_once:fresh={i}" for i in (0, 1)]
ONE_STEP += [f"percept_exchanged_once:action={i}" for i in (0, 1)]
CONDITIONS = ["intact", *SHUFFLED, *DELETED, *MOVED, "carry_reset", "carry_reset:trial=6", *ONE_STEP]
Policy = Callable[[np.ndarray, np.ndarray], np.ndarray]


def learner(wins: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """Probabilities [N, K] by the posterior mean of each arm."""
    odds = np.exp(9 * (1 + wins) / (2 + wins + losses))
    return odds / odds.sum(-1, keepdims=True)


def locator(wins: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """Probabilities [N, K] that an arm is the best one of the bank's task."""
    fit = np.exp(wins @ np.log(BANK).T + losses @ np.log(1 - BANK).T)
    share = fit / fit.sum(-1, keepdims=True) @ np.eye(K)[BANK.argmax(-1)]
    return 0.97 * share + 0.01


def still(wins: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """Always the same."""
    return np.full_like(wins, 1 / K, dtype=float)


def tasks(split: str, seed: int) -> np.ndarray:
    """Means [N, K]."""
    rng = np.random.default_rng([seed, *split.encode()])
    if split == "seen":
        return BANK[rng.integers(0, len(BANK), N)]
    return rng.random((N, K)) * (0.3 if split == "shifted:low" else 1.0)


def lived(policy: Policy, name: str, split: str, labels: list[str], seed: int = 0) -> xr.Dataset:
    """One split: every condition on the same tasks with the same draws."""
    trials = T * (2 if split == "horizon:longer" else 1)
    means = tasks(split, seed)
    rng = np.random.default_rng(seed)
    draws, pays = rng.random((N, trials)), rng.random((N, trials))
    data = {k: [] for k in ("action", "feedback", "score", "log_probs", "partner")}
    intact = None
    for label in labels:
        row = _life(policy, label, means, draws, pays, intact)
        intact = intact or row
        for key, value in zip(data, row, strict=True):
            data[key].append(value)
    flat = {k: np.repeat(v[:, None], trials, 1) for k, v in _latents(means, split).items()}
    moved = _shown_of_donors(means, {c: i for i, c in enumerate(labels) if c in MOVED}, data)
    return xr.Dataset(
        {k: ((*AXES, "choice")[: 3 + (k == "log_probs")], np.stack(v)) for k, v in data.items()}
        | {k: (("transplant", *AXES[1:], "rank")[: v.ndim], v) for k, v in moved.items()}
        | {k: (("lifetime", "trial", "choice")[: v.ndim], v.astype(np.float32)) for k, v in flat.items()},
        coords={"condition": labels} | ({"transplant": MOVED} if moved else {}),
        attrs={
            "format": "mesascope-trials/2",
            "family": FAMILY,
            "split": split,
            "subject": name,
            "fingerprint": {},
            "seed": seed,
            "changes": None,
        },
    )


def _shown_of_donors(means: np.ndarray, at: dict[str, int], data) -> dict[str, np.ndarray]:
    """What acts with another lifetime's past are worth on its task, beyond the other tasks; nothing without them."""
    rows = []
    for i in at.values():
        act, donor = data["action"][i], data["partner"][i].astype(int)
        worth = (means - means.mean(-1, keepdims=True))[:, act].transpose(1, 2, 0)  # [N, T, M]
        there = np.take_along_axis(worth, donor[..., None], -1)[..., 0]
        gain = there - worth.mean(-1)
        room = np.broadcast_to((means.max(-1) - means.mean(-1))[donor], gain.shape)
        ranks = np.argsort(-means, -1)[donor]
        rows.append((gain, room, gain, gain, room, ranks))
    names = ("gain", "room", "strict", "strict_all", "strict_room", "ranks")
    return {f"donor_{k}": np.stack([r[j] for r in rows]) for j, k in enumerate(names)} if rows else {}


def _latents(means: np.ndarray, split: str) -> dict[str, np.ndarray]:
    fixed = means[:, BANK.mean(0).argmax()] if split == "seen" else means.mean(-1)
    return {"means": means, "chance": means.mean(-1), "best": means.max(-1), "worst": means.min(-1), "fixed": fixed}


def _life(policy: Policy, label: str, means, draws, pays, intact):
    """Action, feedback, score, log-probabilities and partner of one condition."""
    kind, _, rest = label.partition(":")
    told = {k: int(v) for k, v in (pair.split("=") for pair in rest.split(",") if pair)}
    once = kind.endswith("once")
    trials, rows, other = draws.shape[1], np.arange(N), (np.arange(N) + 1 + told.get("replicate", 0)) % N
    arm, won = np.zeros((N, trials), np.int16), np.zeros((N, trials), np.float32)
    logs = np.zeros((N, trials, K), np.float32)
    for t in range(trials):
        past, paid = (intact[0].copy(), intact[1].copy()) if once else (arm.copy(), won.copy())
        start = t - 1 if (kind == "carry_reset" and not told) or told.get("fresh") == 1 else 0
        start = max(start, told["trial"]) if kind == "carry_reset" and told and t >= told["trial"] else max(start, 0)
        if kind == "feedback_shuffled":
            old = max(t - told["older_than"], 0)
            paid[:, :old] = intact[1][other, :old]
        if kind == "percept_exchanged_once" and t:
            paid[:, t - 1] = 1 - paid[:, t - 1] if told["action"] == 0 else paid[:, t - 1]
            past[:, t - 1] = (past[:, t - 1] + told["action"]) % K
        if kind.startswith("past_deleted"):
            start = max(t - told["window"], 0)
        if kind == "past_transplanted_once":
            old = max(t - told["window"], 0)
            past[:, :old], paid[:, :old] = past[other, :old], paid[other, :old]
        if told.get("fresh") == 0 and t:
            past[:, : t - 1], paid[:, : t - 1] = past[other, : t - 1], paid[other, : t - 1]
        chosen = np.eye(K)[past[:, start:t]]
        wins = (chosen * paid[:, start:t, None]).sum(1)
        odds = policy(wins, chosen.sum(1) - wins)
        arm[:, t] = np.minimum((odds.cumsum(-1) < draws[:, t, None]).sum(-1), K - 1)
        won[:, t] = pays[:, t] < means[rows, arm[:, t]]
        logs[:, t] = np.log(odds)
    score = means[rows[:, None], arm].astype(np.float32)
    partner = np.repeat(other[:, None], trials, 1).astype(np.int16)
    blank = np.float32(np.nan)
    judged = not once or kind.startswith("past_")
    return arm, np.where(once, blank, won), np.where(judged, score, blank), logs, partner


def examined(policy: Policy, name: str, trained_on: str, splits: tuple[str, ...]) -> Examination:
    """What the metrics and the rule find of one subject; no reference is drawn on more than it needs."""
    trials = {r: lived(policy, name, r, CONDITIONS if r == "fresh" else ["intact"]) for r in splits}
    trials = {r: d.assign_attrs(trained_on=trained_on) for r, d in trials.items()}
    who = {"learner": (learner, splits), "locator": (locator, ("seen", "fresh")), "strongest": (learner, ("fresh",))}
    references = {
        role: {r: lived(p, f"known {role}", r, ["intact"]) for r in on if r in splits} for role, (p, on) in who.items()
    }
    metrics = [catalogue.make("metrics", p) for p in METRICS]
    idle = {r: lived(still, "still", r, CONDITIONS if r == "fresh" else ["intact"]) for r in splits}
    controls = {"still": apply_metrics(metrics, idle, references)}
    findings = apply_metrics(metrics, trials, references, None, controls)
    return Examination(name, FAMILY, trained_on, trials, references, findings, place(trials, references, trained_on))


def log(name: str = "people.csv", lifetimes: int = 7, trials: int = 11, seed: int = 0) -> Examination:
    """A log with actions and feedback only: unequal lengths, two lifetimes per participant."""
    rng = np.random.default_rng(seed)
    action = rng.integers(0, 3, (1, lifetimes, trials)).astype(np.int16)
    feedback = rng.choice([-5.0, 0.0, 10.0], (1, lifetimes, trials)).astype(np.float32)
    for i in range(1, lifetimes):
        action[0, i, trials - i :], feedback[0, i, trials - i :] = -1, np.nan
    names = {"family": "log", "split": "logged", "subject": name, "unit": "participant"}
    made = xr.Dataset(
        {"action": (AXES, action), "feedback": (AXES, feedback)},
        coords={"condition": ["intact"], "participant": ("lifetime", np.arange(lifetimes) // 2)},
        attrs={"format": "mesascope-trials/2", **names},
    )
    metrics = [catalogue.make("metrics", p) for p in catalogue.list_names("metrics")]
    return Examination(name, "log", "unknown", {"logged": made}, {}, apply_metrics(metrics, {"logged": made}), None)
