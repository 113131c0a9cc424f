"""Agents in other frameworks' own weights, whose policy is known exactly: a reflex, and Rescorla–Wagner.

Win-stay-lose-shift is one hidden layer: unit k is max(0, a_k + r − 1), 1 where arm k has just won; unit K + k is a_k.
Rescorla–Wagner is what a gated cell computes where the gate of unit k opens by the rate when arm k was pulled and
stays shut otherwise.
"""

from __future__ import annotations

import base64
import json
import pickle
import zipfile

import numpy as np
import torch
from torch import nn

RATE, BETA, INITIAL = 0.3, 5.0, 0.5
SHUT = 20.0  # a gate at 2e-9
SURE = 60.0  # a logit that leaves 1e-26 to the others


def opened(part: float) -> float:
    """The logit of a gate."""
    return float(np.log(part / (1 - part)))


def candidate(scale: float) -> tuple[float, float]:
    """What goes into tanh for feedback 0, and how much more for 1, so that scale · (r − initial) comes out."""
    low, high = np.arctanh(-scale * INITIAL), np.arctanh(scale * (1 - INITIAL))
    return float(low), float(high - low)


class Recurrent(nn.Module):
    """A GRU of K units and a linear head; the state as PyTorch has it, [1, N, K]."""

    def __init__(self, family=None, choices=3, features=None, layers=1):
        super().__init__()
        choices = family.choices if family is not None else choices
        self.gru = nn.GRU(features or choices + 3, choices, num_layers=layers)
        self.head = nn.Linear(choices, choices)

    def forward(self, x, state=None):
        y, state = self.gru(x[None], state)
        return self.head(y[0]), state


class Reflex(nn.Module):
    """A feed-forward network of one hidden layer of 2 K units."""

    def __init__(self, family=None, choices=3, features=None):
        super().__init__()
        choices = family.choices if family is not None else choices
        self.hidden = nn.Linear(features or choices + 3, 2 * choices)
        self.out = nn.Linear(2 * choices, choices)

    def forward(self, x):
        return self.out(torch.relu(self.hidden(x)))


@torch.no_grad()
def rescorla_wagner(net: Recurrent, scale: float = 0.5) -> Recurrent:
    """Puts Rescorla–Wagner into the weights of a GRU: its state is scale · (q − initial)."""
    width = net.head.in_features
    low, more = candidate(scale)
    for weight in net.parameters():
        weight.zero_()
    inputs, bias = net.gru.weight_ih_l0, net.gru.bias_ih_l0  # reset, update, candidate
    for k in range(width):
        bias[width + k] = SHUT
        inputs[width + k, k] = opened(1 - RATE) - SHUT
        bias[2 * width + k] = low
        inputs[2 * width + k, width] = more
    net.head.weight.copy_(torch.eye(width) * BETA / scale)
    return net


@torch.no_grad()
def rescorla_wagner_lstm(policy, choices: int, scale: float = 0.02) -> None:
    """Puts it into the actor of an MlpLstmPolicy: c is scale · (q − initial), and tanh(c) hardly less."""
    low, more = candidate(scale)
    lstm = policy.lstm_actor
    for weight in (*lstm.parameters(), *policy.action_net.parameters()):
        weight.zero_()
    inputs, bias = lstm.weight_ih_l0, lstm.bias_ih_l0  # input, forget, candidate, output
    for k in range(choices):
        bias[k] = -SHUT
        inputs[k, k] = opened(RATE) + SHUT
        bias[choices + k] = SHUT
        inputs[choices + k, k] = opened(1 - RATE) - SHUT
        bias[2 * choices + k] = low
        inputs[2 * choices + k, choices] = more
        bias[3 * choices + k] = SHUT
    policy.action_net.weight.copy_(torch.eye(choices) * BETA / scale)


@torch.no_grad()
def reflex(hidden: nn.Linear, out: nn.Linear, choices: int, sure: float = SURE) -> None:
    """Puts win-stay-lose-shift into two layers of 2 K units between: who has just won, and who was just pulled."""
    for weight in (*hidden.parameters(), *out.parameters()):
        weight.zero_()
    for k in range(choices):
        hidden.weight[k, k] = hidden.weight[k, choices] = 1.0
        hidden.bias[k] = -1.0
        hidden.weight[choices + k, k] = 1.0
        out.weight[k, k] = 2 * sure
        out.weight[k, choices + k] = -sure


def rewritten(path, out, **entries):
    """A copy of a zip with other entries in its data."""
    with zipfile.ZipFile(path) as held, zipfile.ZipFile(out, "w") as made:
        for name in held.namelist():
            content = held.read(name)
            if name == "data":
                content = json.dumps({**json.loads(content), **entries})
            made.writestr(name, content)
    return str(out)


def pickled(value):
    return {":type:": "x", ":serialized:": base64.b64encode(pickle.dumps(value)).decode()}
