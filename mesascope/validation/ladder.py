"""Places every scripted subject whose level is known, and compares the readings with the truth.

The truth was written before the placement rule, except for the labels that the header of its file names. The caller
chooses the seeds of a full run; the seeds in docs/validity.md have been used before.
"""

import math
import operator
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mesascope import catalogue
from mesascope.agents.opening import open_subject
from mesascope.errors import MesascopeError, require_known_name
from mesascope.examination.bench import ProgressFunction, RolloutCache
from mesascope.execution import run_units, select_shard
from mesascope.execution.folders import Plan, claim_folder, list_running, read_claim, release_folder
from mesascope.execution.results import load_answers
from mesascope.files import hash_folder
from mesascope.questions.spectrum.ladder import LADDER
from mesascope.questions.spectrum.placement import list_conditions
from mesascope.rollouts.leaks import refuse_leaks
from mesascope.rollouts.rollouts import BLOCK_SIZE
from mesascope.validation.axes import count_readings, list_calls, read_truth, select_case_fields
from mesascope.validation.coverage import Study, count_covered
from mesascope.validation.coverage import list_calls as list_coverage_calls

TRUTH_PATH = Path(__file__).parent / "truth.toml"
# written from the definitions of the rungs alone, by an author who had not seen the rule
HOSTILE_TRUTH_PATH = Path(__file__).parent / "hostile.toml"
NON_ACQUIRING_LEVELS = ("inert", "reactive", "tracking")
VALIDATION_PARTS = ("placements", "axes", "coverage")
MAX_CASES = 40  # the largest number of cases that one process places in one run
# 'right': smallest share of subjects that are read correctly, which means in at least the share 'runs' of their runs.
# 'wrong': largest share of runs with a wrong reading. 'false' and 'perhaps': largest share of runs of subjects that
# cannot acquire whose lowest or highest rung is above 'tracking'. 'covered': smallest share of studies whose interval
# covers the truth. 'null': largest share of studies of a null effect whose low end is above the truth.
BOUNDS = {"right": 0.97, "wrong": 0.005, "runs": 0.95, "false": 0.002, "perhaps": 0.05, "covered": 0.93, "null": 0.025}


class Reading(NamedTuple):
    """The result of one run: the level, the interval of rungs, and the direction."""

    level: str
    lowest: str
    highest: str
    direction: str

    def describe(self) -> str:
        """Describes the level, or the interval of rungs if the level is undetermined."""
        return self.level if self.level != "undetermined" else f"{self.lowest}–{self.highest}"


class Case(NamedTuple):
    """One entry of the truth: a scripted subject, its family, and its correct reading.

    A case is `is_demanded` if validation requires the correct reading. A case is `is_disputed`, and not counted, if
    experts could differ about its truth.
    """

    name: str
    subject: str
    level: str
    direction: str
    is_demanded: bool
    family: str
    is_disputed: bool = False


def list_cases(quick: bool = False, paths: Sequence[Path] = (TRUTH_PATH, HOSTILE_TRUTH_PATH)) -> list[Case]:
    """Lists the cases of the truth; with `quick`, only those of the short validation."""
    return [Case(**select_case_fields(Case, row)) for path in paths for row in read_truth(path, quick)]


def classify_placement(case: Case, reading: Reading) -> str:
    """Classifies a reading as 'right', 'undetermined' (its interval contains the truth) or 'wrong'.

    A reading with another direction than the case, other than 'none', is also 'wrong'.
    """
    low, high, truth = (LADDER.index(x) for x in (reading.lowest, reading.highest, case.level))
    if not low <= truth <= high or reading.direction not in ("none", case.direction):
        return "wrong"
    return "right" if low == high else "undetermined"


