"""Reads stated numbers and words: '~85%', '<10%', '~1-20%', 'very unlikely', 'small amount'."""

import re
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from mesascope.errors import MesascopeError, make_unknown_name_error, require, require_known_name

READING_MODES = ("centre", "set", "beta")
DEFAULT_PLUS_MINUS = 0.05
DEFAULT_MASS = 0.90
MAX_LENGTH = 80

# the interval of each word, by scale: 'ipcc' (IPCC AR4, 2007), 'icd' (ICD-203, 2015) and 'union' (the union of both)
STANDARD_SCALES = tomllib.loads((Path(__file__).parent / "probability_words.toml").read_text(encoding="utf-8"))
UNION_SCALE = STANDARD_SCALES.pop("union")
WORD_SCALES = ("union", *STANDARD_SCALES)
# evidence words as intervals of likelihood ratios; the limits 3, 20 and 150 are from Kass and Raftery (1995)
RATIO_WORDS = {
    "~zero evidence": (1 / 1.1, 1.1),
    "small amount": (1.1, 3.0),
    "significant": (3.0, 20.0),
    "strong": (20.0, 150.0),
}
_NUMBER_PATTERN = r"((?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?)"
_FRACTION_PATTERN = re.compile(r"(\d+(?:\.\d+)?)\s*(?:\bin\b|\bout of\b|/)\s*(\d[\d,]*(?:\.\d+)?)(?![\d%])")
_RATIO_PATTERN = re.compile(rf"(~?)\s*(<=|>=|<|>)?\s*{_NUMBER_PATTERN}(?:\s*(-|–|to|:)\s*{_NUMBER_PATTERN})?")
_VALUE_PATTERN = re.compile(
    rf"(~?)\s*(<=|>=|<|>)?\s*{_NUMBER_PATTERN}\s*(%?)(?:\s*[-–]\s*{_NUMBER_PATTERN}\s*(%?))?\s*"
)


@dataclass(frozen=True)
class Reading:
    """A stated value as an interval, a number or a distribution.

    Args:
        text: the value as written.
        shape: "exact" (85%), "about" (~85%), "range" (1-20%), "bound" (<10%) or "word".
        low, high: the interval, used under the reading "set" and, without a centre, under "centre".
        centre: the single number of "exact" and "about", otherwise None.
        mass: the probability that the value's Beta gives to [low, high]; None if the value has no distribution.
        rule: the convention that was applied, in words.
    """

    text: str
    shape: str
    low: float
    high: float
    centre: float | None
    mass: float | None
    rule: str

    def select_interval(self, mode: str = "centre") -> tuple[float, float]:
        """Selects the interval for the model: the centre, if it exists and the mode is 'centre'; else [low, high]."""
        if mode == "centre" and self.centre is not None:
            return self.centre, self.centre
        return self.low, self.high

    def find_beta(self) -> tuple[float, float] | None:
        """Finds the maximum-entropy Beta with `mass` in [low, high]; None if the value has no distribution."""
        if self.mass is None or self.high <= self.low:
            return None
        return fit_beta(self.low, self.high, self.mass)


