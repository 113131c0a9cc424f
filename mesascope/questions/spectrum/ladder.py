"""The ladder of levels, the constants of the placement rule, and the class of placements."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from mesascope.questions.spectrum.position import MAX_LOCATOR_RETENTION
from mesascope.trials import REFLEX_TRIALS

LADDER = ("inert", "reactive", "tracking", "locating", "acquiring")
OLDER_LADDER = (*LADDER, "general")  # of the older rule (shuffled feedback), by which earlier studies were placed
LEVEL_NUMBERS: Mapping[str, int] = {level: i for i, level in enumerate(OLDER_LADDER)}


@dataclasses.dataclass(frozen=True)
class Rule:
    """The constants of the placement rule, which are printed with every placement.

    Attributes:
        older_than: w, the number of last trials; trials more than w back are older. If a fifth of the lifetime is less
            than this, w is a fifth of the lifetime, rounded down, but at least 1.
        min_benefit: the smallest benefit that counts, as a share of the possible gain.
        min_change: the smallest share of changed choices that counts.
        error_multiple: the number of standard errors by which a benefit must exceed the smallest benefit.
        min_strict_transplant: the smallest strict transplant that counts.
        strict_error_multiple: the number of standard errors by which the strict transplant must exceed
            min_strict_transplant.
        min_bits: the smallest information about a donor's task, in bits per action, that counts.
        min_position: the position between the ideal locator (0) and a learner (1) that separates locating from
            acquiring.
        min_retention: the smallest retention that suffices for the flags 'far' and 'flexible'.
        resample_share: the share of resamples in which a level or flag must hold, beyond the Monte-Carlo error.
        max_locator_retention: if the ideal locator keeps at least this share on fresh tasks, the bank cannot
            distinguish locating from acquiring.
        min_locator_share: the share of the ideal locator's gain on seen tasks below which the bank label is doubtful.
        max_position: the position above which the bank label is doubtful.
        resamples: how many times the bootstrap resamples the lifetimes.
        seed: the seed of the bootstrap.
    """

    older_than: int = REFLEX_TRIALS
    min_benefit: float = 0.05
    min_change: float = 0.05
    error_multiple: float = 3.09
    min_strict_transplant: float = 0.02
    strict_error_multiple: float = 1.645
    min_bits: float = 0.05
    min_position: float = 0.5
    min_retention: float = 0.5
    resample_share: float = 0.95
    max_locator_retention: float = MAX_LOCATOR_RETENTION
    min_locator_share: float = 0.8
    max_position: float = 1.2
    resamples: int = 1000
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class Placement:
    """Where a subject stands on the spectrum.

    Attributes:
        level: the rung if lowest and highest coincide, else 'undetermined'.
        lowest: the lowest possible rung: the highest rung whose own threshold is passed.
        highest: the highest possible rung: the lowest rung that at most 5 % of resamples exceed (1 - `resample_share`).
        direction: 'for' or 'against' the pay-off, 'other' for another goal, 'none' below locating.
        probability: the share of resamples in which the rule returns each level; it is not a posterior.
        numbers: the statistics that the rule used.
        reason: the reason in words, and what would settle the placement if it is undetermined.
        axes: readings on other axes, by name; each is a `mesascope.contracts.axis.Verdict` as plain data.
        rule: the constants of the rule.
        flags: whether the level also holds on other distributions of tasks ('far') and after the task changes
            ('flexible'): 'yes', 'no', 'open' or 'not run'. Empty below acquiring.
        span: how many of the subject's last trials are enough for 95 % of its gain, in words; '' if this was not
            measured.
    """

    level: str
    lowest: str
    highest: str
    direction: str
    probability: dict[str, float]
    numbers: dict[str, Any]
    reason: str
    axes: dict[str, Any] = dataclasses.field(default_factory=dict)
    rule: Rule = dataclasses.field(default_factory=Rule)
    flags: dict[str, str] = dataclasses.field(default_factory=dict)
    span: str = ""

    def describe(self) -> str:
        """Describes the placement in one line."""
        if self.lowest != self.highest:
            return f"undetermined: {self.lowest}, perhaps {self.highest}"
        share = f"in {self.probability[self.level]:.0%} of resamples"
        if self.direction == "other":
            share = "with another goal"
        return f"{self.level} ({f'{self.span}; ' if self.span else ''}{share})"

    def _repr_html_(self) -> str:
        """Formats the placement as HTML, for notebooks."""
        import html

        return f"<b>{html.escape(self.describe())}</b><br>{html.escape(self.reason)}"