def validate(
    quick: bool = False,
    seeds: int = 0,
    first_seed: int = 1000,
    lifetimes: int = 0,
    progress: ProgressFunction = lambda share, doing: None,
    *,
    parts: Sequence[str] = VALIDATION_PARTS,
    workers: int = 1,
    folder: Path | None = None,
    engine: str = "local",
    shard: str = "",
) -> dict[str, Any] | None:
    """Places every scripted subject of the truth in several runs and counts the readings.

    Args:
        quick: whether to run the short validation: fewer subjects, seeds and lifetimes, and no studies of coverage.
        seeds: the number of runs per subject; 0 for 20, or 3 with `quick`.
        first_seed: the seed of the first run; each further run takes the next seed.
        lifetimes: the number of lifetimes per split and run; 0 for 320, or 128 with `quick`. Axes always use 256, or
            128 with `quick`.
        progress: a function that is called with the share of the work that is done, and with a text that says what is
            running.
        parts: what to validate: 'placements' (levels), 'axes' (search and goal), 'coverage' (of intervals).
        workers: the number of parallel processes of the local engine; 0 for one per core, at most four.
        folder: a folder for finished results, with which a stopped run continues; None to save nothing. The folder
            belongs to one set of settings and one version of the code.
        engine: 'local', dask://HOST:PORT or tls://HOST:PORT.
        shard: 'i/n' to run only part i of n parts, in any order and on any machines that share the folder.

    Raises:
        MesascopeError: there are fewer than three lifetimes, a part is unknown, 'coverage' is the only part with
            `quick`, the folder belongs to another run, or the engine cannot run.

    Returns:
        None if `shard` was given and units of other shards are unfinished. Otherwise a dict with the following entries.
        A share is None if there was no run to count. `confusion` {truth: {reading: count}}; `right` (the share of
        correct readings in the runs of demanded cases); `undetermined` and `wrong` (shares of all runs);
        `false_positives` (how many runs of subjects that cannot acquire have a lowest rung above 'tracking') and
        `perhaps_above` (how many of these runs have a highest rung above 'tracking'); `subjects_demanded` (the number
        of demanded cases) and `subjects_right` (how many of them are read correctly in at least 95 % of their runs);
        `runs` (the numbers of runs behind these shares); `seeds`; `lifetimes`; `refused` (the reason for each
        refusal of a subject that must be refused, '' if it was not refused); `coverage` (see `count_covered`);
        `wrong_runs`; `subjects` (a dict for each case); `axes` (see `count_readings`); `missed` (the bounds that were
        missed, in words); and `holds` (whether no bound was missed).
    """
    if 0 < lifetimes < 3:
        raise MesascopeError(f"lifetimes={lifetimes} is out of range.", "Give at least 3, or 0 for the default.")
    for part in parts:
        require_known_name("part", part, VALIDATION_PARTS)
    if quick and set(parts) <= {"coverage"}:
        raise MesascopeError("The quick validation has no studies of coverage.", "Leave out --quick.")
    seeds = seeds or (3 if quick else 20)
    lifetimes = lifetimes or (128 if quick else 320)
    settings = {"quick": quick, "seeds": seeds, "first_seed": first_seed, "lifetimes": lifetimes, "parts": list(parts)}
    units = _list_units(**settings)
    if folder is not None:
        claim_folder(folder, _make_plan(settings), settings)
    own = select_shard(units, shard)
    calls, labels = [unit.call for unit in own], [unit.label for unit in own]
    answers = run_units(operator.call, calls, workers, folder, engine=engine, labels=labels)
    answers_by_call = []
    for done, (label, answer) in enumerate(zip(labels, answers, strict=True), 1):
        answers_by_call.append(answer)
        progress(done / len(labels), f"{label}, {done} of {len(labels)}")
    if shard and folder is not None:
        answers_by_call = [answer for _, answer in load_answers(folder, operator.call, [unit.call for unit in units])]
    if len(answers_by_call) < len(units):
        return None
    if folder is not None:
        release_folder(folder)
    return _summarise(units, answers_by_call, **settings)


class _Unit(NamedTuple):
    """One unit of work: its part, its name, and the function with its arguments."""

    part: str
    label: str
    call: tuple


def _make_plan(settings: Mapping[str, Any]) -> Plan:
    """Names what distinguishes a validation from others: its settings and the code."""
    texts = [f"{k}={','.join(v) if isinstance(v, list) else v}" for k, v in settings.items()]
    return Plan("validation", " ".join([*texts, f"code={hash_folder(Path(__file__).parents[1])}"]))


def _list_units(quick: bool, seeds: int, first_seed: int, lifetimes: int, parts: Sequence[str]) -> list[_Unit]:
    """Lists all units of a validation; the longest come first."""
    units = []
    if "coverage" in parts and not quick:
        for call in list_coverage_calls(first_seed):
            label = f"coverage, {', '.join(call[2:]) or 'retention'}, seeds {call[1][0]} to {call[1][-1]}"
            units.append(_Unit("coverage", label, call))
    if "axes" in parts:
        calls = list_calls(seeds, first_seed, 128 if quick else 256, quick)
        units += [_Unit("axes", f"axis {call[1]}, {call[2].name}", call) for call in calls]
    groups = _group_cases(list_cases(quick=quick) if "placements" in parts else [])
    for seed in range(first_seed, first_seed + seeds):
        for group in groups:
            label = f"placements, {group[0].family.format(seed=seed)} with {group[0].name}, seed {seed}"
            units.append(_Unit("placements", label, (_place_group, group, seed, lifetimes)))
    return units


