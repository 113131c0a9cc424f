"""What came out of a study: published, exact and ours in one table; every expectation met or not."""

import math
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mesascope.findings import provenance
from mesascope.reproduction.plans import Quantity, Study
from mesascope.reproduction.work import RATES, Value
from mesascope.stats import interval, proportion, standard_error

FORMAT = "mesascope-study/1"
CLOSE = 1e-9
Values = Mapping[tuple[str, str, int], Value]


def document(study: Study, values: Values, trusted: bool = False) -> dict[str, Any]:
    """Everything that came out, as plain data without times: the same work gives the same document."""
    others = {} if study.ours else {"path": str(study.folder), "trusted": trusted}
    origin = provenance(None)
    numbers = {
        (q.name, cell.name): summary(study, _rate(q), q.name, cell.name, values)
        for q in study.quantities
        for cell in study.cells
        if cell.name in q.of
    }
    return {
        "format": FORMAT,
        "study": study.name,
        **others,
        "says": study.says,
        "source": study.source,
        "quick": study.quick,
        "seeds": study.seeds,
        "trained": any(cell.recipe for cell in study.cells),
        "plan": study.digest,
        "commit": origin["commit"],
        "versions": origin["versions"],
        "rows": [row(told, numbers) for told in study.rows if (told["quantity"], told["subject"]) in numbers],
        "expects": [expectation(told, numbers) for told in study.expects],
        "values": [
            {"quantity": quantity, "subject": subject, **told}
            for (quantity, subject), told in numbers.items()
        ],
    }


def _rate(q: Quantity) -> bool:
    """Whether it is 0 or 1 for each seed."""
    rates = {"measure": ("read_as",), "placed": RATES}
    return q.kind == "axis" or q.spec.partition(":")[0] in rates.get(q.kind, ())


def summary(study: Study, rate: bool, quantity: str, subject: str, values: Values) -> dict[str, Any]:
    """Mean and interval over training seeds; exact for rates (0 or 1 for each seed), Student t else.

    Returns:
        `ours`, `low`, `high` (None below three seeds), `n` seeds that gave a number, `by_seed`, `error` (mean
        standard error over the lifetimes of a seed), `lifetimes`, `texts` (levels by seed), `why` there is none.
    """
    got = [values[quantity, subject, seed] for seed in range(study.seeds)]
    numbers = np.asarray([math.nan if v.number is None else v.number for v in got])
    found = interval(numbers[None])
    n = int(found.n[0])
    low, high = (None if math.isnan(x) else float(x) for x in (found.low[0], found.high[0]))
    if rate and n >= 3:
        low, high = proportion(int(np.nansum(numbers)), n)
    errors = [v.error for v in got if v.error is not None and math.isfinite(v.error)]
    return {
        "ours": float(found.estimate[0]) if n else None,
        "low": low,
        "high": high,
        "n": n,
        "by_seed": [v.number for v in got],
        "error": float(np.mean(errors)) if errors else None,
        "lifetimes": max(v.n for v in got),
        "rate": rate,
        "texts": [v.text for v in got if v.text],
        "why": next((v.why for v in got if v.why), ""),
    }


def row(told: Mapping[str, Any], numbers: Mapping[tuple[str, str], Mapping[str, Any]]) -> dict[str, Any]:
    """One line of the table.

    Returns:
        What the plan says of it, the numbers, and `within`: whether ours is as near to the exact value as the plan's
        tolerance, or else within 1.96 standard errors of the published one (its own and ours over seeds together);
        None where neither can be said.
    """
    got = numbers[told["quantity"], told["subject"]]
    ours, within, against = got["ours"], None, ""
    if ours is not None and "exact" in told and "tolerance" in told:
        against = f"exact ± {told['tolerance']:g}"
        within = abs(ours - told["exact"]) <= told["tolerance"] + CLOSE
    elif ours is not None and "published" in told and "published_error" in told:
        own = standard_error(np.asarray([x for x in got["by_seed"] if x is not None]))
        own = own if math.isfinite(own) else (got["error"] or 0.0)
        reach = 1.96 * math.hypot(told["published_error"], own)
        against = f"published ± {reach:.2g}"
        within = abs(ours - told["published"]) <= reach
    kept = {k: got[k] for k in ("ours", "low", "high", "n", "error", "lifetimes", "rate", "texts", "why")}
    return {**told, **kept, "within": within, "against": against}


def expectation(
    told: Mapping[str, Any], numbers: Mapping[tuple[str, str], Mapping[str, Any]]
) -> dict[str, Any]:
    """Whether an expectation was met.

    Returns:
        What it says, `difference` (value minus than, paired by seed, mean), its interval (Student t over seeds; exact
        for a rate beside a number, none for a rate beside a rate), and `met`: the mean has the sign and reaches the
        smallest size ('0': stays within the largest). `clear`: the interval holds nothing else. `met` is None where
        the study did not run it or no seed gave a number.
    """
    out = {**told, "difference": None, "low": None, "high": None, "n": 0, "met": None, "clear": None}
    value, than = (numbers.get(tuple(s)) if isinstance(s, list) else s for s in (told["value"], told["than"]))
    if value is None or than is None:
        return {**out, "why": "not run"}
    beside = isinstance(than, Mapping)  # another quantity
    ours = np.asarray(value["by_seed"], float)  # NaN for None
    found = interval((ours - (np.asarray(than["by_seed"], float) if beside else than))[None])
    n, seeds = int(found.n[0]), len(ours)
    if not n:
        return {**out, "why": value["why"]}
    mean, low, high = float(found.estimate[0]), float(found.low[0]), float(found.high[0])
    if value["rate"] and beside and than["rate"]:
        low = high = math.nan
    elif value["rate"] and not isinstance(than, Mapping) and n >= 3:
        low, high = (end - than for end in proportion(int(np.nansum(ours)), n))

    def reached(x: float) -> bool:
        if told["sign"] == "0":
            return abs(x) <= told["size"] + CLOSE
        return (x if told["sign"] == "+" else -x) >= told["size"] - CLOSE

    def within(ends: tuple[float, float]) -> bool:
        """Whether any number of the interval is as expected."""
        if told["sign"] == "0":
            return ends[0] <= told["size"] + CLOSE and ends[1] >= -told["size"] - CLOSE
        return reached(ends[0]) or reached(ends[1])

    sure, met = not math.isnan(low), reached(mean)
    clear = (reached(low) and reached(high)) if met else not within((low, high))
    return {
        **out,
        "difference": mean,
        "low": low if sure else None,
        "high": high if sure else None,
        "n": n,
        "met": met,
        "clear": clear if sure else None,
        "why": "" if n == seeds else f"{seeds - n} of {seeds} seeds gave no number",
    }


