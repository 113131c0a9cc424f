"""Runs the instrument over every scripted subject whose answer is known.

The truth was written down before the placement rule was, but for four labels that its header names; the seeds of a
full run are for the caller to choose: those that docs/validity.md names were used.
"""

import collections
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mesascope import catalogue
from mesascope.agents.opening import open_subject
from mesascope.contracts.metric import gains
from mesascope.errors import MesascopeError
from mesascope.examination.bench import Bench, Progress
from mesascope.execution import Work, fingerprint, spread
from mesascope.questions.spectrum.placement import LADDER, Rule, conditions
from mesascope.rollouts.leaks import refuse_leaks
from mesascope.rollouts.rollouts import BLOCK, rollout
from mesascope.stats import interval, ratio, standard_error
from mesascope.trials import gain
from mesascope.validation.axes import count_readings, list_calls, parse_line, truth_lines

TRUTH = Path(__file__).parent / "truth.toml"
CANNOT_ACQUIRE = ("inert", "reactive", "tracking")
STUDIES = {  # contrasts that vary; the first three are null
    "two_loss_reflex": "no benefit",
    "feedback_hash": "no benefit",
    "hash_commit": "no benefit",
    "epsilon_greedy": "a benefit",
}
GROUP = 40  # cases that one process places in one run
COMMITTED = 400  # runs of the subject that commits to an arm hashed from its feedback
BOUNDS = {"right": 0.97, "wrong": 0.005, "committed": 1, "coverage": (0.935, 0.965)}


class Reading(NamedTuple):
    """What one run read: the level, the interval that it comes from, and the direction."""

    level: str
    lowest: str
    highest: str
    direction: str

    def text(self) -> str:
        """The level, or the interval where it is undetermined."""
        return self.level if self.level != "undetermined" else f"{self.lowest}–{self.highest}"


class Case(NamedTuple):
    """One line of the truth."""

    name: str
    subject: str
    level: str
    direction: str
    demanded: bool
    family: str


def cases(path: Path = TRUTH, quick: bool = False) -> list[Case]:
    """The lines of the truth; with quick those that the short validation reads."""
    return [Case(**parse_line(Case, row)) for row in truth_lines(path, quick)]


def read(case: Case, placement: Reading) -> str:
    """Whether a reading is right, undetermined (its interval holds the truth) or wrong."""
    low, high, truth = (LADDER.index(x) for x in (placement.lowest, placement.highest, case.level))
    if not low <= truth <= high or placement.direction not in ("none", case.direction):
        return "wrong"
    return "right" if low == high else "undetermined"


