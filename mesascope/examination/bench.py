"""Runs each rollout of an examination only once, keeps it for all metrics, and saves it in a folder."""

import contextlib
import functools
import hashlib
import json
import os
import platform
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray as xr

from mesascope import catalogue, trials
from mesascope.contracts import Condition, Family, Intact, Subject, find_kind, identify, parse_task_limit
from mesascope.errors import MesascopeError, pick_named, require
from mesascope.execution import hash_folder
from mesascope.files import limit_size, make_cache_path, replace_when_written
from mesascope.guards import limits
from mesascope.guards.identity import PACKAGE_FOLDER, are_unchanged, list_loaded_modules
from mesascope.questions.spectrum import first_rule
from mesascope.questions.spectrum.placement import Placement, Rule, place
from mesascope.rollouts.rollouts import BLOCK_SIZE, distinct_kinds, rollout

Progress = Callable[[float, str], None]
METADATA_KEY = "dimensions, labels, attributes and the code that was loaded"
MAX_CACHED_BYTES = 1 << 30  # the maximum size of the rollouts in the user's cache (of references and controls)
COMPARED_ROLES = ("learner", "discounting")  # references that run on every split
REFERENCE_SPLITS = {"strongest": ("fresh",), "locator": ("seen", "fresh")}  # splits on which other references run


