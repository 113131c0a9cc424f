"""Keeps this package's own computations in single precision, whatever JAX_ENABLE_X64 or a user's module says."""

import contextlib
from collections.abc import Iterator

import jax

_USERS_PRECISION: list[bool] = []  # what the user had set, while this package computes


@contextlib.contextmanager
def use_single_precision() -> Iterator[None]:
    """Turns double precision off in all threads inside this context, and on again afterwards if it was on before."""
    if not jax.config.read("jax_enable_x64"):
        yield
        return
    jax.config.update("jax_enable_x64", False)
    _USERS_PRECISION.append(True)
    try:
        yield
    finally:
        _USERS_PRECISION.pop()
        jax.config.update("jax_enable_x64", True)


@contextlib.contextmanager
def use_precision_of_user() -> Iterator[None]:
    """Restores, in this thread and context, the precision that the user had set; for calls of the user's code."""
    if not _USERS_PRECISION:
        yield
        return
    with jax.enable_x64(True):
        yield
