"""Summarises the results of a study: published, exact and our numbers, and the outcome of each expectation."""

import math
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mesascope.findings import describe_provenance
from mesascope.reproduction.plans import Quantity, Study
from mesascope.reproduction.work import RATE_QUANTITIES, Value
from mesascope.stats import compute_intervals, compute_rate_interval, compute_standard_error

FORMAT = "mesascope-study/1"
ROUNDING_ERROR = 1e-9  # comparisons allow this rounding error
Values = Mapping[tuple[str, str, int], Value]


def make_document(study: Study, values: Values, is_trusted: bool = False) -> dict[str, Any]:
    """Collects all results in one document, without times, so that the same work gives the same document.

    Args:
        study: the study whose results they are.
        values: the value for each quantity, subject and seed.
        is_trusted: whether the user trusted the code of a study that does not ship with mesascope.
    """
    source_fields = {} if study.is_bundled else {"path": str(study.folder), "trusted": is_trusted}
    origin = describe_provenance(None)
    summaries = {
        (q.name, cell.name): summarise_seeds(
            [values[q.name, cell.name, seed] for seed in range(study.n_seeds)], _is_rate(q)
        )
        for q in study.quantities
        for cell in study.subjects
        if cell.name in q.subjects
    }
    return {
        "format": FORMAT,
        "study": study.name,
        **source_fields,
        "says": study.question,
        "source": study.source,
        "quick": study.is_quick,
        "seeds": study.n_seeds,
        "trained": any(cell.recipe for cell in study.subjects),
        "plan": study.digest,
        "commit": origin["commit"],
        "versions": origin["versions"],
        "rows": [
            make_row(entry, summaries) for entry in study.rows if (entry["quantity"], entry["subject"]) in summaries
        ],
        "expects": [compare_with_expectation(entry, summaries) for entry in study.expectations],
        "values": [
            {"quantity": quantity, "subject": subject, **summary} for (quantity, subject), summary in summaries.items()
        ],
    }


def _is_rate(quantity: Quantity) -> bool:
    """Whether a quantity is 0 or 1 for each seed, so that its mean is a rate."""
    rates = {"measure": ("read_as",), "placed": RATE_QUANTITIES}
    return quantity.kind == "axis" or quantity.spec.partition(":")[0] in rates.get(quantity.kind, ())


def summarise_seeds(seed_values: Sequence[Value], is_rate: bool) -> dict[str, Any]:
    """Computes the mean and interval over training seeds; the interval is exact for a rate, otherwise Student t.

    Args:
        seed_values: the value of the same quantity and subject for each seed.
        is_rate: whether every value is 0 or 1.

    Returns:
        A dict with `ours` (the mean; None without numbers), `low` and `high` (the ends of the interval; None below
        three seeds), `n` (how many seeds have a number), `by_seed` (the numbers), `error` (the standard error over
        lifetimes, averaged over seeds; None if not known), `lifetimes` (their number per seed), `rate` (`is_rate`),
        `texts` (the levels of the seeds in words), and `why` (the reason for a missing number).
    """
    numbers = np.asarray([math.nan if v.number is None else v.number for v in seed_values])
    mean, low, high, n = _compute_interval(numbers)
    if is_rate and n >= 3:
        low, high = compute_rate_interval(int(np.nansum(numbers)), n)
    errors = [v.error for v in seed_values if v.error is not None and math.isfinite(v.error)]
    return {
        "ours": mean if n else None,
        "low": low,
        "high": high,
        "n": n,
        "by_seed": [v.number for v in seed_values],
        "error": float(np.mean(errors)) if errors else None,
        "lifetimes": max(v.n for v in seed_values),
        "rate": is_rate,
        "texts": [v.text for v in seed_values if v.text],
        "why": next((v.why for v in seed_values if v.why), ""),
    }


def _compute_interval(numbers: np.ndarray) -> tuple[float, float | None, float | None, int]:
    """Computes the mean, the ends of its interval (None below three numbers) and the count of the numbers but NaN."""
    mean_interval = compute_intervals(numbers[None])
    low, high = (None if math.isnan(end[0]) else float(end[0]) for end in (mean_interval.low, mean_interval.high))
    return float(mean_interval.estimate[0]), low, high, int(mean_interval.n[0])