class Bench:
    """The rollouts of one examination. Each rollout runs once, and is then kept in memory and in a folder.

    Args:
        family: the family on which subjects are examined.
        labels: the labels of the conditions that run on fresh tasks.
        splits: the names of the splits; by default all splits of the family.
        lifetimes: the number of lifetimes on every split.
        seed: the seed of the tasks and of all draws.
        out: a folder for finished rollouts.
        progress: a function that is called with the finished share of the work, and with a text that names what runs.
        rollouts: earlier rollouts by their hash; new rollouts are added to this mapping.
        beyond: for the label of a condition, the kinds of split besides 'fresh' on which the condition also runs.
        together: how many blocks run in one call of the compiled scan, as in `rollout`.
        place_trials: a function that places a subject, from its trials, the trials of the references, the name of its
            training tasks and the rule.
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
        progress: Progress = lambda share, activity: None,
        rollouts: dict[str, xr.Dataset] | None = None,
        beyond: Mapping[str, Sequence[str]] | None = None,
        together: int = 1,
        place_trials: Callable[..., Placement] = place,
    ):
        self.place_trials = place_trials
        self.family, self.lifetimes, self.seed = family, lifetimes, seed
        self.requested, self.out, self.progress, self.together = splits, out, progress, together
        self.done, self.total, self.activity = 0, 1, ""
        self.rollouts = {} if rollouts is None else rollouts
        self.tasks: dict[str, dict[Any, Any]] = {}  # by the name of the family, which contains the bank
        self.identities: dict[int, tuple[Subject, str]] = {}  # identities before the first rollout
        list_loaded_modules()  # hashes the files of modules now, because they may change during the run
        for split in splits or ():
            pick_named("split", split, self._list_all_splits(family))
        self.beyond = dict(beyond or {})
        unique = dict.fromkeys([*(trials.fill_in_trials(label, family.horizon) for label in labels), *self.beyond])
        candidates = [catalogue.make("conditions", label) for label in unique]
        self.conditions = [c for c in candidates if not c.explain_misfit(family)]
        # splits and references are compared by the transplants with the first replicate
        self.compared = [c for c in self.conditions if c.seam is not None and c.draw == 0]
        self.kinds = distinct_kinds(self.conditions)
        self.blocks = -(-lifetimes // BLOCK_SIZE)

    @staticmethod
    def _list_all_splits(family: Family) -> list[str]:
        return ["seen", *(r for r in family.split_names if r != "seen")]

    def list_splits(self, family: Family) -> list[str]:
        """Lists the splits of a family that the caller requested."""
        return [r for r in family.split_names if self.requested is None or r in self.requested]

    def expect_work(self, subjects: int) -> None:
        """Sets the expected amount of work for this number of subjects, in blocks of lifetimes."""
        splits = self._list_all_splits(self.family)
        extra = sum(
            len(self._list_conditions(self.family, split)) - 1 for split in splits if find_kind(split) != "fresh"
        )
        self.total = (subjects * (len(self.conditions) + len(splits) + extra) + 3 * len(splits)) * self.blocks

    def find_family(self, trained_on: str) -> Family:
        """Finds the family with the bank that a subject was trained on, if this bank is known.

        Raises:
            MesascopeError: `trained_on` does not name training tasks.
        """
        if trained_on in ("unlimited", "unknown") or parse_task_limit(trained_on):
            return self.family
        return self.family.with_bank(trained_on)

    def place(self, subject: Subject, trained_on: str, rule: Rule | None = None):
        """Places a subject; returns trials, the references' trials and the placement (None without fresh trials)."""
        family = self.find_family(trained_on)
        trials_by_split, references = self.run_subject(subject, family), self.run_references(family)
        if "fresh" not in trials_by_split:
            return trials_by_split, references, None
        placement = self.place_trials(trials_by_split, references, trained_on, rule)
        if placement.direction == "against":
            references |= self.run_references(family, " against")
            placement = self.place_trials(trials_by_split, references, trained_on, rule)
        return trials_by_split, references, placement

    def run_subject(self, subject: Subject, family: Family, shared: bool = False) -> dict[str, xr.Dataset]:
        """Runs a subject on every split, under the conditions of that split, and returns its trials by split.

        If `shared` is true, rollouts are saved in the user's cache for all examinations, and not in this run's folder.
        """
        trials = {}
        for split in self.list_splits(family):
            conditions, kinds = self._list_conditions(family, split), self._list_compiled_kinds(family, split)
            trials[split] = self._run_or_load(subject, family, split, conditions, kinds, shared=shared)
        return trials

    def _list_conditions(self, family: Family, split: str) -> list[Condition]:
        """Lists the conditions that run on a split.

        All conditions run on fresh tasks. On other splits, the intact condition runs, and the conditions that `beyond`
        names for this kind of split. On counted splits with as many trials as fresh lifetimes, the conditions in
        `self.compared` also run. On splits whose tasks no bank can contain, conditions with shuffled feedback also run.
        """
        if find_kind(split) == "fresh":
            return self.conditions
        labels: set[str] = set()
        task_split = next((s for s in family.splits() if s.name == split), None)
        if task_split is not None:  # a family without a bank has no split 'seen'
            if task_split.is_counted and task_split.trials == family.horizon and split != "seen":
                labels |= {c.label for c in self.compared}
            if task_split.is_beyond_banks:
                labels |= {c for c in first_rule.list_conditions(family.horizon) if c.startswith("feedback_shuffled")}
        labels |= {label for label, kinds in self.beyond.items() if find_kind(split) in kinds}
        return [c for c in self.conditions if type(c).__name__ == "Intact" or c.label in labels]

    def count_responses(self, family: Family) -> int:
        """Counts the responses that `run_subject` requests from a subject, including its responses as a donor."""

        def count(split: str) -> int:
            conditions = self._list_conditions(family, split)
            donors = 0 if family.full_feedback else len({c.draw for c in conditions if c.needs_donors})
            return (sum(c.response_count for c in conditions) + donors) * family.split(split).trials

        return sum(map(count, self.list_splits(family))) * self.blocks * BLOCK_SIZE

    def run_references(self, family: Family, suffix: str = "") -> dict[str, dict[str, xr.Dataset]]:
        """Runs a family's reference procedures on the same tasks, and returns their trials by role and split."""
        references: dict[str, dict[str, xr.Dataset]] = {}
        intact, without_bank = catalogue.make("conditions", "intact"), family.with_bank(None)
        for role in (*COMPARED_ROLES, *(("locator",) if family.bank else ()), *(() if suffix else ("strongest",))):
            if role + suffix not in family.references:
                continue
            home = family if role == "locator" else without_bank
            procedure = catalogue.make("subjects", family.references[role + suffix], home)
            for split in self.list_splits(family):
                if find_kind(split) not in REFERENCE_SPLITS.get(role, (find_kind(split),)):
                    continue
                conditions, change = [intact], family.split(split).change_trial
                if role in COMPARED_ROLES:
                    conditions += [c for c in self._list_conditions(family, split) if c in self.compared]
                if change and role == "learner":
                    conditions.append(catalogue.make("conditions", f"carry_reset:trial={change}"))
                kinds = self._list_compiled_kinds(family, split) if role in COMPARED_ROLES else (intact,)
                family_there = family if split == "seen" else home
                trials = self._run_or_load(procedure, family_there, split, conditions, kinds, shared=True)
                references.setdefault(role + suffix, {})[split] = trials
        return references

    def _list_compiled_kinds(self, family: Family, split: str) -> Sequence[Condition]:
        """Lists the kinds of condition to compile for a split: only 'intact' if its lifetimes have another length."""
        return self.kinds if family.split(split).trials == family.horizon else (Intact(),)

    def _run_or_load(
        self,
        subject: Subject,
        family: Family,
        split: str,
        conditions: Sequence[Condition],
        kinds: Sequence[Condition],
        *,
        shared: bool = False,
    ) -> xr.Dataset:
        """Runs one rollout; if it ran before, takes it from memory or reads it from a file."""
        home = family if split == "seen" else family.with_bank(None)
        home_name = home.name
        inputs = [subject.name, self.get_identity(subject), home_name, home.code(), split, self.lifetimes, self.seed]
        inputs += [c.label for c in conditions] + [_hash_package(), *_describe_machine()]
        digest = hashlib.sha256(json.dumps(inputs).encode()).hexdigest()[:24]
        if digest in self.rollouts:
            return self.rollouts[digest]
        self.activity = f"{subject.name} on {split}"
        # a hash cannot cover everything that other people's code reads, so their rollouts are not shared between runs
        shared = shared and family.traceable and _is_of_package(subject) and _is_of_package(family)
        folder = make_cache_path() if shared else self.out
        path = folder / "rollouts" / f"{digest}.npz" if folder else None
        trials = self._load(path) if path else None
        if trials is not None:
            self._count_blocks(self.blocks * len(conditions))
        else:
            trials = rollout(
                subject,
                family,
                split,
                self.lifetimes,
                self.seed,
                conditions=conditions,
                kinds=kinds,
                record=(),
                log_probs=find_kind(split) in ("fresh", "seen"),  # metrics compare probabilities only on these splits
                done=self._count_blocks,
                tasks=self.tasks.setdefault(home_name, {}) if family.traceable else None,
                together=self.together,
            )
            if shared and path:
                with contextlib.suppress(OSError):  # a rollout that cannot be saved runs again
                    save_rollout(trials, path, code={})
                    limit_size(path.parent, MAX_CACHED_BYTES)
            elif path:
                save_rollout(trials, path)
        self.rollouts[digest] = trials
        return trials

    def get_identity(self, subject: Subject) -> str:
        """Returns the identity that a subject had at the first call; counters in the subject may change later."""
        if id(subject) not in self.identities:
            self.identities[id(subject)] = subject, identify(subject)
        return self.identities[id(subject)][1]

    @staticmethod
    def _load(path: Path) -> xr.Dataset | None:
        """Reads a finished rollout; returns None, and deletes the file, if the file is not usable."""
        try:
            return load_rollout(path) if path.is_file() else None
        except MesascopeError:
            with contextlib.suppress(OSError):  # another user may own the file
                path.unlink()

    def _count_blocks(self, blocks: int) -> None:
        """Adds finished blocks of lifetimes to the count, and reports the progress."""
        self.done += blocks
        self.progress(min(self.done / self.total, 1.0), self.activity)


