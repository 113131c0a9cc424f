"""Imports optional packages when a plug-in needs them."""

from typing import Any

from mesascope.errors import MesascopeError
from mesascope.guards import gate


def import_optional_package(module: str, extra: str) -> Any:
    """Imports and returns a module of an optional package.

    Args:
        module: the module's full name, such as 'torch' or 'scipy.stats'.
        extra: the extra of mesascope that installs the package.

    Raises:
        MesascopeError: the package is not installed (the message names the extra), or it cannot be imported.
    """
    try:
        return gate.import_package(module)
    except ModuleNotFoundError as error:
        missing = (error.name or module).partition(".")[0]
        problem = f"This needs the package {missing!r}, which is not installed."
        raise MesascopeError(problem, f"It comes with the extra {extra!r}: pip install 'mesascope[{extra}]'") from None
    except Exception as error:
        raise MesascopeError(
            f"The package {module.partition('.')[0]!r} cannot be imported: {type(error).__name__}: {error}.",
            f"Install it again: pip install --force-reinstall 'mesascope[{extra}]'",
        ) from error
