"""A model server on 127.0.0.1 whose answers are scripted: who answers is known, and so is every fault."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import math
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from mesascope.worlds.words.texts import read_texts

SLIP = 0.02


def read(text):
    """The labels, the shots [(item, label number)] and the asked item of a prompt of word_labels."""
    for wording in sorted(read_texts().wordings, key=lambda w: -len(w["shot"])):  # "the group of x" is no item
        intro = re.escape(wording["intro"]).replace(r"\{first\}", r"(\w+)").replace(r"\{second\}", r"(\w+)")
        found = re.match(intro, text)
        if not found:
            continue
        shot, query = (
            re.escape(wording[k]).replace(r"\{item\}", r"([\w ]+?)").replace(r"\{label\}", r"(\w+)")
            for k in ("shot", "query")
        )
        rest = text[found.end() :]
        if re.fullmatch(f"(?:{shot})*{query}", rest):
            labels = found.groups()
            past = [(item, labels.index(label)) for item, label in re.findall(shot, rest)]
            asked = re.search(f"{query}$", rest.rsplit("\n", 1)[-1])
            return labels, past, asked.group(1)
    raise ValueError(f"no wording reads {text!r}")


def first(labels, past, asked):
    return 0.0


def parrot(labels, past, asked):
    return float(past[-1][1]) if past else 0.0


def scholar(remembers, trust, categories=2):
    """The scripted labellers of the package, derived again from the text alone."""
    known = read_texts()
    where = {item: i for i, item in enumerate(known.items)}
    second = set(known.pairs[:, 1].tolist())
    named = np.asarray([float(i in second) for i in range(known.n_categories)])
    tables = np.asarray([named, 1 - named])
    if categories > 2:
        tables = np.full((2**categories, known.n_categories), 0.5)
        tables[:, known.pairs[: categories // 2].ravel()] = list(itertools.product((0, 1), repeat=categories))
    tilts = 2 * np.pi * (np.arange(64) + 0.5) / 64

    def column(item):
        return (
            tables[:, where[item] // known.words_per_category] if not item[0].isdigit() else np.full(len(tables), 0.5)
        )

    def beyond(item):
        a, b = (int(x) - 4.5 for x in item.split())
        return np.cos(tilts) * a + np.sin(tilts) * b > 0

    def recalled(memory, item):
        return 1 / (1 + ((1 - SLIP) / SLIP) ** -memory.get(item, 0))

    def answer(labels, past, asked):
        mapping, line, memory, alone = np.full(len(tables), -np.log(len(tables))), np.zeros(64), {}, 0.0
        if all(x in known.labels[: known.n_categories] for x in labels):
            straight = known.labels.index(labels[1]) in second
            with np.errstate(divide="ignore"):
                mapping = np.log([trust, 1 - trust] if straight else [1 - trust, trust])
        for item, label in past:
            mapping = mapping + np.log(np.where(column(item) == label, 1 - SLIP, SLIP))
            if item[0].isdigit():
                line = line + np.log(np.where(beyond(item) == label, 1 - SLIP, SLIP))
            p = recalled(memory, item)
            alone += math.log(p if label else 1 - p)
            memory[item] = memory.get(item, 0) + (1 if label else -1)
        if asked[0].isdigit():
            weight = np.exp(line - line.max())
            p = (weight / weight.sum() * beyond(asked)).sum() if remembers else 0.5
            return SLIP + (1 - 2 * SLIP) * p
        total = np.logaddexp.reduce(mapping)
        category = (np.exp(mapping - total) * column(asked)).sum()
        own = 1 / (1 + math.exp(total - alone)) if remembers else 0.0
        return (1 - own) * (SLIP + (1 - 2 * SLIP) * category) + own * recalled(memory, asked)

    return answer


RESPONDERS = {"first": first, "parrot": parrot, "learner": scholar(True, 0.9), "recogniser": scholar(False, 1.0)}
RESPONDERS["learner of six"] = scholar(True, 0.9, categories=6)


class Scripted(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args):
        pass

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        body = json.loads(self.rfile.read(length))
        server = self.server
        with server.lock:
            server.seen.append({"path": self.path, "body": body, "headers": dict(self.headers)})
            fault = server.faults.pop(0) if server.faults else server.always
        if fault == "slow":
            time.sleep(1.0)
        if isinstance(fault, str) and fault.startswith("echo"):
            return self.reply(401, self.echo(fault).encode())
        if isinstance(fault, int):
            told = {429: "slow down", 400: "this model's maximum context length is 64 tokens", 500: "oops"}
            return self.reply(fault, json.dumps({"error": {"message": told.get(fault, "no")}}).encode())
        if fault == "half":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b'{"choices": [')
            self.close_connection = True
            return None
        if fault == "shape":
            return self.reply(200, b'{"result": "bim"}')
        chat = self.path.endswith("chat/completions")
        asked = body["messages"][0]["content"].rsplit("\n\n", 1)[0] if chat else body["prompt"]
        many = asked if isinstance(asked, list) else [asked]
        out = [self.choice(i, text, body, chat, fault) for i, text in enumerate(many) for _ in range(body.get("n", 1))]
        form = "chat.completion" if chat else "text_completion"
        whole = {"id": "one", "object": form, "created": 0, "model": body.get("model", "scripted"), "choices": out}
        return self.reply(200, json.dumps(whole).encode())

    def echo(self, fault):
        """An error that repeats the request: as it came, only the start of each part, or with stars in it."""
        how, sent = self.headers["Authorization"].split()
        decoded = base64.b64decode(sent).decode() if how == "Basic" else sent
        parts = [sent, *decoded.split(":", 1)[1:], *re.findall("key=([^&]*)", self.path)]
        if fault == "echo":
            parts += [self.path, f"{how} {sent}", json.dumps(dict(self.headers)), repr(decoded)]
        cut = {"echo": str, "echo start": lambda x: f"{x[:10]}...", "echo masked": lambda x: f"{x[:3]}***{x[-4:]}"}
        return json.dumps({"error": "you sent " + " ".join(cut[fault](x) for x in parts)})[11:]

    def choice(self, index, text, body, chat, fault):
        labels, past, item = read(text)
        one = self.server.responder(labels, past, item)
        p = np.clip([1 - one, one], 1e-6, 1)
        said = labels[int(one > 0.5)]
        if fault in ("refuses", "chatters"):
            said = "I'm sorry, I cannot label people." if fault == "refuses" else "That is a fine question."
        out = {"index": index, "finish_reason": "stop"}
        out |= {"message": {"role": "assistant", "content": said}} if chat else {"text": f" {said}"}
        if body.get("logprobs") and fault != "plain":
            tokens = [(f" {label[:2]}", math.log(x)) for label, x in zip(labels, p, strict=True)]
            if chat:
                rows = [{"token": t, "logprob": x} for t, x in tokens]
                out["logprobs"] = {"content": [{**rows[0], "top_logprobs": rows}]}
            else:
                out["logprobs"] = {"tokens": [tokens[0][0]], "top_logprobs": [dict(tokens)]}
        return out

    def reply(self, status, data):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class Listening(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request, client_address):
        """A client that went away is no mistake here."""


@contextlib.contextmanager
def serving(responder="first", faults=(), always=None):
    """A server while the block lasts: `address`, `seen` (requests), `faults` (one per request), `always` (else)."""
    server = Listening(("127.0.0.1", 0), Scripted)
    server.responder, server.faults, server.always = RESPONDERS[responder], list(faults), always
    server.seen, server.lock = [], threading.Lock()
    server.address = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
