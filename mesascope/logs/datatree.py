"""Converts trials to the schema of ArviZ, for PyMC, NumPyro or ArviZ; the conversion needs none of these packages.

The groups are `observed_data` (the choices) and `constant_data` (everything else). All versions of ArviZ read them:
below version 1 as InferenceData, from version 1 on as a DataTree.
"""

import datetime
import os
from pathlib import Path

import numpy as np
import xarray as xr

import mesascope
from mesascope.errors import MesascopeError
from mesascope.files import replace_when_written

CHOICE_VARIABLES = ("action", "second_action")
COPIED_ATTRIBUTES = ("subject", "split", "unit", "payoff", "choices")


def to_datatree(trials: xr.Dataset) -> xr.DataTree:
    """Converts trials to a DataTree in the schema of ArviZ.

    Args:
        trials: the trials of one split or log; the tree contains only the condition 'intact'.

    Returns:
        A tree with two groups for N lifetimes of T trials. `observed_data` contains action [N, T] and, for two-stage
        trials, second_action [N, T]; both count choices from 0 and are -1 if missing. `constant_data` contains all
        other variables of the trials except partner, such as feedback [N, T] (NaN if missing), score [N, T] and
        participant [N]. The coordinates of the axes lifetime and trial count from 0.
    """
    intact = trials.sel(condition="intact", drop=True) if "condition" in trials.dims else trials
    if "participant" in intact.coords:
        intact = intact.reset_coords("participant")
    intact = intact.drop_vars("partner", errors="ignore")
    intact = intact.assign_coords({d: np.arange(intact.sizes[d]) for d in intact.dims if d not in intact.coords})
    intact.attrs = {
        "created_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "creation_library": "mesascope",
        "creation_library_version": mesascope.__version__,
        **{k: trials.attrs[k] for k in COPIED_ATTRIBUTES if k in trials.attrs},
    }
    choices = [name for name in CHOICE_VARIABLES if name in intact]
    groups = {"/observed_data": intact[choices], "/constant_data": intact.drop_vars(choices)}
    root = {"/": xr.Dataset(attrs=intact.attrs)}
    return xr.DataTree.from_dict(root | groups, name=str(trials.attrs.get("subject", "log")))


def save_datatree(trials: xr.Dataset, path: str | os.PathLike) -> Path:
    """Writes trials as a DataTree (see `to_datatree`) to a netCDF file that arviz.from_netcdf reads.

    The function returns the path of the file. If writing fails, no incomplete file is left.

    Raises:
        MesascopeError: the file cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replace_when_written(path) as part:
            to_datatree(trials).to_netcdf(part, engine="h5netcdf")
    except OSError as error:
        problem = f"{str(path)!r} cannot be written: {error.strerror or error}."
        raise MesascopeError(problem, "Name another file with --out.") from None
    return path
