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
from mesascope.contracts import Condition, Family, Intact, Subject, get_split_kind, identify, parse_task_limit
from mesascope.errors import MesascopeError, require, require_known_name
from mesascope.files import PROCESS_NAME, hash_folder, limit_folder_size, make_cache_path, replace_when_written
from mesascope.guards import limits
from mesascope.guards.identity import PACKAGE_FOLDER, are_modules_unchanged, list_loaded_modules
from mesascope.questions.spectrum import first_rule
from mesascope.questions.spectrum.placement import Placement, Rule, place
from mesascope.rollouts.rollouts import BLOCK_SIZE, find_condition_examples, rollout

ProgressFunction = Callable[[float, str], None]
METADATA_KEY = "dimensions, labels, attributes and the code that was loaded"
MAX_CACHED_BYTES = 1 << 30  # the maximum size of the rollouts in the user's cache (of references and controls)
COMPARED_ROLES = ("learner", "discounting")  # references that run on every split
SPLIT_KINDS_WITH_LOG_PROBS = ("fresh", "seen")  # metrics compare probabilities only on these splits
REFERENCE_SPLIT_KINDS = {"strongest": ("fresh",), "locator": ("seen", "fresh")}  # splits on which other references run


class RolloutCache:
    """The rollouts of one examination. Each rollout runs once, and is then kept in memory and in a folder.

    Args:
        family: the family on which subjects are examined.
        condition_labels: the labels of the conditions that run on fresh tasks.
        splits: the names of the splits; by default all splits of the family.
        lifetimes: the number of lifetimes on every split.
        seed: the seed of the tasks and of all draws.
        out: a folder for finished rollouts; None to keep them in memory only.
        progress: a function that is called with the finished share of the work, and with a text that names what runs.
        rollouts: earlier rollouts by the hash of their inputs; new rollouts are added to this mapping.
        extra_split_kinds: for the label of a condition, the kinds of split besides 'fresh' on which the condition also
            runs.
        blocks_per_call: how many blocks run in one call of the compiled scan, as in `rollout`.
        place_trials: a function that returns a subject's placement from four arguments: the subject's trials, the
            trials of the references, the name of the subject's training tasks, and the rule.
    """

    def __init__(
        self,
        family: Family,
        condition_labels: Sequence[str],
        splits: Sequence[str] | None = None,
        lifetimes: int = 256,
        seed: int = 0,
        *,
        out: Path | None = None,
        progress: ProgressFunction = lambda share, activity: None,
        rollouts: dict[str, xr.Dataset] | None = None,
        extra_split_kinds: Mapping[str, Sequence[str]] | None = None,
        blocks_per_call: int = 1,
        place_trials: Callable[..., Placement] = place,
    ):
        self.place_trials = place_trials
        self.family, self.lifetimes, self.seed = family, lifetimes, seed
        self.requested_splits, self.out, self.progress, self.blocks_per_call = splits, out, progress, blocks_per_call
        self.finished_blocks, self.total_blocks, self.activity = 0, 1, ""
        self.rollouts = {} if rollouts is None else rollouts
        self.tasks: dict[str, dict[Any, Any]] = {}  # by the name of the family, which contains the bank
        self.identities: dict[int, tuple[Subject, str]] = {}  # identities before the first rollout
        list_loaded_modules()  # hashes the files of modules now, because they may change during the run
        for split in splits or ():
            require_known_name("split", split, self._list_all_splits(family))
        self.extra_split_kinds = dict(extra_split_kinds or {})
        unique = dict.fromkeys(
            [
                *(trials.fill_in_trial_counts(label, family.horizon) for label in condition_labels),
                *self.extra_split_kinds,
            ]
        )
        candidates = [catalogue.make("conditions", label) for label in unique]
        self.conditions = [c for c in candidates if not c.explain_mismatch(family)]
        # splits and references are compared by the transplants with the first replicate
        transplants = [c for c in self.conditions if c.trials_since_transplant is not None]
        self.compared_conditions = [c for c in transplants if c.replicate_number == 0]
        self.compiled_conditions = find_condition_examples(self.conditions)
        self.block_count = -(-lifetimes // BLOCK_SIZE)

    @staticmethod
    def _list_all_splits(family: Family) -> list[str]:
        return ["seen", *(r for r in family.split_names if r != "seen")]

    def list_splits(self, family: Family) -> list[str]:
        """Lists the names of a family's splits, without those that the caller did not request."""
        return [r for r in family.split_names if self.requested_splits is None or r in self.requested_splits]

    def set_expected_work(self, subject_count: int) -> None:
        """Sets the expected amount of work for this number of subjects, in blocks of lifetimes."""
        splits = self._list_all_splits(self.family)
        extra = sum(
            len(self._list_conditions(self.family, split)) - 1 for split in splits if get_split_kind(split) != "fresh"
        )
        self.total_blocks = (
            subject_count * (len(self.conditions) + len(splits) + extra) + 3 * len(splits)
        ) * self.block_count

    def find_family(self, trained_on: str) -> Family:
        """Finds the family with the bank that a subject was trained on, if this bank is known.

        Raises:
            MesascopeError: `trained_on` does not name training tasks, or the family has no such bank.
        """
        if trained_on in ("unlimited", "unknown") or parse_task_limit(trained_on):
            return self.family
        return self.family.with_bank(trained_on)

    def place(self, subject: Subject, trained_on: str, rule: Rule | None = None):
        """Runs a subject and the references, and places the subject.

        Returns:
            The subject's trials by split, the references' trials by role and split, and the placement (None if the
            split 'fresh' was not requested).
        """
        family = self.find_family(trained_on)
        trials_by_split, references = self.run_subject(subject, family), self.run_references(family)
        if "fresh" not in trials_by_split:
            return trials_by_split, references, None
        placement = self.place_trials(trials_by_split, references, trained_on, rule)
        if placement.direction == "against":
            references |= self.run_references(family, " against")
            placement = self.place_trials(trials_by_split, references, trained_on, rule)
        return trials_by_split, references, placement

    def run_subject(self, subject: Subject, family: Family, is_shared: bool = False) -> dict[str, xr.Dataset]:
        """Runs a subject on every split, under the conditions of that split, and returns its trials by split.

        If `is_shared` is true, rollouts are saved in the user's cache for all examinations, and not in this run's
        folder.
        """
        trials = {}
        for split in self.list_splits(family):
            conditions, kinds = self._list_conditions(family, split), self._list_compiled_conditions(family, split)
            trials[split] = self._run_or_load(subject, family, split, conditions, kinds, is_shared=is_shared)
        return trials

    def _list_conditions(self, family: Family, split: str) -> list[Condition]:
        """Lists the conditions that run on a split.

        All conditions run on fresh tasks. On other splits, the intact condition runs, and the conditions that
        `extra_split_kinds` names for this kind of split. On counted splits whose lifetimes have as many trials as those
        of the split 'fresh', the conditions in `self.compared_conditions` also run. On splits whose tasks no bank can
        contain, conditions with shuffled feedback also run.
        """
        if get_split_kind(split) == "fresh":
            return self.conditions
        labels: set[str] = set()
        task_split = next((s for s in family.list_splits() if s.name == split), None)
        if task_split is not None:  # a family without a bank has no split 'seen'
            if task_split.is_counted and task_split.trial_count == family.horizon and split != "seen":
                labels |= {c.label for c in self.compared_conditions}
            if task_split.is_beyond_banks:
                labels |= {c for c in first_rule.list_conditions(family.horizon) if c.startswith("feedback_shuffled")}
        labels |= {label for label, kinds in self.extra_split_kinds.items() if get_split_kind(split) in kinds}
        return [c for c in self.conditions if type(c).__name__ == "Intact" or c.label in labels]

    def count_responses(self, family: Family) -> int:
        """Counts the responses that `run_subject` requests from a subject, including its responses as a donor."""

        def count(split: str) -> int:
            conditions = self._list_conditions(family, split)
            donors = 0 if family.has_full_feedback else len({c.replicate_number for c in conditions if c.needs_donors})
            return (sum(c.response_count for c in conditions) + donors) * family.get_split(split).trial_count

        return sum(map(count, self.list_splits(family))) * self.block_count * BLOCK_SIZE

    def refuse_large_runs(self, family: Family, subject_count: int) -> None:
        """Refuses a run whose trials would not fit into the free memory.

        Args:
            family: the family of one of the subjects.
            subject_count: the number of subjects; the controls and three references are added.

        Raises:
            MesascopeError: the trials would need more memory than is free; the message says how many lifetimes fit.
        """
        bytes_per_lifetime = 0
        for split in self.list_splits(family):
            choice_bytes = 4 * (family.choices or 1)
            kept_bytes = choice_bytes if get_split_kind(split) in SPLIT_KINDS_WITH_LOG_PROBS else 0
            trial_bytes = len(self._list_conditions(family, split)) * (10 + 2 * family.steps + kept_bytes)
            bytes_per_lifetime += family.get_split(split).trial_count * (trial_bytes + 50 + choice_bytes)
        bytes_per_lifetime = max(bytes_per_lifetime, 1) * (subject_count + len(family.controls) + 3)
        free, needed = measure_free_memory(), bytes_per_lifetime * self.lifetimes
        problem = (
            f"{self.lifetimes:,} lifetimes would need about {needed / 1e9:,.0f} GB, but {free / 1e9:,.1f} GB are free."
        )
        remedy = f"Ask for at most {int(free / bytes_per_lifetime):,} lifetimes, or name fewer splits and metrics."
        require(needed <= free, problem, remedy)

    def run_references(self, family: Family, role_suffix: str = "") -> dict[str, dict[str, xr.Dataset]]:
        """Runs a family's reference procedures on the same tasks, and returns their trials by role and split.

        With the `role_suffix` ' against', those references run that work against the pay-off.
        """
        references: dict[str, dict[str, xr.Dataset]] = {}
        intact, without_bank = catalogue.make("conditions", "intact"), family.with_bank(None)
        for role in (
            *COMPARED_ROLES,
            *(("locator",) if family.bank_label else ()),
            *(() if role_suffix else ("strongest",)),
        ):
            if role + role_suffix not in family.references:
                continue
            home = family if role == "locator" else without_bank
            procedure = catalogue.make("subjects", family.references[role + role_suffix], home)
            for split in self.list_splits(family):
                if get_split_kind(split) not in REFERENCE_SPLIT_KINDS.get(role, (get_split_kind(split),)):
                    continue
                conditions, change = [intact], family.get_split(split).change_trial
                if role in COMPARED_ROLES:
                    conditions += [c for c in self._list_conditions(family, split) if c in self.compared_conditions]
                if change and role == "learner":
                    conditions.append(catalogue.make("conditions", f"carry_reset:trial={change}"))
                kinds = self._list_compiled_conditions(family, split) if role in COMPARED_ROLES else (intact,)
                family_there = family if split == "seen" else home
                trials = self._run_or_load(procedure, family_there, split, conditions, kinds, is_shared=True)
                references.setdefault(role + role_suffix, {})[split] = trials
        return references

    def _list_compiled_conditions(self, family: Family, split: str) -> Sequence[Condition]:
        """Lists the conditions to compile for a split: only `Intact` if its lifetimes are not `horizon` trials long."""
        return self.compiled_conditions if family.get_split(split).trial_count == family.horizon else (Intact(),)

    def _run_or_load(
        self,
        subject: Subject,
        family: Family,
        split: str,
        conditions: Sequence[Condition],
        compiled_conditions: Sequence[Condition],
        *,
        is_shared: bool = False,
    ) -> xr.Dataset:
        """Runs one rollout, or takes the trials from memory or from a file if the same rollout ran before."""
        home = family if split == "seen" else family.with_bank(None)
        home_name = home.name
        inputs = [
            subject.name,
            self.get_identity(subject),
            home_name,
            home.compute_code_hash(),
            split,
            self.lifetimes,
            self.seed,
        ]
        inputs += [c.label for c in conditions] + [hash_package(), *describe_machine()]
        digest = hashlib.sha256(json.dumps(inputs).encode()).hexdigest()[:24]
        if digest in self.rollouts:
            return self.rollouts[digest]
        self.activity = f"{subject.name} on {split}"
        # a hash cannot cover everything that other people's code reads, so their rollouts are not shared between runs
        is_shared = is_shared and family.is_traceable and _is_of_package(subject) and _is_of_package(family)
        folder = make_cache_path() if is_shared else self.out
        path = folder / "rollouts" / f"{digest}.npz" if folder else None
        trials = self._load(path) if path else None
        if trials is not None:
            self._report_finished_blocks(self.block_count * len(conditions))
        else:
            trials = rollout(
                subject,
                family,
                split,
                self.lifetimes,
                self.seed,
                conditions=conditions,
                condition_examples=compiled_conditions,
                recorded_taps=(),
                should_keep_log_probs=get_split_kind(split) in SPLIT_KINDS_WITH_LOG_PROBS,
                report_finished=self._report_finished_blocks,
                tasks=self.tasks.setdefault(home_name, {}) if family.is_traceable else None,
                blocks_per_call=self.blocks_per_call,
            )
            if is_shared and path:
                with contextlib.suppress(OSError):  # a rollout that cannot be saved runs again
                    save_rollout(trials, path, module_states={})
                    limit_folder_size(path.parent, MAX_CACHED_BYTES)
            elif path:
                save_rollout(trials, path)
        self.rollouts[digest] = trials
        return trials

    def get_identity(self, subject: Subject) -> str:
        """Returns the identity that a subject had at the first call, because its counters may change later."""
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

    def _report_finished_blocks(self, block_count: int) -> None:
        """Adds finished blocks of lifetimes to the count, and reports the progress."""
        self.finished_blocks += block_count
        self.progress(min(self.finished_blocks / self.total_blocks, 1.0), self.activity)


def measure_free_memory() -> float:
    """Measures how many bytes of memory are free, or can be freed; infinity if the system does not say."""
    try:
        lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        return float(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, ValueError, KeyError):
        return float("inf")


@functools.cache
def hash_package() -> str:
    """Hashes the package's code and data, so that rollouts of another version are not used again."""
    return hash_folder(PACKAGE_FOLDER, (".py", ".toml", ".json"), excluded_folder=PACKAGE_FOLDER / "studies")


def describe_machine() -> list[str]:
    """Lists what can change the last digits of a rollout: versions of packages, the machine, and settings of JAX."""
    flags = (os.environ.get(name, "") for name in ("XLA_FLAGS", "JAX_ENABLE_X64", "JAX_PLATFORMS"))
    return [jax.__version__, np.__version__, platform.machine(), *flags]


def _is_of_package(plugin: Subject | Family) -> bool:
    """Checks whether the class of a subject or family belongs to this package."""
    return type(plugin).__module__.startswith("mesascope.")


def save_rollout(rollout: xr.Dataset, path: Path, module_states: Mapping[str, Any] | None = None) -> None:
    """Saves the trials of one split as .npz, which is twenty times faster than netCDF.

    Args:
        rollout: the trials to save.
        path: the file to write.
        module_states: the state of the modules that the trials depend on; by default the state of all loaded modules.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {
        "dims": {str(name): list(map(str, variable.dims)) for name, variable in rollout.data_vars.items()},
        "coords": {str(name): labels.values.tolist() for name, labels in rollout.coords.items()},
        "attrs": rollout.attrs,
        "code": list_loaded_modules() if module_states is None else module_states,
    }
    arrays = {str(name): variable.values for name, variable in rollout.data_vars.items()}
    with replace_when_written(path, PROCESS_NAME) as part, part.open("wb") as file:
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
    require(
        are_modules_unchanged(metadata["code"]), f"{str(path)!r} is of another version.", "Delete it and run again."
    )
    rollout = xr.Dataset(data, coords=metadata["coords"], attrs=metadata["attrs"])
    trials.check_trials(rollout)
    return rollout
