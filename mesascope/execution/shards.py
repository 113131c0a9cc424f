"""Divides a run into parts, which the tasks of a job array run without knowing of each other."""

import shlex
from collections.abc import Sequence
from typing import TypeVar

from mesascope.errors import MesascopeError

Entry = TypeVar("Entry")


def select_shard(entries: Sequence[Entry], shard: str) -> Sequence[Entry]:
    """Selects the entries of one part of a sequence; every entry is in exactly one of the parts 1/n to n/n.

    Args:
        entries: what is divided, such as the units of a run, in the same order for every part.
        shard: 'i/n'; with '', all entries are selected.

    Raises:
        MesascopeError: the text is not i/n with 1 ≤ i ≤ n.
    """
    if not shard:
        return entries
    part, _, total = shard.partition("/")
    if not (part.isdecimal() and total.isdecimal() and 1 <= int(part) <= int(total)):
        raise MesascopeError(
            f"--shard {shard!r} is not a part i of n parts.", "Type --shard i/n with i from 1 to n, such as 2/3."
        )
    return entries[int(part) - 1 :: int(total)]


def format_array_command(arguments: Sequence[str], total: int) -> str:
    """Formats the Slurm command that runs all parts of a run.

    Args:
        arguments: the words of the command that runs one part, without --shard.
        total: the number of parts.
    """
    command = f"{shlex.join(arguments)} --shard $SLURM_ARRAY_TASK_ID/{total}"
    return f"sbatch --array=1-{total} --wrap {shlex.quote(command)}"
