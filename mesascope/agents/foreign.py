"""Code that subjects with networks from other frameworks share: observations, choices, and errors about their files."""

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
SIZES = (2, 3)  # two batch sizes: in a state or output, the axis that changes with them is the batch axis

_choose = jax.jit(choose)


class Foreign(NamedSubject):
    """A network with frozen weights; subclasses are final.

    Attributes:
        observe: the encoder of its observations.
        stochastic: whether it draws actions as in training; otherwise it takes the best action.
        epsilon: the fraction of uniform choices, if its outputs are values.
    """

    observe: Observer = eqx.field(static=True)
    stochastic: bool
    epsilon: float

    traceable: ClassVar = False

    def choose(self, key: jax.Array, scores: np.ndarray, gives: str) -> Response:
        """Chooses actions from outputs [N, K] of a kind in GIVES; real actions are the outputs themselves."""
        if self.observe.choices is None:
            return Response(scores[:, 0].astype(np.float32), None)
        return _draw_response(key, np.asarray(scores, np.float64), gives, self.stochastic, self.epsilon)


def _draw_response(key: jax.Array, scores: np.ndarray, gives: str, stochastic: bool, epsilon: float) -> Response:
    """Draws actions from 'logits', from 'probabilities', or ε-greedily from 'values'."""
    count = scores.shape[-1]
    if not np.isfinite(scores).all():
        raise MesascopeError(
            "The network's outputs are not finite.", "Fix the network; its outputs cannot select an action."
        )
    if gives == "logits" and stochastic:
        top = scores - scores.max(-1, keepdims=True)
        log_probs = top - np.log(np.exp(top).sum(-1, keepdims=True))
        return _choose(key, log_probs.astype(np.float32))
    if gives == "probabilities" and stochastic:
        if (scores < -1e-6).any() or (np.abs(scores.sum(-1) - 1) > 1e-3).any():
            raise MesascopeError("The network's probabilities do not sum to 1.", "Set gives=logits or gives=values.")
        chances = np.clip(scores, 0, None)
    else:
        best = np.arange(count) == scores.argmax(-1)[:, None]
        part = epsilon if gives == "values" and stochastic else 0.0
        chances = (1.0 - part) * best + part / count
    with np.errstate(divide="ignore"):
        return _choose(key, np.log(chances).astype(np.float32))


def name_with_settings(plugin: str, **settings: Any) -> str:
    """The name of a subject with its settings; settings that are '' are left out."""
    return f"{plugin}:" + ",".join(f"{k}={v}" for k, v in settings.items() if v != "")


class FileKind(NamedTuple):
    """A kind of file, and the errors for files that cannot be read.

    Attributes:
        name: what the file should be, as in 'is not a valid ONNX file'.
        if_missing: the remedy if the file does not exist.
        if_broken: the remedy if the file is broken.
    """

    name: str
    if_missing: str
    if_broken: str

    def broken(self, path: str, reason: str) -> MesascopeError:
        """The error for a broken file."""
        return MesascopeError(f"{path!r} is not a valid {self.name}: {reason}.", self.if_broken)

    @contextlib.contextmanager
    def reading(self, path: str) -> Iterator[None]:
        """Turns exceptions raised while a file is read into errors that name the file and say what is wrong."""
        try:
            yield
        except MesascopeError:
            raise
        except FileNotFoundError:
            raise MesascopeError(f"There is no file {path!r}.", self.if_missing) from None
        except OSError as error:
            raise MesascopeError(f"{path!r} cannot be read: {error.strerror}.", self.if_missing) from None
        except Exception as error:  # a reader may raise anything on a broken file
            kind, message = type(error).__name__, str(error).strip()
            is_value_error = message and isinstance(error, ValueError)
            raise self.broken(path, message if is_value_error else f"{kind}: {message or 'no message'}") from None