def make_row(entry: Mapping[str, Any], summaries: Mapping[tuple[str, str], Mapping[str, Any]]) -> dict[str, Any]:
    """Makes one row of the table, which compares our number with the exact or published value.

    Returns:
        A dict with the plan's entry, the summary's numbers, `within` and `against`. `within` tells whether our number
        is within the plan's tolerance of the exact value or, without a tolerance, within 1.96 standard errors of the
        published value. This standard error combines the published error and our error over seeds. `against` names the
        value and the margin, such as 'exact ± 0.02'. If there is no number of ours, or the plan gives no value with a
        tolerance or an error, `within` is None and `against` is ''.
    """
    summary = summaries[entry["quantity"], entry["subject"]]
    ours, within, reference = summary["ours"], None, ""
    if ours is not None and "exact" in entry and "tolerance" in entry:
        reference = f"exact ± {entry['tolerance']:g}"
        within = abs(ours - entry["exact"]) <= entry["tolerance"] + ROUNDING_ERROR
    elif ours is not None and "published" in entry and "published_error" in entry:
        own_error = compute_standard_error(np.asarray([x for x in summary["by_seed"] if x is not None]))
        own_error = own_error if math.isfinite(own_error) else (summary["error"] or 0.0)
        margin = 1.96 * math.hypot(entry["published_error"], own_error)
        reference = f"published ± {margin:.2g}"
        within = abs(ours - entry["published"]) <= margin
    reported = {k: summary[k] for k in ("ours", "low", "high", "n", "error", "lifetimes", "rate", "texts", "why")}
    return {**entry, **reported, "within": within, "against": reference}


def compare_with_expectation(
    entry: Mapping[str, Any], summaries: Mapping[tuple[str, str], Mapping[str, Any]]
) -> dict[str, Any]:
    """Compares the results with an expectation.

    Returns:
        A dict with the plan's entry and these results. `difference` is the mean of `value` minus `than`, paired by
        seed, for `n` seeds. `low` and `high` are the ends of its interval, which is Student t over seeds, but exact if
        a rate is compared with a number, and None if a rate is compared with a rate. `met` tells whether the mean has
        the expected sign and at least the smallest size or, for the sign '0', at most the largest size; it is None if
        the study did not run the quantity or no seed gave a number. `clear` tells whether the whole interval agrees
        with `met`; it is None without an interval. `why` is the reason for missing numbers.
    """
    result = {**entry, "difference": None, "low": None, "high": None, "n": 0, "met": None, "clear": None}
    value, reference = (summaries.get(tuple(s)) if isinstance(s, list) else s for s in (entry["value"], entry["than"]))
    if value is None or reference is None:
        return {**result, "why": "not run"}
    ours = np.asarray(value["by_seed"], float)  # NaN for None
    theirs: Any = np.asarray(reference["by_seed"], float) if isinstance(reference, Mapping) else reference
    mean, low, high, n = _compute_interval(ours - theirs)
    if not n:
        return {**result, "why": value["why"]}
    if value["rate"] and isinstance(reference, Mapping):
        low, high = (None, None) if reference["rate"] else (low, high)
    elif value["rate"] and n >= 3:
        low, high = (end - theirs for end in compute_rate_interval(int(np.nansum(ours)), n))

    def agrees_with_sign(x: float) -> bool:
        if entry["sign"] == "0":
            return abs(x) <= entry["size"] + ROUNDING_ERROR
        return (x if entry["sign"] == "+" else -x) >= entry["size"] - ROUNDING_ERROR

    met, is_clear = agrees_with_sign(mean), None
    if low is not None and high is not None:
        ends_meet = [agrees_with_sign(low), agrees_with_sign(high)]
        overlaps_zero = (
            entry["sign"] == "0" and low <= entry["size"] + ROUNDING_ERROR and high >= -entry["size"] - ROUNDING_ERROR
        )
        is_clear = all(ends_meet) if met else not (overlaps_zero or any(ends_meet))
    return {
        **result,
        "difference": mean,
        "low": low,
        "high": high,
        "n": n,
        "met": met,
        "clear": is_clear,
        "why": "" if n == len(ours) else f"{len(ours) - n} of {len(ours)} seeds gave no number",
    }


def describe_verdict(entry: Mapping[str, Any]) -> str:
    """Describes the outcome of an expectation in words."""
    if entry["met"] is None:
        return entry["why"]
    word = "met" if entry["met"] else "not met"
    note = f"; {entry['why']}" if entry["why"] else ""
    if entry["clear"] is None or entry["clear"]:
        return word + note
    return f"{word}, but the interval reaches across{note}"


def format_number(value: float | None) -> str:
    """Formats a number for a table: with two decimals from 10 on, otherwise with three."""
    if value is None:
        return "–"
    return f"{value:.2f}" if abs(value) >= 9.995 else f"{value:.3f}"


