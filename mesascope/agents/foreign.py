"""What subjects whose networks come from other frameworks share: how they observe and choose, errors of their files."""

import contextlib
from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import numpy as np

from mesascope.agents.observing import Observer
from mesascope.contracts.subject import NamedSubject, Response, choose
from mesascope.errors import MesascopeError

GIVES = ("logits", "probabilities", "values")
SIZES = (2, 3)  # of the batches by which the layout of states and outputs is found

_choose = jax.jit(choose)


class Foreign(NamedSubject):
    """A network with its weights frozen; subclasses are final.

    Attributes:
        observe: lays out what it observes.
        stochastic: whether actions are drawn as in training; else the best is taken.
        epsilon: part of the choices that is even, where it gives values.
    """

    observe: Observer = eqx.field(static=True)
    stochastic: bool
    epsilon: float

    traceable: ClassVar = False

    def choose(self, key: jax.Array, scores: np.ndarray, gives: str) -> Response:
        """The response to what the network gives [N, K], of GIVES; the action itself where actions are real numbers."""
        if self.observe.choices is None:
            return Response(scores[:, 0].astype(np.float32), None)
        return _draw_response(key, np.asarray(scores, np.float64), gives, self.stochastic, self.epsilon)


def _draw_response(
    key: jax.Array, scores: np.ndarray, gives: str, stochastic: bool, epsilon: float
) -> Response:
    """Draws from 'logits', 'probabilities', or 'values' taken at their best but for ε."""
    count = scores.shape[-1]
    if not np.isfinite(scores).all():
        raise MesascopeError(
            "The network gave numbers that are not finite.", "Mend it; nothing can be chosen by them."
        )
    if gives == "logits" and stochastic:
        top = scores - scores.max(-1, keepdims=True)
        stated = top - np.log(np.exp(top).sum(-1, keepdims=True))
        return _choose(key, stated.astype(np.float32))
    if gives == "probabilities" and stochastic:
        if (scores < -1e-6).any() or (np.abs(scores.sum(-1) - 1) > 1e-3).any():
            raise MesascopeError(
                "The network gave probabilities that do not sum to 1.", "Set gives=logits or gives=values."
            )
        chances = np.clip(scores, 0, None)
    else:
        best = np.arange(count) == scores.argmax(-1)[:, None]
        part = epsilon if gives == "values" and stochastic else 0.0
        chances = (1.0 - part) * best + part / count
    with np.errstate(divide="ignore"):
        return _choose(key, np.log(chances).astype(np.float32))


def name_with_settings(plugin: str, **settings: Any) -> str:
    """The name of a subject with its settings, those that are '' left out."""
    return f"{plugin}:" + ",".join(f"{k}={v}" for k, v in settings.items() if v != "")


class FileKind(NamedTuple):
    """Files of one kind, and what is said of one that cannot be read.

    Attributes:
        name: as in 'is not a valid ONNX file'.
        wanted: what to name where there is none.
        again: what to do about a broken one.
    """

    name: str
    if_missing: str
    if_broken: str

    def broken(self, path: str, reason: str) -> MesascopeError:
        """The error for a file that is no whole one."""
        return MesascopeError(f"{path!r} is not a valid {self.name}: {reason}.", self.if_broken)

    @contextlib.contextmanager
    def reading(self, path: str) -> Iterator[None]:
        """A file is read in here: that it is missing, cannot be read, or is broken, is an error that names it."""
        try:
            yield
        except MesascopeError:
            raise
        except FileNotFoundError:
            raise MesascopeError(f"There is no file {path!r}.", self.if_missing) from None
        except OSError as error:
            raise MesascopeError(f"{path!r} cannot be read: {error.strerror}.", self.if_missing) from None
        except Exception as error:  # whatever the reader of the broken part raises
            kind, message = type(error).__name__, str(error).strip()
            plain = message and isinstance(error, ValueError)
            raise self.broken(path, message if plain else f"{kind}: {message or 'no message'}") from None
