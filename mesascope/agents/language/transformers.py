"""A local language model with its activations, from a folder of Hugging Face transformers or from a GGUF file."""

import collections
import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from mesascope.agents import torch_support as _torch
from mesascope.agents.language.answers import Answer, weigh_labels
from mesascope.agents.language.language import LanguageModel, QuestionLog, require_questions
from mesascope.contracts import Family, Question, check_range, import_optional_package, make_configured_name
from mesascope.errors import MesascopeError
from mesascope.guards import gate, limits
from mesascope.guards.identity import hash_array


def subject(
    family: Family,
    *,
    path: str,
    is_chat: bool = False,
    temperature: float = 1.0,
    layer: int = -1,
    batch: int = 16,
    listed_tokens: int = 200,
    trust: bool = False,
) -> LanguageModel:
    """A local language model of Hugging Face transformers, with its activations.

    Args:
        family: a family with questions in words.
        path: the path of a folder that save_pretrained wrote, or of a GGUF file; nothing is downloaded.
        is_chat: whether questions are turns of a conversation in the model's chat template, instead of texts to
            complete.
        temperature: the temperature at which labels are drawn from their probabilities; 0 takes the likeliest label.
        layer: the layer whose activations at the end of the question are the tap 'hidden'; 0 is the embedding, and -1
            is the last layer.
        batch: the number of questions per forward pass; this number slightly changes rounding errors.
        listed_tokens: the number of likeliest first tokens among which the labels are searched.
        trust: whether code in the folder may run.
    """
    check_range(1, 4096, batch=batch, listed_tokens=listed_tokens)
    words_family = require_questions(family)
    model, tokenizer = load_model(path, trust)
    layers = int(model.config.num_hidden_layers)
    check_range(-layers - 1, layers, layer=layer)
    asker, log = ForwardAsker(model, tokenizer, is_chat, layer, batch, listed_tokens=listed_tokens), QuestionLog()
    log.n_activations = int(model.config.hidden_size)
    settings = {
        "is_chat": is_chat,
        "temperature": float(temperature),
        "layer": layer,
        "batch": batch,
        "listed_tokens": listed_tokens,
    }
    name = make_configured_name(subject, path=path, **settings)
    code = ",".join(sorted(asker.hash_weights().values()))
    return LanguageModel(name, "unknown", words_family, asker, log, code, temperature)


def load_model(path: str, trust: bool = False) -> tuple[Any, Any]:
    """Loads the model and its tokenizer, in single precision on the CPU.

    Raises:
        MesascopeError: a package or the model is missing, or the model has code that is not trusted.
    """
    location = Path(path)
    if not location.exists():
        raise MesascopeError(f"There is no folder or file {path!r}.", "Name a model's folder or a .gguf file.")
    if location.is_dir() and not trust:
        _refuse_code(location)
    torch, transformers = (
        import_optional_package("torch", "torch"),
        import_optional_package("transformers", "transformers"),
    )
    options = {"gguf_file": location.name} if location.is_file() else {}
    size = sum(f.stat().st_size for f in ([location] if location.is_file() else location.glob("*")) if f.is_file())
    folder = str(location.parent if location.is_file() else location)
    try:
        if location.is_file():
            limits.check_gguf(path)
        tokenizer = gate.load_pretrained(transformers.AutoTokenizer, folder, trust, padding_side="left", **options)
        with _torch.limit_parameters(
            4 * size, ValueError(f"its settings define more weights than fit in its {size:,} bytes")
        ):
            model = gate.load_pretrained(
                transformers.AutoModelForCausalLM, folder, trust, dtype=torch.float32, **options
            )
    except MesascopeError:
        raise
    except Exception as error:  # a reader may raise anything on a broken file
        problem = f"transformers cannot load {path!r}: {' '.join(str(error).split())[:200]}."
        remedy = "Name the folder of a causal language model, or install mesascope[transformers] to read GGUF files."
        raise MesascopeError(problem, remedy) from None
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return model.eval(), tokenizer


def _refuse_code(folder: Path) -> None:
    """Raises `MesascopeError` if a folder's settings name code in the folder (auto_map), or kernels to download."""
    for file in sorted(folder.glob("*.json")):
        if file.name in ("config.json", "tokenizer_config.json", "processor_config.json"):
            settings = _read_settings(file)
            kernels = str(settings.get("attn_implementation") or settings.get("_attn_implementation") or "")
            if settings.get("auto_map") or "/" in kernels:
                problem = f"{str(file)!r} names code that would run."
                raise MesascopeError(problem, "Read this code, then add --trust (trust=True in Python).")


