"""Words for what was seen: text from users made plain, names of conditions and rings, short sentences."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from mesascope.reporting.headlines import found, loss

if TYPE_CHECKING:
    from mesascope.examination import Examination
    from mesascope.findings import Finding

COUNTED = ("seen", "fresh", "shifted", "exchanged", "restructured")  # kinds of ring that a placement can read
HIDDEN = ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp")  # categories of characters that steer and are not seen


def plain(text: object) -> str:
    """Text from anyone as one line of visible characters: what steers a terminal or breaks XML is shown as �."""
    spaced = str(text).replace("\r\n", " ").replace("\n", " ").replace("\t", " ")
    return "".join("\ufffd" if unicodedata.category(c) in HIDDEN else c for c in spaced)


def cut(text: object, longest: int) -> str:
    """Plain text, shortened in its middle where it is longer than that."""
    line = plain(text)
    if len(line) <= longest:
        return line
    tail = longest // 3
    return f"{line[: longest - tail - 1]}…{line[len(line) - tail :]}"


def condition(label: str) -> str:
    """A condition in words; its label where there are none."""
    name, _, rest = label.partition(":")
    told = dict(pair.partition("=")[::2] for pair in rest.split(",") if "=" in pair)
    at = f" at trial {told['at']}" if told.get("at") else ""
    if name == "intact":
        return "undisturbed"
    if name == "feedback_shuffled" and "older_than" in told:
        return f"feedback older than {told['older_than']} from other lifetimes"
    if name == "carry_reset":
        return f"carry made fresh once,{at}" if at else "carry made fresh before every trial"
    if name == "carry_frozen" and at:
        return f"carry kept as it was{at}"
    if name == "carry_swapped" and at:
        return f"carry exchanged with another lifetime's{at}"
    if name == "observation_swapped":
        return "observation from another lifetime"
    if name == "percept_masked":
        return f"percept masked: {rest}" if rest else "percept masked"
    return label


def ring(name: str) -> str:
    """A ring in words."""
    kind, _, variant = name.partition(":")
    head = {"seen": "seen (its training tasks)", "fresh": "fresh (never seen)", "logged": "as logged"}.get(
        kind
    )
    return head or (f"{kind}: {variant}" if variant else kind)


def counted(name: str) -> bool:
    """Whether a placement can read the ring; the others are reported only."""
    return name.partition(":")[0] in COUNTED


def brief(finding: Finding | None) -> str:
    """Estimate and interval to two places; a dash where there is nothing."""
    if finding is None:
        return "–"
    if finding.status != "measured" or finding.estimate is None:
        return finding.status
    if finding.low is None or finding.high is None:
        return f"{finding.estimate:.2f}"
    return f"{finding.estimate:.2f} [{finding.low:.2f}, {finding.high:.2f}]"


def sentences(examination: Examination) -> list[str]:
    """What was seen of one subject, in short sentences; only of what was measured."""
    gained = found(examination, "performance", "fresh")
    out = []
    if gained:
        out.append(
            f"On fresh tasks it gained {gained.estimate:.2f} of what the best act would gain over chance."
        )
    rise = found(examination, "adaptation")
    if rise:
        what = "pay-off" if rise.reason == "realised pay-off" else "gain"
        out.append(_rise(rise, what))
    shuffled = loss(examination, "shuffling")
    if gained and shuffled:
        after = shuffled.settings.get("older_than", "a few")
        out.append(
            f"When feedback older than {after} trials came from other lifetimes, {_change(gained, shuffled)}."
        )
    reset = loss(examination, "reset")
    if gained and reset:
        out.append(f"When its carry was made fresh before every trial, {_change(gained, reset)}.")
    percept = found(examination, "dependence_on_percept: feedback flipped")
    carry = found(examination, "dependence_on_carry: another lifetime's carry")
    if percept and carry:
        out.append(
            f"Flipping only the last feedback changed {percept.estimate:.2f} of its next choices; "
            f"putting another lifetime's carry in place changed {carry.estimate:.2f}."
        )
    place = found(examination, "locate_or_learn: position")
    if place and examination.trained_on.startswith("bank"):
        out.append(
            f"Between the ideal locator of its bank (0) and a procedure that does as well on any task (1) it stands at "
            f"{brief(place)}."
        )
    return out


def _rise(rise: Finding, what: str) -> str:
    assert rise.estimate is not None and rise.low is not None and rise.high is not None
    if rise.low <= 0 <= rise.high:
        return f"From the first tenth of a lifetime to its last quarter its {what} did not change beyond the interval."
    return (
        f"From the first tenth of a lifetime to its last quarter its {what} "
        f"{'rose' if rise.estimate > 0 else 'fell'} by {abs(rise.estimate):.2f}."
    )


def _change(before: Finding, lost: Finding) -> str:
    """'its gain fell from 0.88 to 0.08'."""
    assert before.estimate is not None and lost.estimate is not None
    after = before.estimate - lost.estimate
    if lost.exactly and lost.estimate == 0:
        return f"its gain stayed exactly {before.estimate:.2f}"
    if lost.low is not None and lost.high is not None and lost.low <= 0 <= lost.high:
        return f"its gain went from {before.estimate:.2f} to {after:.2f}, no more than chance explains"
    return f"its gain {'fell' if lost.estimate > 0 else 'rose'} from {before.estimate:.2f} to {after:.2f}"