@functools.cache
def _hash_package() -> str:
    """Hashes the package's code and data, so that rollouts of another version are not used again."""
    return hash_folder(PACKAGE_FOLDER, (".py", ".toml", ".json"), without=PACKAGE_FOLDER / "studies")


def _describe_machine() -> list[str]:
    """Lists what can change the last digits of a rollout: versions of packages, the machine, and settings of JAX."""
    flags = (os.environ.get(name, "") for name in ("XLA_FLAGS", "JAX_ENABLE_X64", "JAX_PLATFORMS"))
    return [jax.__version__, np.__version__, platform.machine(), *flags]


def _is_of_package(module: Subject | Family) -> bool:
    """Checks whether the class of a subject or family belongs to this package."""
    return type(module).__module__.startswith("mesascope.")


def save_rollout(rollout: xr.Dataset, path: Path, code: Mapping[str, Any] | None = None) -> None:
    """Saves the trials of one split as .npz, which is twenty times faster than netCDF.

    Args:
        rollout: the trials.
        path: the file to write.
        code: the state of the modules that the trials depend on; by default the state of all loaded modules.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {
        "dims": {str(name): list(map(str, variable.dims)) for name, variable in rollout.data_vars.items()},
        "coords": {str(name): labels.values.tolist() for name, labels in rollout.coords.items()},
        "attrs": rollout.attrs,
        "code": list_loaded_modules() if code is None else code,
    }
    arrays = {str(name): variable.values for name, variable in rollout.data_vars.items()}
    with replace_when_written(path, os.getpid()) as part, part.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays, **{METADATA_KEY: np.asarray(json.dumps(metadata))})


def load_rollout(path: Path) -> xr.Dataset:
    """Reads a file that `save_rollout` wrote.

    Raises:
        MesascopeError: the file is broken, or another version of the code wrote it.
    """
    try:
        limits.check_npz(path)
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            metadata = limits.parse_json(str(file[METADATA_KEY]))
            data = {name: (dims, file[name]) for name, dims in metadata["dims"].items()}
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        problem = f"{str(path)!r} is not a finished rollout: {type(error).__name__}."
        raise MesascopeError(problem, "Delete it and run again.") from None
    require(are_unchanged(metadata["code"]), f"{str(path)!r} is of another version.", "Delete it and run again.")
    rollout = xr.Dataset(data, coords=metadata["coords"], attrs=metadata["attrs"])
    trials.check_trials(rollout)
    return rollout
