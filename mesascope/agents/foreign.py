"""Defines the base class of networks from other frameworks, which chooses actions, and the errors about their files."""

import contextlib
from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import numpy as np

from mesascope.agents.observing import PerceptEncoder
from mesascope.contracts import NamedSubject, Response, choose
from mesascope.errors import MesascopeError

OUTPUT_KINDS = ("logits", "probabilities", "values")
BATCH_SIZES = (2, 3)  # each network is run with both sizes; the axis whose size changes is the batch axis

_choose_compiled = jax.jit(choose)


class ForeignNetwork(NamedSubject):
    """A network with frozen weights; subclasses are final.

    Attributes:
        observe: the encoder of percepts as the network's observations.
        is_stochastic: whether the network draws actions as in training; otherwise it takes the best action.
        epsilon: the probability of a uniformly random choice, if the network's outputs are values of the actions and
            the network is stochastic.
    """

    observe: PerceptEncoder = eqx.field(static=True)
    is_stochastic: bool
    epsilon: float

    is_traceable: ClassVar = False

    def choose(self, key: jax.Array, scores: np.ndarray, output_kind: str) -> Response:
        """Chooses actions from a network's outputs.

        Args:
            key: the random key with which actions are drawn.
            scores: [N, K] the outputs for N lifetimes and K actions. If actions are real numbers, they are [N, 1], and
                are the actions themselves.
            output_kind: what the outputs are, 'logits', 'probabilities' or 'values'. A stochastic network draws actions
                from logits or probabilities. With values, it takes the best action, or with probability `epsilon` a
                uniformly random one. A network that is not stochastic takes the best action.
        """
        if self.observe.choices is None:
            return Response(scores[:, 0].astype(np.float32), None)
        scores = np.asarray(scores, np.float64)
        if not np.isfinite(scores).all():
            remedy = "Fix the network; its outputs cannot select an action."
            raise MesascopeError("The network's outputs are not finite.", remedy)
        if output_kind == "logits" and self.is_stochastic:
            shifted = scores - scores.max(-1, keepdims=True)
            log_probs = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
            return _choose_compiled(key, log_probs.astype(np.float32))
        if output_kind == "probabilities" and self.is_stochastic:
            if (scores < -1e-6).any() or (np.abs(scores.sum(-1) - 1) > 1e-3).any():
                problem = "The network's probabilities do not sum to 1."
                raise MesascopeError(problem, "Set output_kind=logits or output_kind=values.")
            probabilities = np.clip(scores, 0, None)
        else:
            count = scores.shape[-1]
            best = np.arange(count) == scores.argmax(-1)[:, None]
            epsilon = self.epsilon if output_kind == "values" and self.is_stochastic else 0.0
            probabilities = (1.0 - epsilon) * best + epsilon / count
        with np.errstate(divide="ignore"):
            return _choose_compiled(key, np.log(probabilities).astype(np.float32))


def format_spec(plugin: str, **settings: Any) -> str:
    """Makes the name of a subject with its settings; leaves out settings that are ''."""
    return f"{plugin}:" + ",".join(f"{k}={v}" for k, v in settings.items() if v != "")


class FileKind(NamedTuple):
    """A kind of file, with the errors for files of this kind that cannot be read.

    Attributes:
        name: the kind in messages, such as 'ONNX file'.
        missing_remedy: the remedy if the file does not exist.
        broken_remedy: the remedy if the file is broken.
    """

    name: str
    missing_remedy: str
    broken_remedy: str

    def make_error(self, path: str, reason: str) -> MesascopeError:
        """Makes the error for a broken file."""
        return MesascopeError(f"{path!r} is not a valid {self.name}: {reason}.", self.broken_remedy)

    @contextlib.contextmanager
    def explain_errors(self, path: str) -> Iterator[None]:
        """Turns exceptions that are raised while a file is read into errors that name the file and the reason."""
        try:
            yield
        except MesascopeError:
            raise
        except FileNotFoundError:
            raise MesascopeError(f"There is no file {path!r}.", self.missing_remedy) from None
        except OSError as error:
            raise MesascopeError(f"{path!r} cannot be read: {error.strerror}.", self.missing_remedy) from None
        except Exception as error:  # a reader may raise anything on a broken file
            reason = str(error).strip()
            if not (reason and isinstance(error, ValueError)):
                reason = f"{type(error).__name__}: {reason or 'no message'}"
            raise self.make_error(path, reason) from None