def describe_folder(folder: Path) -> dict[str, Any]:
    """Describes how far the validation in a folder is, without changing anything there.

    Returns:
        A dict with `of` (the kind and name of the run), `units` (the number of all units), `finished` (the number of
        finished units), `missing` (the names of the units that are not finished), `running` (a dict for each unit that
        runs now, with the fields of `RunningUnit`), `share` (the share of the units that is finished) and `results`
        (what `validate` returns, from the finished units alone).
    """
    plan, settings = read_claim(folder)
    units = _list_units(**settings)
    answers = dict(load_answers(folder, operator.call, [unit.call for unit in units]))
    return {
        "of": f"{plan.kind} {plan.name}",
        "units": len(units),
        "finished": len(answers),
        "share": len(answers) / len(units),
        "running": [unit._asdict() for unit in list_running(folder)],
        "missing": [unit.label for index, unit in enumerate(units) if index not in answers],
        "results": _summarise([units[index] for index in answers], list(answers.values()), **settings),
    }


def _summarise(
    units: Sequence[_Unit],
    answers: Sequence[Any],
    *,
    quick: bool,
    seeds: int,
    first_seed: int,
    lifetimes: int,
    parts: Sequence[str],
) -> dict[str, Any]:
    """Counts the readings of finished units; see `validate`."""
    cases = list_cases(quick=quick) if "placements" in parts else []
    pairs_by_part: dict[str, list[tuple[tuple, Any]]] = {part: [] for part in VALIDATION_PARTS}
    for unit, answer in zip(units, answers, strict=True):
        pairs_by_part[unit.part].append((unit.call, answer))
    placements = [
        (seed, case, Reading(*reading))
        for (_, group, seed, _), readings in pairs_by_part["placements"]
        for case, reading in zip(group, readings, strict=True)
    ]
    confusion, verdicts, readings = (defaultdict(Counter) for _ in range(3))
    for _, case, placement in placements:
        readings[case.name][placement.describe()] += 1
        if case.is_disputed:
            continue
        confusion[case.level][placement.level] += 1
        verdicts[case.name][classify_placement(case, placement)] += 1
    demanded_counts = [verdicts[c.name] for c in cases if c.is_demanded and not c.is_disputed]
    non_acquiring_readings = [
        p for _, case, p in placements if case.level in NON_ACQUIRING_LEVELS and not case.is_disputed
    ]
    runs = {
        "all": sum(v.total() for v in verdicts.values()),
        "demanded": sum(v.total() for v in demanded_counts),
        "cannot acquire": len(non_acquiring_readings),
    }
    tracking = LADDER.index("tracking")
    results: dict[str, Any] = {
        "confusion": {level: dict(confusion[level]) for level in LADDER if level in confusion},
        "right": _compute_share((v["right"] for v in demanded_counts), runs["demanded"]),
        "undetermined": _compute_share((v["undetermined"] for v in verdicts.values()), runs["all"]),
        "wrong": _compute_share((v["wrong"] for v in verdicts.values()), runs["all"]),
        "false_positives": sum(LADDER.index(p.lowest) > tracking for p in non_acquiring_readings),
        "perhaps_above": sum(LADDER.index(p.highest) > tracking for p in non_acquiring_readings),
        "subjects_right": sum(v["right"] >= max(1, BOUNDS["runs"] * v.total()) for v in demanded_counts),
        "subjects_demanded": len(demanded_counts),
        "runs": runs,
        "seeds": {"first": first_seed, "count": seeds},
        "lifetimes": lifetimes,
        "refused": list_refusal_reasons() if cases else {},
        "coverage": count_covered(Study(*study) for _, studies in pairs_by_part["coverage"] for study in studies),
        "wrong_runs": [
            {"subject": case.name, "seed": seed, "truth": case.level, "reading": placement.describe()}
            for seed, case, placement in placements
            if not case.is_disputed and classify_placement(case, placement) == "wrong"
        ],
        "subjects": [
            {
                "subject": c.name,
                "truth": c.level,
                "demanded": c.is_demanded,
                "disputed": c.is_disputed,
                "readings": dict(readings[c.name]),
                **{v: verdicts[c.name][v] for v in ("right", "undetermined", "wrong")},
            }
            for c in cases
        ],
        "axes": count_readings(
            [call for call, _ in pairs_by_part["axes"]], [answer for _, answer in pairs_by_part["axes"]], seeds
        ),
    }
    results["missed"] = describe_missed_bounds(results, quick)
    results["holds"] = not results["missed"]
    return {key: None if value != value else value for key, value in results.items()}  # a share of no runs