def read_value(
    stated_value: object,
    word_scale: str = "union",
    plus_minus: float = DEFAULT_PLUS_MINUS,
    mass: float | None = None,
    bound_distribution: str = "vacuous",
) -> Reading:
    """Reads a probability or a share.

    Args:
        stated_value: '85%', '~85%', '~1-20%', '<10%', '>90%', '.85', '1e-4', '1 in 10000' or a word such as 'likely'.
        word_scale: the scale for a bare word: 'union', 'ipcc' or 'icd'.
        plus_minus: the half-width of the interval of '~p'.
        mass: the probability that the Beta of a range or of '~p' gives to its interval; by default .90 for a value with
            '~', and no Beta for a range without '~'.
        bound_distribution: whether a bound such as '<10%' has no distribution ('vacuous') or a uniform distribution
            ('uniform').

    Returns a `Reading` with 0 <= low <= high <= 1; any other value raises `MesascopeError`.
    """
    if not isinstance(stated_value, str):
        raise MesascopeError(
            f"The value {stated_value!r} is not quoted text.", 'Quote the original words: value = "~85%".'
        )
    _require_short_text(stated_value)
    text = _divide_fractions(stated_value.strip())
    match = _VALUE_PATTERN.fullmatch(text)
    if not match:
        return _read_word(stated_value.strip(), word_scale)
    about, sign, first, percent1, second, percent2 = match.groups()
    numbers = [float(x) / (100 if percent1 or percent2 else 1) for x in (first, second) if x is not None]
    is_probability = all(0 <= x <= 1 for x in numbers)
    require(
        is_probability, f"The value {stated_value!r} lies outside 0 to 1.", "Write percentages with %, at most 100%."
    )
    require(mass is None or 0 < mass < 1, f"The mass {mass} must lie between 0 and 1.", "Example: mass = 0.9.")
    if len(numbers) == 2:
        require(not sign, f"The value {stated_value!r} has both a bound and a range.", "Write one of the two.")
        low, high = numbers
        require(
            low <= high, f"The range {stated_value!r} is reversed.", f"Write {second}-{first}{percent2 or percent1}."
        )
        mass = (mass or DEFAULT_MASS) if (about or mass) else None
        rule = f"the interval [{low:g}, {high:g}]" + (f", {mass:.0%} of the mass" if mass else "")
        return Reading(stated_value, "range", low, high, None, mass, rule)
    value = numbers[0]
    if sign:
        low, high = (0.0, value) if sign[0] == "<" else (value, 1.0)
        require(
            bound_distribution in ("vacuous", "uniform"),
            f"'within' cannot be {bound_distribution!r}.",
            "Use 'vacuous' or 'uniform'.",
        )
        is_uniform = bound_distribution == "uniform"
        distribution = "uniform inside, as the file says" if is_uniform else "without a distribution"
        rule = f"the closed interval [{low:g}, {high:g}], {distribution}"
        return Reading(stated_value, "bound", low, high, None, 1.0 if is_uniform else None, rule)
    if about:
        low, high = _find_interval_around(value, plus_minus)
        mass = mass or DEFAULT_MASS
        rule = f"centre {value:g}; as an interval [{low:g}, {high:g}]; as a Beta with {mass:.0%} inside it"
        return Reading(stated_value, "about", low, high, value, mass, rule)
    return Reading(stated_value, "exact", value, value, value, None, f"exactly {value:g}")


def _divide_fractions(text: str) -> str:
    """Writes each fraction in a text, such as '1 in 10,000' or '1/3', as one number."""

    def divide(match: re.Match[str]) -> str:
        divisor = float(match.group(2).replace(",", ""))
        require(divisor > 0, f"The value {text!r} divides by 0.", "Example: 1 in 10000.")
        return f"{float(match.group(1)) / divisor:.17g}"

    return _FRACTION_PATTERN.sub(divide, text)


def _find_interval_around(value: float, plus_minus: float) -> tuple[float, float]:
    """Finds the interval of '~p': p ± the half-width, in log-odds near 0 and 1.

    If p is closer to 0 or 1 than two half-widths, the ends have the same distances from p, in log-odds, as they would
    have if p were two half-widths away from 0 or 1. So the interval of '~0.01%' stays near 0.01%.
    """
    edge, centre = 2 * plus_minus, min(value, 1 - value)
    if centre >= edge - 1e-12 or centre == 0 or edge > 1 / 3:
        return max(0.0, value - plus_minus), min(1.0, value + plus_minus)
    odds = centre / (1 - centre)
    factors = [end / (1 - end) / (edge / (1 - edge)) for end in (plus_minus, 3 * plus_minus)]
    low, high = (odds * factor / (1 + odds * factor) for factor in factors)
    return (low, high) if value < 0.5 else (1 - high, 1 - low)


def _read_word(text: str, word_scale: str) -> Reading:
    require_known_name("scale of words", word_scale, WORD_SCALES)
    key = " ".join(text.lower().split())
    if key not in UNION_SCALE:
        raise make_unknown_name_error("number or probability word", text[:60], UNION_SCALE)
    low, high = (STANDARD_SCALES | {"union": UNION_SCALE})[word_scale].get(key, UNION_SCALE[key])
    in_a_standard = any(key in scale for scale in STANDARD_SCALES.values())
    union = "the union of IPCC AR4 and ICD-203" if in_a_standard else "set by this tool, since no standard has the word"
    source = {"union": union, "ipcc": "IPCC AR4", "icd": "ICD-203"}[word_scale]
    if not has_word(word_scale, text):
        source = f"read by 'union', since {word_scale} does not have the word"
    return Reading(text, "word", low, high, None, None, f"the interval [{low:g}, {high:g}], {source}")


def has_word(word_scale: str, word: str) -> bool:
    """Whether a scale ('union', 'ipcc' or 'icd') has a bare word; 'union' supplies the words that a scale lacks."""
    return " ".join(word.lower().split()) in (UNION_SCALE if word_scale == "union" else STANDARD_SCALES[word_scale])