def validate(
    quick: bool = False,
    seeds: int = 0,
    first: int = 1000,
    lifetimes: int = 0,
    progress: Progress = lambda share, doing: None,
    *,
    workers: int = 1,
    kept: Path | None = None,
) -> dict[str, Any]:
    """Places every scripted subject of the truth in several runs and counts the readings.

    Args:
        quick: three seeds, and no studies of coverage and of chance benefits.
        seeds: runs per subject, 20 (quick: 3) where 0.
        first: the first seed.
        lifetimes: per split and run, 320 (quick: 128) where 0; axes are read on 256 (quick: 128).
        progress: called with the share that is done and what is being done.
        workers: processes side by side, 0 for one per core; not 1 only from a module that may be imported without
            doing anything.
        kept: a folder from which a stopped run goes on, as `folder` names it; whoever has the answer removes it.

    Raises:
        MesascopeError: fewer than three lifetimes.

    Returns:
        `confusion` {truth: {reading: count}}, the shares `right` (over the subjects that demand a reading),
        `undetermined` and `wrong` (over all), `false_positives` (lowest end at 'locating' or above for a subject
        that cannot acquire), `coverage`, `subjects`, the same of the `axes`, whether it `holds` and which bounds it
        `missed`.
    """
    if 0 < lifetimes < 3:
        raise MesascopeError(
            f"lifetimes={lifetimes} is out of range.", "Give at least 3, or 0 for the default."
        )
    seeds = seeds or (3 if quick else 20)
    lifetimes = lifetimes or (128 if quick else 320)
    known = cases(quick=quick)
    groups = [(group, seed) for seed in range(first, first + seeds) for group in _grouped(known)]
    parts = {  # the longest first
        "studies": [(_study, name, first) for name in ([] if quick else STUDIES)],
        "axes": list_calls(seeds, first, 128 if quick else 256, quick),
        "placements": [(_placed, group, seed, lifetimes) for group, seed in groups],
    }
    answers = _answers(parts, progress, workers, kept)
    placed = list(_placements(groups, answers["placements"]))
    confusion, verdicts, readings = (collections.defaultdict(Counter) for _ in range(3))
    for _, case, placement in placed:
        confusion[case.level][placement.level] += 1
        verdicts[case.name][read(case, placement)] += 1
        readings[case.name][placement.text()] += 1
    demanded = [verdicts[c.name] for c in known if c.demanded]
    cannot = [placement for _, case, placement in placed if case.level in CANNOT_ACQUIRE]
    runs = {"all": seeds * len(known), "demanded": seeds * len(demanded), "cannot acquire": len(cannot)}
    found: dict[str, Any] = {
        "confusion": {level: dict(confusion[level]) for level in LADDER if level in confusion},
        "right": sum(v["right"] for v in demanded) / runs["demanded"],
        "undetermined": sum(v["undetermined"] for v in verdicts.values()) / runs["all"],
        "wrong": sum(v["wrong"] for v in verdicts.values()) / runs["all"],
        "false_positives": sum(LADDER.index(p.lowest) >= LADDER.index("locating") for p in cannot),
        "runs": runs,
        "seeds": {"first": first, "count": seeds},
        "lifetimes": lifetimes,
        "refused": check_refusals(),
        "coverage": [],
        "committed": None,
        "wrong_runs": [
            {"subject": case.name, "seed": seed, "truth": case.level, "reading": placement.text()}
            for seed, case, placement in placed
            if read(case, placement) == "wrong"
        ],
        "subjects": [
            {
                "subject": c.name,
                "truth": c.level,
                "demanded": c.demanded,
                "readings": dict(readings[c.name]),
                **{v: verdicts[c.name][v] for v in ("right", "undetermined", "wrong")},
            }
            for c in known
        ],
        "axes": count_readings(parts["axes"], answers["axes"], seeds),
    }
    if not quick:
        found["coverage"] = [row for rows, _ in answers["studies"] for row in rows]
        above = dict(zip(STUDIES, (above for _, above in answers["studies"]), strict=True))
        found["committed"] = {"runs": COMMITTED, "benefit": above["hash_commit"]}
    found["missed"] = missed_bounds(found, quick)
    found["holds"] = not found["missed"]
    return found


def results_folder(cache: Path, *settings: int) -> Path:
    """Where a run with these settings of this code keeps what is finished: what other code computed is not used."""
    return cache / "-".join([fingerprint(Path(__file__).parents[1]), *(f"{s:d}" for s in settings)])


def _answers(
    parts: dict[str, list[tuple]], progress: Progress, workers: int, kept: Path | None
) -> dict[str, list[Any]]:
    """What every unit of every part gives, from one row of processes."""
    units = [unit for part in parts.values() for unit in part]
    given = spread(_answer, units, workers, kept)
    out: dict[str, list[Any]] = {}
    for name, part in parts.items():
        out[name] = []
        for _ in part:
            out[name].append(next(given))
            done = sum(map(len, out.values()))
            progress(done / len(units), f"{name}, {done} of {len(units)}")
    return out


def _answer(work: Work, *unit: Any) -> Any:
    """What one unit gives."""
    return work(*unit)


def _placements(
    groups: list[tuple[list[Case], int]], placed: list[list[Sequence[str]]]
) -> Iterator[tuple[int, Case, Reading]]:
    """Every case in every run."""
    for (group, seed), told in zip(groups, placed, strict=True):
        for case, reading in zip(group, told, strict=True):
            yield seed, case, Reading(*reading)


def _grouped(known: list[Case]) -> list[list[Case]]:
    """Cases that share tasks and reference procedures, in groups that are not too unequal."""
    by_family: dict[str, list[Case]] = {}
    for case in known:
        by_family.setdefault(case.family, []).append(case)
    cut = [cases[i : i + GROUP] for cases in by_family.values() for i in range(0, len(cases), GROUP)]
    return sorted(cut, key=len, reverse=True)


