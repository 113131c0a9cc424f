"""Runs units on a cluster of dask.distributed (extra 'cluster'): Slurm by dask-jobqueue, Kubernetes, a cloud, …

If a worker is lost, the scheduler gives its units to another worker.
"""

import concurrent.futures
import functools
import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mesascope
from mesascope.errors import MesascopeError, MesascopeWarning, require
from mesascope.execution.calls import Outcome, WorkFunction, call_unit
from mesascope.files import hash_folder
from mesascope.guards import gate

SCHEMES = ("dask", "tls")
CONNECT_SECONDS = 10
RESULT_SETTINGS = ("XLA_FLAGS", "JAX_ENABLE_X64", "JAX_PLATFORMS")  # environment variables that can change results
CACHE_SETTINGS = ("JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS")


def run(work: WorkFunction, units: Sequence[tuple], address: str, workers: int) -> Iterator[tuple[int, Outcome]]:
    """Yields the index and the outcome of every unit, in the order in which the units finish.

    Args:
        work: the function to call once for each unit, on a worker of the cluster.
        units: the function's arguments for each unit.
        address: dask://HOST:PORT, or tls://HOST:PORT with the certificates that dask's configuration names.
        workers: unused; the cluster has its own number of workers.

    Raises:
        MesascopeError: no scheduler answers, or the connection to it was lost; a worker has other code, versions or
            settings, or runs several units at once; or a unit ended too many workers.
    """
    from mesascope.contracts import import_optional_package

    distributed = import_optional_package("distributed", "cluster")
    cloudpickle = gate.import_package("cloudpickle")
    client = _connect(distributed, address)
    futures = {}
    try:
        process = _describe_process()
        settings = {name: os.environ[name] for name in (*RESULT_SETTINGS, *CACHE_SETTINGS) if name in os.environ}
        for index, unit in enumerate(units):
            data = cloudpickle.dumps((work, unit))
            futures[client.submit(_call_on_worker, process, settings, data, pure=False)] = index
        for future in distributed.as_completed(futures, loop=client.loop):
            yield futures[future], future.result()
    except distributed.KilledWorker as error:
        problem = f"A unit ended {error.allowed_failures + 1} workers, perhaps because memory ran out."
        raise MesascopeError(problem, "Run the command again with workers that have more memory.") from None
    except concurrent.futures.CancelledError:
        problem = f"The connection to the scheduler at {address} was lost."
        raise MesascopeError(
            problem, "Start the scheduler again, and run the command again; finished work is kept."
        ) from None
    except ImportError as error:
        if not (error.name or "").startswith("mesascope"):
            raise  # from the unit itself
        raise MesascopeError(f"A worker at {address} reports: {error}.", _remedy()) from None
    finally:
        client.cancel(list(futures), force=True)
        client.close()


def _connect(distributed: Any, address: str) -> Any:
    """Connects to the scheduler at an address."""
    scheme, _, place = address.partition("://")
    require(":" in place, f"--engine {address!r} does not name a scheduler.", f"Type --engine {scheme}://HOST:PORT.")
    transport = "tls" if scheme == "tls" else "tcp"
    if transport == "tls" and distributed.Security().get_connection_args("client")["ssl_context"] is None:
        problem = f"--engine {address} needs certificates, and dask's configuration names none."
        raise MesascopeError(problem, "Set them as in docs/clusters.md, or with `dask config`.")
    try:
        client = distributed.Client(f"{transport}://{place}", timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        problem = f"No dask scheduler answers at {transport}://{place} ({type(error).__name__})."
        remedy = "Start one with `dask scheduler`, and type the address that it prints; docs/clusters.md shows how."
        raise MesascopeError(problem, remedy) from None
    if not client.nthreads():
        message = (
            f"The scheduler at {address} has no workers; units wait until some start (`dask worker --nthreads 1`)."
        )
        warnings.warn(message, MesascopeWarning, stacklevel=2)
    return client


def _remedy() -> str:
    """Describes what to do if workers differ from this process."""
    return f"Install mesascope {mesascope.__version__} and the same packages for all workers, and start them again."


@functools.cache
def _hash_package() -> str:
    """Hashes the package's code."""
    return hash_folder(Path(mesascope.__file__).parent)


def _describe_process() -> dict[str, str]:
    """Describes what can change results: code, versions and settings of JAX."""
    versions = {name: version(name) for name in ("jax", "numpy")}
    python = ".".join(map(str, sys.version_info[:2]))
    settings = {name: os.environ.get(name, "") for name in RESULT_SETTINGS}
    return {"mesascope": f"{mesascope.__version__} ({_hash_package()})", "Python": python, **versions, **settings}


def _call_on_worker(expected: Mapping[str, str], settings: Mapping[str, str], data: bytes) -> Outcome:
    """Computes the outcome of one unit on a worker.

    Args:
        expected: the description of the process that sent the unit.
        settings: environment variables, which are set before JAX is imported.
        data: the pickled function and arguments. The scheduler's users can run any code on its workers in any case.

    Raises:
        MesascopeError: the worker differs from the process that sent the unit, or runs several units at once.
    """
    worker = gate.import_package("distributed").get_worker()
    if "jax" not in sys.modules:
        os.environ.update(settings)
    own = _describe_process()
    differences = [f"{name} {own[name]!r} (here {expected[name]!r})" for name in own if own[name] != expected.get(name)]
    require(not differences, f"The worker {worker.address} has {', '.join(differences)}.", _remedy())
    problem = f"The worker {worker.address} runs {worker.state.nthreads} units in one process."
    require(worker.state.nthreads == 1, problem, "Start workers with `dask worker --nthreads 1`.")
    work, unit = gate.load_pickle(data, is_trusted=True)
    return call_unit(work, *unit)
