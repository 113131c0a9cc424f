"""The rollouts of one examination: each made once, shared by all that need it, kept in a folder."""

import functools
import hashlib
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import mesascope
from mesascope import catalogue, trials
from mesascope.contracts.condition import Condition, Intact
from mesascope.contracts.family import Family
from mesascope.contracts.split import kind
from mesascope.contracts.subject import Subject, identify
from mesascope.errors import MesascopeError, unknown
from mesascope.execution import fingerprint
from mesascope.files import replacing
from mesascope.guards import limits
from mesascope.guards.identity import is_unchanged, loaded_modules
from mesascope.questions.spectrum.placement import Rule, conditions, place
from mesascope.rollouts.rollouts import BLOCK, distinct_kinds, rollout

Progress = Callable[[float, str], None]
LABELS = "labels of the conditions"
TOLD = "dimensions, attributes and the code that was loaded"
COMPARED = ("learner", "discounting")  # references that live on every split
REFERRED = {"strongest": ("fresh",), "locator": ("seen", "fresh")}  # splits of the others


class Bench:
    """The rollouts of one examination: each made once, shared by all that need it, kept in a folder.

    Args:
        family: what is lived.
        labels: of the conditions that are lived on fresh tasks.
        splits: which splits; by default all of the family.
        lifetimes: N on every split.
        seed: of the tasks and all draws.
        out: a folder in which finished rollouts are kept.
        progress: called with the share that is done and what is being done.
        made: rollouts that were made before.
        beyond: labels of conditions that are lived on splits of other kinds too, with those kinds.
        together: blocks that one call of the compiled scan lives, for subjects whose responses cost next to nothing.
    """

    def __init__(
        self,
        family: Family,
        labels: Sequence[str],
        splits: Sequence[str] | None = None,
        lifetimes: int = 256,
        seed: int = 0,
        *,
        out: Path | None = None,
        progress: Progress = lambda share, doing: None,
        made: dict[str, xr.Dataset] | None = None,
        beyond: Mapping[str, Sequence[str]] | None = None,
        together: int = 1,
    ):
        self.family, self.lifetimes, self.seed = family, lifetimes, seed
        self.wanted, self.out, self.progress, self.together = splits, out, progress, together
        self.done, self.total, self.doing = 0, 1, ""
        self.made = {} if made is None else made
        self.tasks: dict[str, dict[Any, Any]] = {}  # by the family's name, with its bank
        self.essences: dict[int, tuple[Subject, str]] = {}  # as they were before they lived
        loaded_modules()  # as the files are now: later they may hold other code than what runs
        for split in splits or ():
            if split not in self._known(family):
                raise unknown("split", split, self._known(family))
        self.beyond = dict(beyond or {})
        unique = dict.fromkeys([*(trials.spell_out(label, family.horizon) for label in labels), *self.beyond])
        asked = [catalogue.make("conditions", label) for label in unique]
        self.conditions = [c for c in asked if not c.unfit(family)]
        self.kinds = distinct_kinds(self.conditions)
        self.blocks = -(-lifetimes // BLOCK)

    @staticmethod
    def _known(family: Family) -> list[str]:
        return ["seen", *(r for r in family.split_names if r != "seen")]

    def splits(self, family: Family) -> list[str]:
        """The splits of a family that were asked for."""
        return [r for r in family.split_names if self.wanted is None or r in self.wanted]

    def expect(self, subjects: int) -> None:
        """Sets the amount of work to come, in blocks of lifetimes."""
        splits = self._known(self.family)
        more = sum(len(self._here(self.family, split)) - 1 for split in splits if kind(split) != "fresh")
        self.total = (subjects * (len(self.conditions) + len(splits) + more) + 3 * len(splits)) * self.blocks

    def home(self, trained_on: str) -> Family:
        """The family with the bank that a subject was trained on, where it was."""
        return self.family if trained_on in ("unlimited", "unknown") else self.family.with_bank(trained_on)

    def place(self, subject: Subject, trained_on: str, rule: Rule | None = None):
        """A subject's trials, the references on the same tasks, and its placement (None without the fresh split)."""
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
        """A subject's trials on every split: all conditions where they belong, intact elsewhere."""
        return {
            split: self._roll(subject, family, split, self._here(family, split), self._held(family, split))
            for split in self.splits(family)
        }

    def _here(self, family: Family, split: str) -> list[Condition]:
        """The conditions of a split: all on fresh tasks; the placement's shuffled ones where no bank could hold them,
        and those that go beyond fresh tasks.
        """
        if kind(split) == "fresh":
            return self.conditions
        beyond_banks = {s.name for s in family.splits() if s.beyond_banks}
        shuffled = set(conditions(family.horizon)) if split in beyond_banks else set()
        placed = [c for c in self.conditions if c.needs_donors and not c.one_step and c.label in shuffled]
        placed += [c for c in self.conditions if kind(split) in self.beyond.get(c.label, ())]
        return [c for c in self.conditions if type(c).__name__ == "Intact" or c in placed]

    def responses(self, family: Family) -> int:
        """The responses that `live` asks of a subject, donors included."""

        def asked(split: str) -> int:
            here = self._here(family, split)
            donors = 0 if family.full_feedback else len({c.draw for c in here if c.needs_donors})
            return (sum(c.asks for c in here) + donors) * family.split(split).trials

        return sum(map(asked, self.splits(family))) * self.blocks * BLOCK

    def references(self, family: Family, suffix: str = "") -> dict[str, dict[str, xr.Dataset]]:
        """The reference procedures of a family on the same tasks, by role."""
        out: dict[str, dict[str, xr.Dataset]] = {}
        intact, unbanked = catalogue.make("conditions", "intact"), family.with_bank(None)
        for role in (*COMPARED, *(("locator",) if family.bank else ()), *(() if suffix else ("strongest",))):
            if role + suffix not in family.references:
                continue
            home = family if role == "locator" else unbanked
            procedure = catalogue.make("subjects", family.references[role + suffix], home)
            for split in self.splits(family):
                if kind(split) not in REFERRED.get(role, (kind(split),)):
                    continue
                conditions, change = [intact], family.split(split).changes_at
                if change and role == "learner":
                    conditions.append(catalogue.make("conditions", f"carry_reset:at={change}"))
                kinds = self._held(family, split) if role in COMPARED else (intact,)
                where = family if split == "seen" else home
                lived = self._roll(procedure, where, split, conditions, kinds)
                out.setdefault(role + suffix, {})[split] = lived
        return out

    def _held(self, family: Family, split: str) -> Sequence[Condition]:
        """The kinds of condition in the compiled lifetimes of a split: intact alone where their length differs."""
        return self.kinds if family.split(split).trials == family.horizon else (Intact(),)

    def _roll(
        self,
        subject: Subject,
        family: Family,
        split: str,
        conditions: Sequence[Condition],
        kinds: Sequence[Condition],
    ) -> xr.Dataset:
        """One rollout, from memory or from the folder where it was made before."""
        home = family if split == "seen" else family.with_bank(None)
        where = home.name
        told = [subject.name, self.essence(subject), where, home.code(), split, self.lifetimes, self.seed]
        told += [c.label for c in conditions] + [_code()]
        digest = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:24]
        if digest in self.made:
            return self.made[digest]
        self.doing = f"{subject.name} on {split}"
        path = self.out / "rollouts" / f"{digest}.npz" if self.out else None
        if path and path.is_file():
            try:
                lived = load_rollout(path)
                self._tick(self.blocks * len(conditions))
            except MesascopeError:
                path.unlink()
                return self._roll(subject, family, split, conditions, kinds)
        else:
            stated = kind(split) in ("fresh", "seen")  # elsewhere no metric compares probabilities
            tasks = self.tasks.setdefault(where, {}) if family.traceable else None
            lived = rollout(
                subject,
                family,
                split,
                self.lifetimes,
                self.seed,
                conditions=conditions,
                kinds=kinds,
                record=(),
                log_probs=stated,
                done=self._tick,
                tasks=tasks,
                together=self.together,
            )
            if path:
                save_rollout(lived, path)
        self.made[digest] = lived
        return lived

    def essence(self, subject: Subject) -> str:
        """What tells a subject from others, as it was when this was first asked: what it counts since is no part."""
        if id(subject) not in self.essences:
            self.essences[id(subject)] = subject, identify(subject)
        return self.essences[id(subject)][1]

    def _tick(self, blocks: int) -> None:
        self.done += blocks
        self.progress(min(self.done / self.total, 1.0), self.doing)