def _placed(group: list[Case], seed: int, lifetimes: int) -> list[Reading]:
    """The readings of cases that share a family in one run; the reference procedures are lived once."""
    family = catalogue.make("families", group[0].family.format(seed=seed))
    splits = [split.name for split in family.splits() if split.counted]
    blocks = -(-lifetimes // BLOCK)
    together = next(n for n in (5, 4, 3, 2, 1) if not blocks % n)  # blocks left over would be compiled apart
    bench = Bench(family, conditions(family.horizon), splits, lifetimes, seed, together=together)
    out = []
    for case in group:
        subject = open_subject(case.subject, family)
        placement = bench.place(subject, subject.trained_on)[2]
        assert placement is not None  # the fresh split is among the splits
        out.append(Reading(placement.level, placement.lowest, placement.highest, placement.direction))
    return out


def check_refusals(path: Path = TRUTH) -> dict[str, str]:
    """Why each subject that must be refused was, '' where it was not."""
    told = tomllib.loads(path.read_text())
    family = catalogue.make("families", told["defaults"]["family"])
    out = {}
    for name in told.get("refused", {}):
        try:
            refuse_leaks(open_subject(name, family), family)
            out[name] = ""
        except MesascopeError as why:
            out[name] = why.problem
    return out


def _study(
    name: str, first: int, many: int = 2000, sizes: tuple[int, ...] = (64, 256), chunk: int = 8192
) -> tuple[list[dict[str, Any]], int | None]:
    """Coverage of one subject's intervals by size, and how many of the first studies of 256 show a benefit.

    The mean is that over all lifetimes of all studies of the subject, 2,000 times as many as one study has.
    """
    family = catalogue.make("families", "bernoulli_bandit:arms=5,trials=100")
    needed = [c for c in conditions(family.horizon) if c.startswith(("intact", "feedback_shuffled"))]
    shuffled = [catalogue.make("conditions", label) for label in needed]
    subject, parts, rule = open_subject(name, family), [], Rule()
    for j in range(many * max(sizes) // chunk + 1):
        lived = rollout(
            subject, family, "fresh", chunk, first + j, conditions=shuffled, log_probs=False, together=16
        )
        intact, room = gain(lived)
        shuffle = f"feedback_shuffled:older_than={rule.older_than}"
        parts.append(np.stack([intact, gains(lived, shuffle)[0], room]))
    pool = np.concatenate(parts, axis=1)[:, : many * max(sizes)]
    truth = (pool[0].sum() - pool[1].sum()) / pool[2].sum()
    coverage, above = [], None
    for n in sizes:
        rows = pool[:, : many * n].reshape(3, many, n)
        values = np.stack(
            [ratio(rows[0, k], rows[2, k]) - ratio(rows[1, k], rows[2, k]) for k in range(many)]
        )
        got = interval(values)
        held = (got.low <= truth) & (truth <= got.high)
        told = {"study": f"{name}, {STUDIES[name]}", "n": n, "studies": many}
        coverage.append({**told, "covered": float(held.mean()), "truth": float(truth)})
        if n == 256:
            error = np.asarray([standard_error(v) for v in values[:COMMITTED]])
            away = np.abs(values[:COMMITTED].mean(-1)) - rule.smallest_benefit
            above = int((away > rule.errors * error).sum())
    return coverage, above


def missed_bounds(found: dict[str, Any], quick: bool) -> list[str]:
    """The bounds that were missed, in words; with three seeds only those that so few can show."""
    out = []
    if found["false_positives"]:
        out.append(
            f"{found['false_positives']} runs of subjects that cannot acquire were placed at locating or above"
        )
    out += [f"{name} was not refused" for name, why in found["refused"].items() if not why]
    out += [line for told in found["axes"].values() for line in told["missed"]]
    if found["wrong"] > BOUNDS["wrong"] and (not quick or len(found["wrong_runs"]) > 1):
        out.append(f"{found['wrong']:.2%} of the runs are wrong, the bound is {BOUNDS['wrong']:.1%}")
    least = BOUNDS["right"] - (0.02 if quick else 0.0)
    if found["right"] < least:
        out.append(
            f"{found['right']:.1%} of the runs that demand a reading are right, the bound is {least:.0%}"
        )
    low, high = BOUNDS["coverage"]
    for c in found["coverage"]:
        if not low <= c["covered"] <= high:
            out.append(
                f"{c['study']}, N = {c['n']}: intervals cover in {c['covered']:.2%}, not {low:.1%} to {high:.1%}"
            )
    if found["committed"] and found["committed"]["benefit"] > BOUNDS["committed"]:
        out.append(f"hash_commit shows a benefit in {found['committed']['benefit']} of {COMMITTED} runs")
    return out