def read_ratio(stated_ratio: object) -> tuple[float, float]:
    """Reads a likelihood ratio as an interval [low, high].

    It may be a number or a text such as '3', '~3' (read as 3), '2-5', '1/3', '3:1', '>=2' or an evidence word.
    The words are '~zero evidence', 'small amount', 'significant' and 'strong'.
    """
    if isinstance(stated_ratio, int | float) and not isinstance(stated_ratio, bool) and 0 < stated_ratio < 1e12:
        return float(stated_ratio), float(stated_ratio)
    if not isinstance(stated_ratio, str):
        problem = f"The likelihood ratio ({type(stated_ratio).__name__}) is neither a positive number nor a word."
        raise MesascopeError(problem, 'Example: "2-5".')
    _require_short_text(stated_ratio)
    key = " ".join(stated_ratio.lower().split())
    if key in RATIO_WORDS:
        return RATIO_WORDS[key]
    match = _RATIO_PATTERN.fullmatch(_divide_fractions(key))
    if not match:
        raise make_unknown_name_error("likelihood ratio or evidence word", stated_ratio[:60], RATIO_WORDS)
    _, sign, first, joint, second = match.groups()
    low = high = float(first)
    if joint == ":":
        require(float(second) > 0, f"The likelihood ratio {stated_ratio!r} divides by 0.", 'Example: "3:1".')
        low = high = low / float(second)
    elif joint:
        high = float(second)
        require(
            not sign, f"The likelihood ratio {stated_ratio!r} has both a bound and a range.", "Write one of the two."
        )
    if sign:
        require(0 < low <= 1e12, f"The likelihood ratio {stated_ratio!r} is not positive.", 'Example: ">=2".')
        return (low, float("inf")) if sign[0] == ">" else (0.0, low)
    problem = f"The likelihood ratio {stated_ratio!r} is not a positive, ordered, finite range."
    require(0 < low <= high <= 1e12, problem, 'Example: "2-5".')
    return low, high


def _require_short_text(text: str) -> None:
    problem = f"The value {text[:20]!r}… has {len(text)} characters."
    require(len(text) <= MAX_LENGTH, problem, f"At most {MAX_LENGTH}.")


def compare_with_scales(reading: Reading, word: str) -> dict[str, bool]:
    """Compares a number with its word on each scale that has the word; returns whether the number fits the word.

    'fairly', 'quite', 'pretty' and 'rather' before a word are ignored. A number fits if its centre lies in the
    word's interval. A number without a centre fits if its interval overlaps the word's interval.
    """
    key = re.sub(r"^(fairly|quite|pretty|rather)\s+", "", " ".join(word.lower().split()))
    low, high = reading.select_interval("centre")
    return {
        scale: bool(low <= table[key][1] + 1e-12 and high >= table[key][0] - 1e-12)
        for scale, table in STANDARD_SCALES.items()
        if key in table
    }


@lru_cache(maxsize=4096)
def fit_beta(low: float, high: float, mass: float = DEFAULT_MASS) -> tuple[float, float]:
    """Fits the Beta of greatest entropy with `mass` in [low, high], as the package PreliZ does.

    For each mean in (low, high), the function solves for the concentration; it then chooses the mean with the
    greatest entropy. The result has F(high) - F(low) = mass to 1e-9.
    """
    from scipy.optimize import brentq, minimize_scalar
    from scipy.special import betainc, betaln, digamma

    def find_concentration(mean: float) -> float | None:
        def find_excess_mass(log_k: float) -> float:
            a, b = mean * np.exp(log_k), (1 - mean) * np.exp(log_k)
            return float(betainc(a, b, high) - betainc(a, b, low)) - mass

        grid = np.linspace(-3, 18, 43)
        values = [find_excess_mass(x) for x in grid]
        for i in range(len(grid) - 1):
            if values[i] < 0 <= values[i + 1]:
                return float(np.exp(brentq(find_excess_mass, grid[i], grid[i + 1], xtol=1e-13, rtol=1e-14)))  # type: ignore[arg-type]
        return None

    def find_negative_entropy(mean: float) -> float:
        concentration = find_concentration(mean)
        if concentration is None:
            return np.inf
        a, b = mean * concentration, (1 - mean) * concentration
        return -float(betaln(a, b) - (a - 1) * digamma(a) - (b - 1) * digamma(b) + (a + b - 2) * digamma(a + b))

    means = low + (high - low) * np.linspace(0.02, 0.98, 25)
    negative_entropies = [find_negative_entropy(m) for m in means]
    best = int(np.argmin(negative_entropies))
    if not np.isfinite(negative_entropies[best]):
        raise MesascopeError(f"No Beta has {mass:.0%} of its mass in [{low:g}, {high:g}].", "Use --reading set.")
    bracket = means[max(best - 1, 0)], means[min(best + 1, len(means) - 1)]
    options = {"xatol": 1e-9 * (high - low)}
    result = minimize_scalar(find_negative_entropy, bounds=bracket, method="bounded", options=options)
    mean = float(result.x)  # type: ignore[union-attr]
    concentration = find_concentration(mean)
    assert concentration is not None
    return mean * concentration, (1 - mean) * concentration