@functools.cache
def _code() -> str:
    """Of the package: what other code lived is not taken for this one's."""
    return fingerprint(Path(mesascope.__file__).parent, (".py",))


def save_rollout(rollout: xr.Dataset, path: Path) -> None:
    """Keeps one split's trials until the run is whole: one plain .npz, twenty times faster than netCDF."""
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {
        "dims": {str(name): list(map(str, v.dims)) for name, v in rollout.data_vars.items()},
        "attrs": rollout.attrs,
        "code": loaded_modules(),
    }
    arrays = {str(name): v.values for name, v in rollout.data_vars.items()}
    labels = np.asarray(rollout.condition.values.tolist(), np.str_)
    with replacing(path) as part, part.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays, **{LABELS: labels, TOLD: np.asarray(json.dumps(told))})


def load_rollout(path: Path) -> xr.Dataset:
    """Reads what `keep` wrote.

    Raises:
        MesascopeError: it is broken, or other code lived it.
    """
    try:
        limits.check_npz(path)
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            told = limits.parse_json(str(file[TOLD]))
            data = {name: (dims, file[name]) for name, dims in told["dims"].items()}
            labels = file[LABELS].tolist()
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise MesascopeError(
            f"{str(path)!r} is no finished rollout: {type(error).__name__}.", "Delete it and run again."
        ) from None
    if not is_unchanged(told["code"]):
        raise MesascopeError(f"{str(path)!r} was lived by other code.", "Delete it and run again.")
    rollout = xr.Dataset(data, coords={"condition": labels}, attrs=told["attrs"])
    trials.check(rollout)
    return rollout