def _read_settings(file: Path) -> dict[str, Any]:
    try:
        settings = limits.parse_json(limits.read_file(file, limits.MAX_SETTINGS_BYTES))
    except ValueError as error:
        raise MesascopeError(f"{str(file)!r} cannot be read: {error}.", "Copy or save the model again.") from None
    return settings if isinstance(settings, dict) else {}


@dataclasses.dataclass(eq=False)
class ForwardAsker:
    """Answers each batch of questions with one forward pass.

    Attributes:
        model: the language model.
        tokenizer: the model's tokenizer.
        is_chat: whether questions are turns of a conversation instead of texts to complete.
        layer: the layer whose activations are in `hidden`.
        batch: the number of questions per forward pass.
        listed_tokens: the number of likeliest first tokens among which the labels are searched.
        saved_answers: the answers and activations of earlier questions, by the question's text and labels.
        hidden: [N, U] the activations of U units at the ends of the last N questions, one per lifetime; None before the
            first question.
    """

    mode: ClassVar = "log_probs"
    samples: ClassVar = 1

    model: Any
    tokenizer: Any
    is_chat: bool
    layer: int
    batch: int
    _: dataclasses.KW_ONLY
    listed_tokens: int
    saved_answers: dict[str, tuple[Answer, np.ndarray]] = dataclasses.field(default_factory=dict)
    hidden: np.ndarray | None = None

    def render(self, question: Question) -> str:
        """Returns the text of a question that the model receives."""
        if not self.is_chat:
            return question.text
        turn = [{"role": "user", "content": question.turn}]
        return self.tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)

    def answer_all(
        self, questions: Sequence[Question], seeds: Sequence[int], should_ignore_saved: bool
    ) -> list[Answer]:
        """Returns an answer to each question, and sets `hidden` to the activations [N, U] at the questions' ends."""
        texts = [self.render(q) for q in questions]
        keys = [f"{text}\n{q.labels}" for text, q in zip(texts, questions, strict=True)]
        rows_by_key = dict(zip(keys, zip(texts, questions, strict=True), strict=True))
        pending = {key: row for key, row in rows_by_key.items() if should_ignore_saved or key not in self.saved_answers}
        new_answers: dict[str, tuple[Answer, np.ndarray]] = {}
        rows = sorted(pending.items(), key=lambda row: len(row[1][0]))  # similar lengths need little padding
        for start in range(0, len(rows), self.batch):
            new_answers |= self._run_batch(rows[start : start + self.batch])
        if not should_ignore_saved:
            self.saved_answers |= new_answers
        answers = collections.ChainMap(new_answers, self.saved_answers)
        found = [answers[key] for key in keys]
        self.hidden = np.stack([hidden for _, hidden in found])
        return [answer for answer, _ in found]

    def _run_batch(self, rows: list[tuple[str, tuple[str, Question]]]) -> dict[str, tuple[Answer, np.ndarray]]:
        torch = import_optional_package("torch", "torch")
        texts = [text for _, (text, _) in rows]
        inputs = self.tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=not self.is_chat)
        limit = int(getattr(self.model.config, "max_position_embeddings", 0) or 1 << 30)
        if inputs["input_ids"].shape[1] > limit:
            problem = f"A question has {inputs['input_ids'].shape[1]} tokens, but the model accepts at most {limit}."
            raise MesascopeError(problem, "Run lifetimes with fewer trials.")
        with torch.inference_mode():
            output = self.model(**inputs, output_hidden_states=True, use_cache=False)
            likeliest = torch.log_softmax(output.logits[:, -1].float(), -1).topk(self.listed_tokens)
            hidden = output.hidden_states[self.layer][:, -1].float().numpy()
        result = {}
        for i, (name, (_, question)) in enumerate(rows):
            pairs = zip(likeliest.indices[i].tolist(), likeliest.values[i].tolist(), strict=True)
            log_probs = [(self.tokenizer.decode([t]), p) for t, p in pairs if math.isfinite(p)]
            result[name] = (weigh_labels(log_probs, question.labels, log_probs[0][0]), hidden[i])
        return result

    def hash_weights(self) -> dict[str, str]:
        """Computes the hash of every parameter by its name."""
        return {name: hash_array(p.detach().numpy()) for name, p in self.model.named_parameters()}