def format_own_number(entry: Mapping[str, Any]) -> str:
    """Formats our number with its interval, or as a count of seeds if it is a rate or a level, or why there is none."""
    if entry["ours"] is None:
        return f"– ({entry['why'].partition(';')[0]})"
    levels = ", ".join(f"{text} ×{count}" for text, count in Counter(entry["texts"]).items())
    levels = f" ({levels})" if levels else ""
    if entry["rate"]:
        return f"{round(entry['ours'] * entry['n'])} of {entry['n']}{levels}"
    if levels:
        return levels.strip(" ()")
    return _add_interval(entry["ours"], entry)


def describe_agreement(entry: Mapping[str, Any]) -> str:
    """Describes whether our number in a row agrees with its reference value, and names this value.

    The text is empty if the row has no reference value.
    """
    return "" if entry["within"] is None else f"{'yes' if entry['within'] else 'no'} ({entry['against']})"


def format_references(entry: Mapping[str, Any]) -> tuple[str, str]:
    """Formats the published and the exact value for the table; a value that the plan does not give becomes ''."""
    published = ""
    if "published" in entry:
        error = f" ± {entry['published_error']:g}" if "published_error" in entry else ""
        published = f"{entry['published']:g}{error}"
    return published, f"{entry['exact']:g}" if "exact" in entry else ""


def describe_intervals(document: Mapping[str, Any]) -> str:
    """Describes in one line how many seeds ran, and how the intervals were computed.

    For a quick run, the line says that the numbers are not evidence, and nothing about intervals.
    """
    is_trained = document.get("trained", True)  # whether the study trains networks
    singular = "training seed" if is_trained else "seed of lifetimes"
    plural = "training seeds" if is_trained else "seeds of lifetimes"
    seeds = f"{document['seeds']} {plural if document['seeds'] > 1 else singular}"
    if document["quick"]:
        limits = "short training runs and few lifetimes, which show that the study runs but are not evidence"
        return f"QUICK: {seeds}, {limits}"
    return f"{seeds}; intervals are 95 % over {plural} (Student t, rates exact)"


def format_page(document: Mapping[str, Any]) -> str:
    """Formats the results as a Markdown page with two tables."""
    lines = [f"# {document['study']}", "", document["says"], "", f"{describe_intervals(document)}.", ""]
    lines += ["| what | of | published | exact | ours | n | within |", "|---|---|---|---|---|---|---|"]
    for entry in document["rows"]:
        size = f"{entry['n']} × {entry['lifetimes']}" if entry["n"] else ""
        texts = [*format_references(entry), format_own_number(entry), size, describe_agreement(entry)]
        lines.append(_format_line([entry["quantity"], entry["subject"], *texts]))
    lines += ["", "n: seeds × lifetimes of each.", ""]
    lines += ["| expected before the run | size | seen | outcome |", "|---|---|---|---|"]
    lines += [*(_format_line(format_expectation(entry)) for entry in document["expects"]), ""]
    for key, word in (("source", "Published"), ("exact_source", "Exact")):
        lines += dict.fromkeys(f"{word}: {row[key]}." for row in document["rows"] if key in row)
    versions = ", ".join(f"{k} {v}" for k, v in document["versions"].items())
    lines.append(f"Made by `{format_command(document)}` at commit {document['commit']} with {versions}.")
    return "\n".join(lines).rstrip() + "\n"


def format_expectation(entry: Mapping[str, Any]) -> Sequence[str]:
    """Formats an expectation as four cells, which are its text, its bound, the measured difference and the outcome."""
    bound = {"+": "at least ", "-": "at most −", "0": "within ± "}[entry["sign"]] + f"{entry['size']:g}"
    than = entry["than"]
    if not isinstance(than, list) and than:
        bound += f" from {than:g}"
    return entry["says"], bound, _add_interval(entry["difference"], entry), describe_verdict(entry)


def _add_interval(number: float | None, entry: Mapping[str, Any]) -> str:
    """Formats a number, with the interval of its entry if there is one."""
    ends = f" [{format_number(entry['low'])}, {format_number(entry['high'])}]" if entry["low"] is not None else ""
    return format_number(number) + ends


def format_command(document: Mapping[str, Any]) -> str:
    """Formats the command that produces this document again."""
    study = shlex.quote(document.get("path") or document["study"])
    trusted = " --trust" if document.get("trusted") else ""
    quick = " --quick" if document["quick"] else ""
    return f"mesascope reproduce {study}{quick} --seeds {document['seeds']}{trusted}"


def _format_line(cells: Sequence[str]) -> str:
    """Formats a line of a Markdown table."""
    return "| " + " | ".join(text.replace("|", "\\|").replace("\n", " ") for text in cells) + " |"
