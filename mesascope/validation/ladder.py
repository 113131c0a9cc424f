"""Runs the instrument on every scripted subject with a known answer.

The truth was written before the placement rule, except for four labels, which its header names. The caller chooses the
seeds of a full run; the seeds in docs/validity.md have been used before.
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
from mesascope.questions.spectrum.carried import measure_carried
from mesascope.questions.spectrum.ladder import LADDER, Rule
from mesascope.questions.spectrum.placement import conditions
from mesascope.rollouts.leaks import refuse_leaks
from mesascope.rollouts.rollouts import BLOCK, rollout
from mesascope.stats import interval, ratio, standard_error
from mesascope.trials import gain
from mesascope.validation.axes import count_readings, list_calls, parse_line, truth_lines

TRUTH = Path(__file__).parent / "truth.toml"
CANNOT_ACQUIRE = ("inert", "reactive", "tracking")
STUDIES = {  # studies of contrasts with variance; the first three have no benefit
    "two_loss_reflex": "no benefit",
    "feedback_hash": "no benefit",
    "hash_commit": "no benefit",
    "epsilon_greedy": "a benefit",
}
GROUP = 40  # the largest number of cases that one process places in one run
COMMITTED = 400  # runs of the subject that commits to an arm, chosen by a hash of its feedback
BOUNDS = {"right": 0.97, "wrong": 0.005, "committed": 1, "coverage": (0.935, 0.965)}


class Reading(NamedTuple):
    """What one run read: the level, the interval of rungs, and the direction."""

    level: str
    lowest: str
    highest: str
    direction: str

    def text(self) -> str:
        """The level, or the interval of rungs if the level is undetermined."""
        return self.level if self.level != "undetermined" else f"{self.lowest}–{self.highest}"


class Case(NamedTuple):
    """One line of the truth: a scripted subject, its family, and the reading that is right."""

    name: str
    subject: str
    level: str
    direction: str
    demanded: bool
    family: str


def cases(path: Path = TRUTH, quick: bool = False) -> list[Case]:
    """The cases of the truth; with `quick` only those of the short validation."""
    return [Case(**parse_line(Case, row)) for row in truth_lines(path, quick)]


def read(case: Case, placement: Reading) -> str:
    """Whether a reading is right, undetermined (its interval contains the truth) or wrong."""
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
    folder: Path | None = None,
) -> dict[str, Any]:
    """Places every scripted subject of the truth in several runs and counts the readings.

    Args:
        quick: whether to use three seeds and to leave out the studies of coverage and of chance benefits.
        seeds: the number of runs per subject; 0 for 20 (quick: 3).
        first: the first seed.
        lifetimes: the number per split and run; 0 for 320 (quick: 128). Axes are read on 256 (quick: 128).
        progress: called with the share of the work that is done, and with a text that says what is running.
        workers: how many processes run in parallel; 0 for one per core. If there are several, the calling module must
            be importable without side effects.
        folder: a folder of finished answers, from which a stopped run continues (see `results_folder`). The caller
            must delete it.

    Raises:
        MesascopeError: there are fewer than three lifetimes.

    Returns:
        `confusion` {truth: {reading: count}}; the shares `right` (of the runs that demand a reading), `undetermined`
        and `wrong` (of all runs); `false_positives` (how many runs of subjects that cannot acquire have their lowest
        rung at 'locating' or above); `coverage`; `subjects`; the results of the `axes`; `missed` (the bounds that the
        instrument missed); and `holds` (whether it missed none).
    """
    if 0 < lifetimes < 3:
        raise MesascopeError(f"lifetimes={lifetimes} is out of range.", "Give at least 3, or 0 for the default.")
    seeds = seeds or (3 if quick else 20)
    lifetimes = lifetimes or (128 if quick else 320)
    case_list = cases(quick=quick)
    groups = [(group, seed) for seed in range(first, first + seeds) for group in _group_cases(case_list)]
    parts = {  # the longest first
        "studies": [(_measure_coverage, name, first) for name in ([] if quick else STUDIES)],
        "axes": list_calls(seeds, first, 128 if quick else 256, quick),
        "placements": [(_place_group, group, seed, lifetimes) for group, seed in groups],
    }
    answers = _collect(parts, progress, workers, folder)
    placements = list(_pair_placements(groups, answers["placements"]))
    confusion, verdicts, readings = (collections.defaultdict(Counter) for _ in range(3))
    for _, case, placement in placements:
        confusion[case.level][placement.level] += 1
        verdicts[case.name][read(case, placement)] += 1
        readings[case.name][placement.text()] += 1
    demanded = [verdicts[c.name] for c in case_list if c.demanded]
    cannot = [placement for _, case, placement in placements if case.level in CANNOT_ACQUIRE]
    runs = {"all": seeds * len(case_list), "demanded": seeds * len(demanded), "cannot acquire": len(cannot)}
    results: dict[str, Any] = {
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
            for seed, case, placement in placements
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
            for c in case_list
        ],
        "axes": count_readings(parts["axes"], answers["axes"], seeds),
    }
    if not quick:
        results["coverage"] = [row for rows, _ in answers["studies"] for row in rows]
        above = dict(zip(STUDIES, (above for _, above in answers["studies"]), strict=True))
        results["committed"] = {"runs": COMMITTED, "benefit": above["hash_commit"]}
    results["missed"] = missed_bounds(results, quick)
    results["holds"] = not results["missed"]
    return results


def results_folder(cache: Path, *settings: int) -> Path:
    """The folder for finished answers with these settings and this version of the code."""
    return cache / "-".join([fingerprint(Path(__file__).parents[1]), *(f"{s:d}" for s in settings)])


def _collect(
    parts: dict[str, list[tuple]], progress: Progress, workers: int, folder: Path | None
) -> dict[str, list[Any]]:
    """Computes the answers of all units in one pool of processes, and returns them by part."""
    units = [unit for part in parts.values() for unit in part]
    answers = spread(_run_unit, units, workers, folder)
    by_part: dict[str, list[Any]] = {}
    for name, part in parts.items():
        by_part[name] = []
        for _ in part:
            by_part[name].append(next(answers))
            done = sum(map(len, by_part.values()))
            progress(done / len(units), f"{name}, {done} of {len(units)}")
    return by_part


def _run_unit(work: Work, *unit: Any) -> Any:
    """Computes the answer of one unit."""
    return work(*unit)


def _pair_placements(
    groups: list[tuple[list[Case], int]], placements: list[list[Sequence[str]]]
) -> Iterator[tuple[int, Case, Reading]]:
    """The seed, the case and the reading of every run."""
    for (group, seed), readings in zip(groups, placements, strict=True):
        for case, reading in zip(group, readings, strict=True):
            yield seed, case, Reading(*reading)


def _group_cases(case_list: list[Case]) -> list[list[Case]]:
    """Groups cases that share tasks and reference procedures, the largest groups first."""
    by_family: dict[str, list[Case]] = {}
    for case in case_list:
        by_family.setdefault(case.family, []).append(case)
    groups = [cases[i : i + GROUP] for cases in by_family.values() for i in range(0, len(cases), GROUP)]
    return sorted(groups, key=len, reverse=True)


def _place_group(group: list[Case], seed: int, lifetimes: int) -> list[Reading]:
    """Places cases that share a family in one run, so that the reference procedures run once; returns the readings."""
    family = catalogue.make("families", group[0].family.format(seed=seed))
    splits = [split.name for split in family.splits() if split.counted]
    blocks = -(-lifetimes // BLOCK)
    # a remainder of blocks would need a second compilation
    together = next(n for n in (5, 4, 3, 2, 1) if not blocks % n)
    bench = Bench(family, conditions(family), splits, lifetimes, seed, together=together)
    readings = []
    for case in group:
        subject = open_subject(case.subject, family)
        placement = bench.place(subject, subject.trained_on)[2]
        assert placement is not None  # the fresh split is among the splits
        readings.append(Reading(placement.level, placement.lowest, placement.highest, placement.direction))
    return readings


def check_refusals(path: Path = TRUTH) -> dict[str, str]:
    """Why each subject that must be refused was refused; '' if it was not."""
    truth = tomllib.loads(path.read_text())
    family = catalogue.make("families", truth["defaults"]["family"])
    reasons = {}
    for name in truth.get("refused", {}):
        try:
            refuse_leaks(open_subject(name, family), family)
            reasons[name] = ""
        except MesascopeError as error:
            reasons[name] = error.problem
    return reasons


def _measure_coverage(
    name: str, first: int, studies: int = 2000, sizes: tuple[int, ...] = (64, 256), chunk: int = 8192
) -> tuple[list[dict[str, Any]], int | None]:
    """Measures how often intervals of each size cover, and how many of the first studies of 256 show a benefit.

    The true mean comes from all lifetimes of all studies, which are 2,000 times as many as in one study.
    """
    family = catalogue.make("families", "bernoulli_bandit:arms=5,trials=100")
    labels = [c for c in conditions(family.horizon) if c.startswith(("intact", "feedback_shuffled"))]
    shuffled = [catalogue.make("conditions", label) for label in labels]
    subject, parts, rule = open_subject(name, family), [], Rule()
    for j in range(studies * max(sizes) // chunk + 1):
        trials = rollout(subject, family, "fresh", chunk, first + j, conditions=shuffled, log_probs=False, together=16)
        intact, possible = gain(trials)
        shuffle = f"feedback_shuffled:older_than={rule.older_than}"
        parts.append(np.stack([intact, gains(trials, shuffle)[0], possible]))
    pool = np.concatenate(parts, axis=1)[:, : studies * max(sizes)]
    truth = (pool[0].sum() - pool[1].sum()) / pool[2].sum()
    coverage, above = [], None
    for n in sizes:
        rows = pool[:, : studies * n].reshape(3, studies, n)
        values = np.stack([ratio(rows[0, k], rows[2, k]) - ratio(rows[1, k], rows[2, k]) for k in range(studies)])
        intervals = interval(values)
        covered = (intervals.low <= truth) & (truth <= intervals.high)
        row = {"study": f"{name}, {STUDIES[name]}", "n": n, "studies": studies}
        coverage.append({**row, "covered": float(covered.mean()), "truth": float(truth)})
        if n == 256:
            error = np.asarray([standard_error(v) for v in values[:COMMITTED]])
            distance = np.abs(values[:COMMITTED].mean(-1)) - rule.smallest_benefit
            above = int((distance > rule.errors * error).sum())
    return coverage, above


def missed_bounds(results: dict[str, Any], quick: bool) -> list[str]:
    """Describes the bounds that were missed; with `quick`, only bounds that three seeds can test."""
    missed = []
    if results["false_positives"]:
        missed.append(
            f"{results['false_positives']} runs of subjects that cannot acquire were placed at locating or above"
        )
    missed += [f"{name} was not refused" for name, reason in results["refused"].items() if not reason]
    missed += [line for axis in results["axes"].values() for line in axis["missed"]]
    if results["wrong"] > BOUNDS["wrong"] and (not quick or len(results["wrong_runs"]) > 1):
        missed.append(f"{results['wrong']:.2%} of the runs are wrong, the bound is {BOUNDS['wrong']:.1%}")
    least = BOUNDS["right"] - (0.02 if quick else 0.0)
    if results["right"] < least:
        missed.append(f"{results['right']:.1%} of the runs that demand a reading are right, the bound is {least:.0%}")
    low, high = BOUNDS["coverage"]
    for c in results["coverage"]:
        if not low <= c["covered"] <= high:
            missed.append(
                f"{c['study']}, N = {c['n']}: intervals cover in {c['covered']:.2%}, not {low:.1%} to {high:.1%}"
            )
    if results["committed"] and results["committed"]["benefit"] > BOUNDS["committed"]:
        missed.append(f"hash_commit shows a benefit in {results['committed']['benefit']} of {COMMITTED} runs")
    return missed