def _compute_share(counts: Iterable[int], total: int) -> float:
    """Computes the share of `total` that the counts make together; NaN if the total is 0."""
    return sum(counts) / total if total else math.nan


def _group_cases(cases: list[Case]) -> list[list[Case]]:
    """Groups cases that share tasks and reference procedures, the largest groups first."""
    by_family = defaultdict(list)
    for case in cases:
        by_family[case.family].append(case)
    groups = [group[i : i + MAX_CASES] for group in by_family.values() for i in range(0, len(group), MAX_CASES)]
    return sorted(groups, key=len, reverse=True)


def _place_group(cases: list[Case], seed: int, lifetime_count: int) -> list[Reading]:
    """Places cases that share a family in one run, so that the reference procedures run once; returns the readings."""
    family = catalogue.make("families", cases[0].family.format(seed=seed))
    splits = [split.name for split in family.list_splits() if split.is_counted]
    blocks = -(-lifetime_count // BLOCK_SIZE)
    # if some blocks were left over, they would need a second compilation
    together = next(n for n in (5, 4, 3, 2, 1) if not blocks % n)
    bench = RolloutCache(family, list_conditions(family), splits, lifetime_count, seed, blocks_per_call=together)
    readings = []
    for case in cases:
        subject = open_subject(case.subject, family)
        placement = bench.place(subject, subject.trained_on)[2]
        assert placement is not None  # the fresh split is among the splits
        readings.append(Reading(placement.level, placement.lowest, placement.highest, placement.direction))
    return readings


def list_refusal_reasons(path: Path = TRUTH_PATH) -> dict[str, str]:
    """Lists the reason for the refusal of each subject that must be refused; '' if the subject was not refused."""
    truth = tomllib.loads(path.read_text())
    family = catalogue.make("families", truth["defaults"]["family"])
    reasons = dict.fromkeys(truth.get("refused", {}), "")
    for name in reasons:
        try:
            refuse_leaks(open_subject(name, family), family)
        except MesascopeError as error:
            reasons[name] = error.problem
    return reasons


def describe_missed_bounds(results: dict[str, Any], quick: bool) -> list[str]:
    """Describes the bounds that were missed; with `quick`, the bounds for right and wrong readings are looser."""
    missed = []
    runs, false_positives, perhaps = (
        results["runs"]["cannot acquire"],
        results["false_positives"],
        results["perhaps_above"],
    )
    if false_positives > BOUNDS["false"] * runs:
        missed.append(
            f"{false_positives} of {runs} runs of subjects that cannot acquire were placed at locating or above"
        )
    if perhaps > BOUNDS["perhaps"] * runs:
        missed.append(f"{perhaps} of {runs} runs of subjects that cannot acquire may lie at locating or above")
    missed += [f"{name} was not refused" for name, reason in results["refused"].items() if not reason]
    missed += [line for axis in results["axes"].values() for line in axis["missed"]]
    if results["wrong"] > BOUNDS["wrong"] and (not quick or len(results["wrong_runs"]) > 1):
        missed.append(f"{results['wrong']:.2%} of the runs are wrong; the bound is {BOUNDS['wrong']:.1%}")
    least = BOUNDS["right"] - (0.02 if quick else 0.0)
    share = results["right"] if quick else _compute_share([results["subjects_right"]], results["subjects_demanded"])
    if share < least:
        what = "runs of demanded cases" if quick else "demanded cases"
        missed.append(f"{share:.1%} of the {what} are read correctly; the bound is {least:.0%}")
    often_wrong = [r["subject"] for r in results["subjects"] if r["demanded"] and r["wrong"] > 1]
    missed += [f"{name} is misread in more than one run" for name in often_wrong]
    for c in results["coverage"]:
        where = f"{c['study']}, N = {c['n']}"
        if c["covered"] < BOUNDS["covered"]:
            missed.append(
                f"{where}: intervals cover the truth in {c['covered']:.1%}; the bound is {BOUNDS['covered']:.0%}"
            )
        if c["null"] and c["above"] > BOUNDS["null"]:
            missed.append(
                f"{where}: the low end is above the truth in {c['above']:.1%}; the bound is {BOUNDS['null']:.1%}"
            )
    return missed
