"""The rollouts of one examination: each made once, shared by all that need it, kept in a folder."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr

import mesascope
from mesascope import catalogue, kept, trials
from mesascope.conditions import Condition, Intact
from mesascope.errors import MesascopeError, unknown
from mesascope.families import Family, kind
from mesascope.identity import loaded
from mesascope.placement import Rule, conditions, place
from mesascope.processes import fingerprint
from mesascope.rollouts import BLOCK, distinct, rollout
from mesascope.subjects import Subject, essence

Progress = Callable[[float, str], None]
COMPARED = ("learner", "discounting")  # references that live on every ring


class Bench:
    """The rollouts of one examination: each made once, shared by all that need it, kept in a folder.

    Args:
        family: what is lived.
        labels: of the conditions that are lived on fresh tasks.
        rings: which rings; by default all of the family.
        lifetimes: N on every ring.
        seed: of the tasks and all draws.
        out: a folder in which finished rollouts are kept.
        progress: called with the share that is done and what is being done.
        made: rollouts that were made before.
        beyond: labels of conditions that are lived on rings of other kinds too, with those kinds.
        together: blocks that one call of the compiled scan lives, for subjects whose responses cost next to nothing.
    """

    def __init__(
        self,
        family: Family,
        labels: Sequence[str],
        rings: Sequence[str] | None = None,
        lifetimes: int = 256,
        seed: int = 0,
        out: Path | None = None,
        progress: Progress = lambda share, doing: None,
        made: dict[str, xr.Dataset] | None = None,
        beyond: Mapping[str, Sequence[str]] | None = None,
        together: int = 1,
    ):
        self.family, self.lifetimes, self.seed = family, lifetimes, seed
        self.wanted, self.out, self.progress, self.together = rings, out, progress, together
        self.done, self.total, self.doing = 0, 1, ""
        self.made = {} if made is None else made
        self.tasks: dict[str, dict[Any, Any]] = {}  # by the family's name, with its bank
        self.essences: dict[int, tuple[Subject, str]] = {}  # as they were before they lived
        loaded()  # as the files are now: later they may hold other code than what runs
        for ring in rings or ():
            if ring not in self._known(family):
                raise unknown("ring", ring, self._known(family))
        parts = {
            "half": family.horizon // 2,
            "tenth": family.horizon // 10,
            "few": trials.few(family.horizon),
        }
        self.beyond = dict(beyond or {})
        unique = dict.fromkeys([*(label.format(**parts) for label in labels), *self.beyond])
        asked = [catalogue.make("conditions", label) for label in unique]
        self.conditions = [c for c in asked if not c.unfit(family)]
        self.kinds = distinct(self.conditions)
        self.blocks = -(-lifetimes // BLOCK)

    @staticmethod
    def _known(family: Family) -> list[str]:
        return ["seen", *(r for r in family.rings() if r != "seen")]

    def rings(self, family: Family) -> list[str]:
        """The rings of a family that were asked for."""
        return [r for r in family.rings() if self.wanted is None or r in self.wanted]

    def expect(self, subjects: int) -> None:
        """Sets the amount of work to come, in blocks of lifetimes."""
        rings = self._known(self.family)
        more = sum(len(self._here(self.family, ring)) - 1 for ring in rings if kind(ring) != "fresh")
        self.total = (subjects * (len(self.conditions) + len(rings) + more) + 3 * len(rings)) * self.blocks

    def home(self, trained_on: str) -> Family:
        """The family with the bank that a subject was trained on, where it was."""
        return self.family if trained_on in ("unlimited", "unknown") else self.family.banked(trained_on)

    def place(self, subject: Subject, trained_on: str, rule: Rule | None = None):
        """A subject's trials, the references on the same tasks, and its placement (None without the fresh ring)."""
        family = self.home(trained_on)
        lived, references = self.live(subject, family), self.references(family)
        if "fresh" not in lived:
            return lived, references, None
        placement = place(lived, references, trained_on, rule)
        if placement.direction == "against":
            references |= self.references(family, " against")
            placement = place(lived, references, trained_on, rule)
        return lived, references, placement

    def live(self, subject: Subject, family: Family) -> dict[str, xr.Dataset]:
        """A subject's trials on every ring: all conditions where they belong, intact elsewhere."""
        out = {}
        for ring in self.rings(family):
            out[ring] = self._roll(subject, family, ring, self._here(family, ring), self._held(family, ring))
        return out

    def _here(self, family: Family, ring: str) -> list[Condition]:
        """The conditions of a ring: all on fresh tasks; the placement's shuffled ones where no bank could hold them,
        and those that go beyond fresh tasks.
        """
        if kind(ring) == "fresh":
            return self.conditions
        shuffled = set(conditions(family.horizon)) if ring in family.inexpressible else set()
        placed = [c for c in self.conditions if c.needs_donors and not c.one_step and c.label in shuffled]
        placed += [c for c in self.conditions if kind(ring) in self.beyond.get(c.label, ())]
        return [c for c in self.conditions if type(c).__name__ == "Intact" or c in placed]

    def responses(self, family: Family) -> int:
        """The responses that `live` asks of a subject, donors included."""
        many = 0
        for ring in self.rings(family):
            here = self._here(family, ring)
            donors = 0 if family.tells_anyway else len({c.draw for c in here if c.needs_donors})
            many += (sum(c.asks for c in here) + donors) * family.trials(ring)
        return many * self.blocks * BLOCK

    def references(self, family: Family, suffix: str = "") -> dict[str, dict[str, xr.Dataset]]:
        """The reference procedures of a family on the same tasks, by role."""
        out: dict[str, dict[str, xr.Dataset]] = {}
        intact, unbanked = catalogue.make("conditions", "intact"), family.banked(None)
        for role in (*COMPARED, *(("locator",) if family.bank else ()), *(() if suffix else ("strongest",))):
            if role + suffix not in family.references:
                continue
            home = family if role == "locator" else unbanked
            procedure = catalogue.make("subjects", family.references[role + suffix], home)
            for ring in self.rings(family):
                if (role == "strongest" and ring != "fresh") or (
                    role == "locator" and kind(ring) not in ("seen", "fresh")
                ):
                    continue
                change = family.changes(ring)
                restart = (
                    [catalogue.make("conditions", f"carry_reset:at={change}")]
                    if change and role == "learner"
                    else []
                )
                kinds = self._held(family, ring) if role in COMPARED else (intact,)
                lived = self._roll(
                    procedure, family if ring == "seen" else home, ring, [intact, *restart], kinds
                )
                out.setdefault(role + suffix, {})[ring] = lived
        return out

    def _held(self, family: Family, ring: str) -> Sequence[Condition]:
        """The kinds of condition in the compiled lifetimes of a ring: intact alone where another length is compiled."""
        return self.kinds if family.trials(ring) == family.horizon else (Intact(),)

    def _roll(self, subject, family, ring, conditions, kinds) -> xr.Dataset:
        """One rollout, from memory or from the folder where it was made before."""
        home = family if ring == "seen" else family.banked(None)
        where = home.name
        told = [subject.name, self.essence(subject), where, home.code(), ring, self.lifetimes, self.seed]
        told += [c.label for c in conditions] + [_code()]
        digest = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:24]
        if digest in self.made:
            return self.made[digest]
        self.doing = f"{subject.name} on {ring}"
        path = self.out / "rollouts" / f"{digest}.npz" if self.out else None
        if path and path.is_file():
            try:
                lived = kept.get(path)
                self._tick(self.blocks * len(conditions))
            except MesascopeError:
                path.unlink()
                return self._roll(subject, family, ring, conditions, kinds)
        else:
            stated = kind(ring) in ("fresh", "seen")  # elsewhere no probe compares probabilities
            tasks = self.tasks.setdefault(where, {}) if family.traceable else None
            lived = rollout(
                subject,
                family,
                ring,
                self.lifetimes,
                self.seed,
                conditions,
                kinds,
                (),
                stated,
                self._tick,
                tasks,
                self.together,
            )
            if path:
                kept.put(lived, path)
        self.made[digest] = lived
        return lived

    def essence(self, subject: Subject) -> str:
        """What tells a subject from others, as it was when this was first asked: what it counts since is no part."""
        if id(subject) not in self.essences:
            self.essences[id(subject)] = subject, essence(subject)
        return self.essences[id(subject)][1]

    def _tick(self, blocks: int) -> None:
        self.done += blocks
        self.progress(min(self.done / self.total, 1.0), self.doing)


@functools.cache
def _code() -> str:
    """Of the package: what other code lived is not taken for this one's."""
    return fingerprint(Path(mesascope.__file__).parent, (".py",))