def verdict(told: Mapping[str, Any]) -> str:
    """An expectation's outcome in words."""
    if told["met"] is None:
        return told["why"]
    word = "met" if told["met"] else "not met"
    note = f"; {told['why']}" if told["why"] else ""
    if told["clear"] is None or told["clear"]:
        return word + note
    return f"{word}, but the interval reaches across{note}"


def format_number(value: float | None) -> str:
    """A number with as many digits as a table needs."""
    if value is None:
        return "–"
    return f"{value:.2f}" if abs(value) >= 9.995 else f"{value:.3f}"


def format_ours(told: Mapping[str, Any]) -> str:
    """Our number with its interval, its rate, or why there is none."""
    if told["ours"] is None:
        return f"– ({told['why'].partition(';')[0]})"
    levels = ", ".join(f"{text} ×{count}" for text, count in Counter(told["texts"]).items())
    levels = f" ({levels})" if levels else ""
    if told["rate"]:
        return f"{round(told['ours'] * told['n'])} of {told['n']}{levels}"
    if levels:
        return levels.strip(" ()")
    spread = (
        f" [{format_number(told['low'])}, {format_number(told['high'])}]" if told["low"] is not None else ""
    )
    return f"{format_number(told['ours'])}{spread}"


def judge_row(told: Mapping[str, Any]) -> str:
    """Whether a row is where it should be, and what that was held against."""
    return "" if told["within"] is None else f"{'yes' if told['within'] else 'no'} ({told['against']})"


def format_references(told: Mapping[str, Any]) -> tuple[str, str]:
    """The published and the exact value as they stand in the table."""
    published = ""
    if "published" in told:
        error = f" ± {told['published_error']:g}" if "published_error" in told else ""
        published = f"{told['published']:g}{error}"
    return published, f"{told['exact']:g}" if "exact" in told else ""


def label(found: Mapping[str, Any]) -> str:
    """What kind of run it was, in one line."""
    kind = ("seed of lifetimes", "seeds of lifetimes")  # of networks that were there
    if found.get("trained", True):
        kind = ("training seed", "training seeds")
    seeds = f"{found['seeds']} {kind[found['seeds'] > 1]}"
    if found["quick"]:
        return f"QUICK: {seeds}, short trainings and few lifetimes; it shows that the study runs and settles nothing"
    return f"{seeds}; intervals are 95 % over {kind[1]} (Student t, rates exact)"


def table(found: Mapping[str, Any]) -> str:
    """The outcome as Markdown."""
    lines = [f"# {found['study']}", "", found["says"], "", f"{label(found)}.", ""]
    lines += ["| what | of | published | exact | ours | n | within |", "|---|---|---|---|---|---|---|"]
    for told in found["rows"]:
        many = f"{told['n']} × {told['lifetimes']}" if told["n"] else ""
        cells = [
            told["quantity"],
            told["subject"],
            *format_references(told),
            format_ours(told),
            many,
            judge_row(told),
        ]
        lines.append("| " + " | ".join(_cell(c) for c in cells) + " |")
    lines += ["", "n: seeds × lifetimes of each.", ""]
    lines += ["| expected before the run | size | seen | outcome |", "|---|---|---|---|"]
    for told in found["expects"]:
        lines.append("| " + " | ".join(_cell(c) for c in format_expectation(told)) + " |")
    sources = list(dict.fromkeys(r["source"] for r in found["rows"] if "source" in r))
    exact = list(dict.fromkeys(r["exact_source"] for r in found["rows"] if "exact_source" in r))
    lines += ["", *(f"Published: {s}." for s in sources), *(f"Exact: {s}." for s in exact)]
    versions = ", ".join(f"{k} {v}" for k, v in found["versions"].items())
    lines.append(f"Made by `{command(found)}` at commit {found['commit']} with {versions}.")
    return "\n".join(lines).rstrip() + "\n"


def format_expectation(told: Mapping[str, Any]) -> Sequence[str]:
    """An expectation's line: what it says, its bound, what was seen, the outcome."""
    bound = {"+": "at least ", "-": "at most −", "0": "within ± "}[told["sign"]] + f"{told['size']:g}"
    than = told["than"]
    if not isinstance(than, list) and than:
        bound += f" from {than:g}"
    seen = format_number(told["difference"])
    if told["low"] is not None:
        seen += f" [{format_number(told['low'])}, {format_number(told['high'])}]"
    return told["says"], bound, seen, verdict(told)


def command(found: Mapping[str, Any]) -> str:
    """What makes the same document."""
    typed = shlex.quote(found.get("path") or found["study"])
    trusted = " --trust" if found.get("trusted") else ""
    quick = " --quick" if found["quick"] else ""
    return f"mesascope reproduce {typed}{quick} --seeds {found['seeds']}{trusted}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
