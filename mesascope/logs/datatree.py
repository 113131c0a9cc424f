"""A log in the schema of ArviZ, for use with PyMC, NumPyro or ArviZ; none of them is needed here.

The groups are `observed_data` (the choices) and `constant_data` (everything else). ArviZ below 1 (InferenceData) and
from 1 on (DataTree) both read them.
"""

import datetime
import os
from pathlib import Path

import numpy as np
import xarray as xr

import mesascope
from mesascope.errors import MesascopeError
from mesascope.files import replacing

DONE = ("action", "second_action")
KEPT = ("subject", "split", "unit", "payoff", "choices")  # attributes


def to_datatree(trials: xr.Dataset) -> xr.DataTree:
    """Trials as a DataTree in the schema of ArviZ.

    Args:
        trials: of one split or log; only the condition 'intact' goes into the tree.

    Returns:
        `observed_data` with action [N, T], and second_action [N, T] for two-stage trials: whole numbers from 0, -1 for
        missing trials. `constant_data` with everything else, such as feedback [N, T] (NaN if missing), transition,
        offered, score, chance, and participant [N]. The axes lifetime and trial have coordinates counted from 0.
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
        **{k: trials.attrs[k] for k in KEPT if k in trials.attrs},
    }
    done = [n for n in DONE if n in intact]
    groups = {
        "/": xr.Dataset(attrs=intact.attrs),
        "/observed_data": intact[done],
        "/constant_data": intact.drop_vars(done),
    }
    return xr.DataTree.from_dict(groups, name=str(trials.attrs.get("subject", "log")))


def save_datatree(trials: xr.Dataset, path: str | os.PathLike) -> Path:
    """Writes `to_datatree(trials)` as netCDF, for arviz.from_netcdf; the file is complete or absent.

    Raises:
        MesascopeError: the file cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            to_datatree(trials).to_netcdf(part, engine="h5netcdf")
    except OSError as error:
        raise MesascopeError(
            f"{str(path)!r} cannot be written: {error.strerror or error}.", "Name another file with --out."
        ) from None
    return path
