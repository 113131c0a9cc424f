"""Which procedures and settings `acts_like` finds in subjects that are known: python benchmarks/recovery.py.

Writes docs/recovery.md. Every scripted subject plays bernoulli_bandit with two arms for 100 trials and 200 lifetimes,
once per seed; it is compared by its probabilities and by its choices alone, with its procedure in the list and without.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mesascope import catalogue
from mesascope.contracts import Subject
from mesascope.questions.procedures.acts_like import MAX_SHORTFALL, Comparison, compare_fits, list_procedures
from mesascope.questions.procedures.fits import fit
from mesascope.questions.procedures.histories import read_history
from mesascope.rollouts.replays import Replays
from mesascope.rollouts.rollouts import rollout

FAMILY = "bernoulli_bandit:arms=2,trials=100,bank=4"
LIFETIMES = 200
FITTED = "thompson, prior and discount fitted"


class Known(NamedTuple):
    """A simulated subject: its procedure in the list, its settings there, and how far off they may be."""

    spec: str
    procedure: str
    settings: dict[str, float | str | bool]
    error: dict[str, float]


SUBJECTS = (
    Known("uniform", "uniform", {}, {}),
    Known("fixed:arm=1", "fixed", {"arm": 1}, {}),
    Known("biased:ratio=2", "biased", {"choice_0": 2 / 3}, {"choice_0": 0.02}),
    Known("round_robin", "round_robin", {}, {}),
    Known("sticky:stay_probability=0.8", "sticky", {"stay_probability": 0.8}, {"stay_probability": 0.02}),
    Known(
        "win_stay_lose_shift",
        "win_stay_lose_shift",
        {"after_win": 1, "after_loss": 0},
        {"after_win": 0.01, "after_loss": 0.01},
    ),
    Known(
        "win_stay_lose_shift:lapse=0.1",
        "win_stay_lose_shift",
        {"after_win": 0.95, "after_loss": 0.05},
        {"after_win": 0.02, "after_loss": 0.02},
    ),
    Known("two_loss_reflex", "two_loss_reflex", {"losses": 2}, {}),
    Known("two_loss_reflex:losses=4", "two_loss_reflex", {"losses": 4}, {}),
    Known("clock", "clock", {"arm": 0, "trials": 50}, {"trials": 5}),
    Known("random_then_fixed:start=50", "random_then_fixed", {"arm": 0, "start": 50}, {"start": 1}),
    Known("clock_win_stay", "clock_win_stay", {"trials": 50}, {"trials": 5}),
    Known("choice_trace", "choice_trace", {"rate": 0.2, "beta": 4}, {"rate": 0.05, "beta": 0.5}),
    Known("windowed", "windowed", {"window": 10, "focus": 0.9}, {"focus": 0.02}),
    Known("windowed:window=5,focus=0.8", "windowed", {"window": 5, "focus": 0.8}, {"focus": 0.02}),
    Known("greedy", "epsilon_greedy", {"lapse": 0}, {"lapse": 0.01}),
    Known("epsilon_greedy", "epsilon_greedy", {"lapse": 0.1}, {"lapse": 0.02}),
    Known("rescorla_wagner", "rescorla_wagner", {"rate": 0.1, "beta": 5}, {"rate": 0.03, "beta": 1}),
    Known("rescorla_wagner:rate=0.4,beta=3", "rescorla_wagner", {"rate": 0.4, "beta": 3}, {"rate": 0.05, "beta": 0.4}),
    Known("ucb1", "ucb1", {"constant": 0.2}, {"constant": 0.01}),
    Known("ucb1:constant=0.55", "ucb1", {"constant": 0.55}, {"constant": 0.01}),
    Known("ucb1:constant=1.7", "ucb1", {"constant": 1.7}, {"constant": 0.01}),
    Known("explore_then_commit", "explore_then_commit", {"pulls": 25}, {"pulls": 0}),
    Known("delayed_exploiter", "delayed_exploiter", {"start": 30}, {"start": 0}),
    Known("satisficer", "satisficer", {"min_mean": 0.6}, {"min_mean": 0.01}),
    Known("satisficer:min_mean=0.63", "satisficer", {"min_mean": 0.63}, {"min_mean": 0.01}),
    Known("thompson", "thompson", {}, {}),
    Known("thompson:a=8,b=2", FITTED, {"mean": 0.8, "strength": 10}, {"mean": 0.05, "strength": 3}),
    Known("thompson:discount=0.93", FITTED, {"discount": 0.93}, {"discount": 0.02}),
    Known("thompson:should_minimise=True", "thompson:should_minimise=True", {}, {}),
    Known("optimistic_thompson", "optimistic_thompson", {}, {}),
    Known("delayed", "delayed", {"is_aware": True}, {}),
    Known("delayed:is_aware=False", "delayed", {"is_aware": False}, {}),
    Known("early_only", "early_only", {"trials": 20}, {"trials": 1}),
    Known("change_point_thompson", "change_point_thompson", {"hazard": 0.02}, {"hazard": 0.01}),
    Known("gittins", "gittins", {"discount": 0.98}, {"discount": 0.01}),
    Known("gittins:discount=0.97", "gittins", {"discount": 0.97}, {"discount": 0.01}),
    Known("gittins:discount=0.55", "gittins", {"discount": 0.55}, {"discount": 0.01}),
    Known("gittins:discount=0", "gittins", {"discount": 0}, {}),
    Known("bayes_optimal", "bayes_optimal", {}, {}),
    Known("feedback_hash", "feedback_hash", {}, {}),
    Known("hash_commit", "hash_commit", {"trials": 20}, {"trials": 0}),
    Known("locator", "locator", {}, {}),
)
RELATED = {"thompson": (FITTED,), FITTED: ("thompson",)}  # left out together


def pick(only: str) -> list[Known]:
    """The subjects of the procedures whose names `only` joins by commas; all for ''."""
    return [known for known in SUBJECTS if not only or known.procedure in only.split(",")]


class Recovered(NamedTuple):
    """What was found of one simulated subject, with its procedure in the list and without."""

    known: Known
    found: Comparison
    without: Comparison

    @property
    def right(self) -> bool:
        """Whether the class that is named holds the procedure."""
        return not self.found.has_no_match and self.known.procedure in self.found.names()

    @property
    def name(self) -> str:
        """What is named."""
        return "none of these" if self.found.has_no_match else self.found.names()[0]

    def fitted(self) -> dict[str, Any]:
        """The settings found of its own procedure."""
        return next(f for f in self.found.fits if f.procedure.name == self.known.procedure).summarise_settings()


def recover(known: Known, seed: int, lifetimes: int = LIFETIMES) -> dict[bool, Recovered]:
    """Simulates one subject and asks what it acts like, by its probabilities (True) and by its choices (False)."""
    family = catalogue.make("families", FAMILY)
    subject: Subject = catalogue.make("subjects", known.spec, family)
    lived = rollout(subject, family, "fresh", lifetimes, seed)
    seen = read_history(lived)
    fitted = [fit(p, seen) for p in list_procedures(lived, (), Replays(subject), lifetime_count=lifetimes)]
    out = (known.procedure, *RELATED.get(known.procedure, ()))
    rest = [f for f in fitted if f.procedure.name not in out]
    return {
        exact: Recovered(
            known, _light(compare_fits(lived, seen, fitted, exact)), _light(compare_fits(lived, seen, rest, exact))
        )
        for exact in (True, False)
    }


def _light(found: Comparison) -> Comparison:
    """The same without the predictions, which are large."""
    return found._replace(fits=[f._replace(held_out_probabilities=f.held_out_probabilities[:0]) for f in found.fits])


def page(recovered: dict[tuple[bool, int], list[Recovered]], seeds: int, only: str = "") -> str:
    """docs/recovery.md, or the same of some procedures only, whose names `only` joins by commas."""
    subjects, chosen = pick(only), f" --only {only}" if only else ""
    by = {True: "by probabilities", False: "by choices"}
    share = {exact: np.mean([r.right for s in range(seeds) for r in recovered[exact, s]]) for exact in (True, False)}
    out = [
        "# Recovery of procedures and settings by `acts_like`",
        "",
        f"Written by `python benchmarks/recovery.py --seeds {seeds}{chosen}`. Each simulated subject plays "
        f"`{FAMILY}` for {LIFETIMES} lifetimes on fresh tasks; {seeds} seeds. "
        "'By choices' uses only what a log contains.",
        "",
        f"The named class contains the true procedure in {share[True]:.1%} of "
        f"{seeds * len(subjects)} runs by probabilities and in {share[False]:.1%} by choices.",
        "",
        "The settings of a procedure are fitted to one half of the lifetimes and scored on the other half, in both "
        "directions, so no further penalty is needed. 'None of these' means that even the best procedure does not "
        "fit. By probabilities, this means that the Kullback-Leibler divergence of the subject from this procedure is "
        f"above {MAX_SHORTFALL[True]} nats per trial. By choices, it means that a flexible model of the same histories "
        f"predicts held-out lifetimes better than this procedure, by more than {MAX_SHORTFALL[False]} nats and by more "
        "than 3.09 standard errors.",
        "",
        "## Which procedure",
        "",
        "'Right' is the number of seeds in which the named class contains the true procedure. 'Left out' is the answer "
        "if the true procedure is removed from the list (first seed; in brackets, the misfit in nats per trial).",
        "",
        "| subject | right, probabilities | right, choices | class named (first seed) "
        "| left out, probabilities | left out, choices |",
        "|---|---|---|---|---|---|",
    ]
    for i, known in enumerate(subjects):
        right = {e: sum(recovered[e, s][i].right for s in range(seeds)) for e in by}
        first = recovered[True, 0][i]
        aside = []
        for exact in by:
            c = recovered[exact, 0][i].without
            said = "none of these" if c.has_no_match else f"acts like {c.names()[0]}"
            aside.append(f"{said} ({c.shortfall.mean():.3f})")
        names = ", ".join(first.found.names()[:6]) + (" …" if len(first.found.names()) > 6 else "")
        out.append(
            f"| {known.spec} | {right[True]}/{seeds} | {right[False]}/{seeds} | {names} | {aside[0]} | {aside[1]} |"
        )
    out += [
        "",
        "## Which settings",
        "",
        "'Found' is the mean over both halves of the lifetimes, from its smallest to its largest value over the seeds. "
        "The fits use only the choices.",
        "",
        "| subject | setting | true | found | allowed |",
        "|---|---|---|---|---|",
    ]
    for i, known in enumerate(subjects):
        for name, true in known.settings.items():
            got = [recovered[True, s][i].fitted()[name] for s in range(seeds)]
            numbers = all(isinstance(g, int | float) and not isinstance(g, bool) for g in got)
            told = f"{min(got):.4g} to {max(got):.4g}" if numbers else ", ".join(sorted({str(g) for g in got}))
            shown = f"{true:.4g}" if isinstance(true, float) else str(true)
            out.append(f"| {known.spec} | {name} | {shown} | {told} | ± {known.error.get(name, 0)} |")
    out += ["", *_confusion(recovered, seeds)]
    return "\n".join(out) + "\n"


def _confusion(recovered: dict[tuple[bool, int], list[Recovered]], seeds: int) -> list[str]:
    """The runs that were not named right."""
    out = ["## Not named right", "", "| subject | seed | by | named |", "|---|---|---|---|"]
    for (exact, seed), rows in recovered.items():
        out += [
            f"| {r.known.spec} | {seed} | {'probabilities' if exact else 'choices'} | {r.name} |"
            for r in rows
            if not r.right
        ]
    return out if len(out) > 4 else ["In all runs the named class contained the true procedure."]


def main() -> None:
    """Simulates, compares, writes the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", default=str(Path(__file__).parents[1] / "docs" / "recovery.md"))
    parser.add_argument("--only", default="", help="procedures, joined by commas; all by default")
    given = parser.parse_args()
    recovered: dict[tuple[bool, int], list[Recovered]] = {}
    for seed in range(given.seeds):
        for known in pick(given.only):
            both = recover(known, seed + 1)
            for exact, one in both.items():
                recovered.setdefault((exact, seed), []).append(one)
            told = [f"{r.name} ({r.found.shortfall.mean():.4f})" for r in both.values()]
            wrong = "" if all(r.right for r in both.values()) else "  NOT RIGHT"
            print(f"seed {seed}, {known.spec}: {' | '.join(told)}{wrong}", flush=True)
    Path(given.out).write_text(page(recovered, given.seeds, given.only))


if __name__ == "__main__":
    main()
