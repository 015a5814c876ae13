"""Training of the project's own texture network, on the presentations of `models.tools.pad_data` and nothing else.

Runs in an environment of its own (requirements/models-train.txt), one thread, some twenty minutes:

    python -m models.tools.pad_train --data pad.npz --out weights.npz

The order of scenes, crops and changes comes from one seed, and the number of steps is fixed. Two runs on one machine with one release of
PyTorch give the same file; another processor may sum in another order and end at other weights of the same quality, so the network file
itself is kept.

Beside the class of each picture the loss asks that of the presentations of one scene each bona fide one scores above each attack: what is
in the scene is then no help, only what was done to it.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch  # type: ignore[import-not-found]  # installed in the training environment only
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional  # type: ignore[import-not-found]  # likewise

from models.tools.pad_network import BONA_FIDE, CLASSES, LAYERS, PIXEL_MULTIPLY

_SEED = 20301107
_CROP = 96
_SCENES_A_STEP = 16
_PRESENTATIONS_A_SCENE = 4
_PEAK_RATE = 4e-3
_WEIGHT_DECAY = 1e-2
_WARM_UP_STEPS = 60
_SMOOTHING = 0.05
_AVERAGING = 0.995
_REPORT_EVERY = 100


class Net(nn.Module):  # type: ignore[misc]  # untyped without the training environment
    """The network of `pad_network`, with batch normalisation still apart."""

    def __init__(self) -> None:
        super().__init__()
        widths = [3, *(width for width, _ in LAYERS)]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(into, out, 3, stride, bias=False)
            for into, out, (_, stride) in zip(widths[:-1], widths[1:], LAYERS, strict=True)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in widths[1:])
        self.last = nn.Linear(widths[-1], CLASSES)
        self.dropout = nn.Dropout(0.2)

    def forward(self, x: Any) -> Any:
        """Return the logits (N, CLASSES) of pixels 0..255 (N, 3, H, W)."""
        x = x * PIXEL_MULTIPLY
        for convolution, norm, (_, stride) in zip(self.convolutions, self.norms, LAYERS, strict=True):
            x = functional.pad(x, (0, 1, 0, 1) if stride == 2 else (1, 1, 1, 1))
            x = functional.relu(norm(convolution(x)))
        return self.last(self.dropout(x.mean((2, 3))))


def score(logits: Any) -> Any:
    """Return the log odds of a bona fide presentation."""
    others = [k for k in range(CLASSES) if k != BONA_FIDE]
    return logits[:, BONA_FIDE] - torch.logsumexp(logits[:, others], 1)


def loss_of(logits: Any, labels: Any) -> Any:
    """Return class loss plus ranking loss; the presentations of a scene follow one another."""
    classes = functional.cross_entropy(logits, labels, label_smoothing=_SMOOTHING)
    scores = score(logits).reshape(-1, _PRESENTATIONS_A_SCENE)
    is_live = (labels == BONA_FIDE).reshape(-1, _PRESENTATIONS_A_SCENE)
    gaps = scores[:, :, None] - scores[:, None, :]
    pairs = is_live[:, :, None] & ~is_live[:, None, :]
    return classes + functional.softplus(-gaps[pairs]).mean()


def changed(pictures: NDArray[np.uint8], random: np.random.Generator) -> Any:
    """Return crops (N, 3, _CROP, _CROP), some mirrored, with small changes of level; one place for all presentations of a scene."""
    x = torch.from_numpy(pictures).permute(0, 3, 1, 2)
    parts = []
    for start in range(0, len(pictures), _PRESENTATIONS_A_SCENE):
        top, left = random.integers(0, pictures.shape[1] - _CROP + 1, 2)
        part = x[start : start + _PRESENTATIONS_A_SCENE, :, top : top + _CROP, left : left + _CROP]
        parts.append(part.flip(3) if random.random() < 0.5 else part)
    crops = torch.cat(parts).float()
    gains = torch.from_numpy(random.uniform(0.85, 1.15, (len(pictures), 1, 1, 1)).astype(np.float32))
    return (crops * gains).clamp(0, 255).contiguous(memory_format=torch.channels_last)


def train(data: Any, steps: int) -> Net:
    """Return the network with the running average of its weights."""
    torch.manual_seed(_SEED)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(mode=True)
    random = np.random.Generator(np.random.PCG64(_SEED))
    pictures, labels = data["pictures"], data["labels"].astype(np.int64)
    scenes = np.flatnonzero(~data["are_held_out"][::_PRESENTATIONS_A_SCENE])
    net: Net = Net().to(memory_format=torch.channels_last)
    average = {name: values.clone() for name, values in net.state_dict().items()}
    optimizer = torch.optim.AdamW(net.parameters(), _PEAK_RATE, weight_decay=_WEIGHT_DECAY)
    began, queue = time.monotonic(), np.empty(0, np.int64)
    for step in range(steps):
        rate = _PEAK_RATE * min(1, step / _WARM_UP_STEPS) * 0.5 * (1 + math.cos(math.pi * step / steps))
        for group in optimizer.param_groups:
            group["lr"] = rate
        if len(queue) < _SCENES_A_STEP:
            queue = random.permutation(scenes)
        chosen, queue = queue[:_SCENES_A_STEP], queue[_SCENES_A_STEP:]
        rows = (chosen[:, None] * _PRESENTATIONS_A_SCENE + np.arange(_PRESENTATIONS_A_SCENE)).reshape(-1)
        with torch.autocast("cpu", torch.bfloat16):
            logits = net(changed(pictures[rows], random))
        loss = loss_of(logits.float(), torch.from_numpy(labels[rows]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            kept = min(_AVERAGING, step / (step + 20))
            for name, values in net.state_dict().items():
                if values.dtype.is_floating_point:
                    average[name].mul_(kept).add_(values, alpha=1 - kept)
        if step % _REPORT_EVERY == 0:
            sys.stderr.write(f"step {step} of {steps}, {time.monotonic() - began:.0f} s, loss {loss.item():.3f}\n")
    net.load_state_dict(average)
    net.eval()
    return net


def scores_of(net: Net, pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the probability of a bona fide presentation, float64 (N,)."""
    found = []
    with torch.no_grad():
        for start in range(0, len(pictures), 64):
            x = torch.from_numpy(pictures[start : start + 64]).permute(0, 3, 1, 2).float()
            found.append(torch.softmax(net(x), 1)[:, BONA_FIDE].numpy())
    return np.asarray(np.concatenate(found), np.float64)


def folded(net: Net) -> dict[str, NDArray[np.float32]]:
    """Return the arrays of `pad_network`, batch normalisation folded in."""
    arrays = {}
    for index, (convolution, norm) in enumerate(zip(net.convolutions, net.norms, strict=True)):
        scale = (norm.weight / torch.sqrt(norm.running_var + norm.eps)).detach().double()
        kernel = convolution.weight.detach().double() * scale[:, None, None, None]
        bias = norm.bias.detach().double() - norm.running_mean.double() * scale
        arrays[f"weights_{index}"] = kernel.permute(0, 2, 3, 1).float().numpy()
        arrays[f"bias_{index}"] = bias.float().numpy()
    arrays[f"weights_{len(LAYERS)}"] = net.last.weight.detach()[:, None, None, :].numpy()
    arrays[f"bias_{len(LAYERS)}"] = net.last.bias.detach().numpy()
    return {name: np.ascontiguousarray(values, np.float32) for name, values in arrays.items()}


def main(arguments: list[str]) -> None:
    """Train, say how the held-out presentations are told apart, write the weights."""
    parser = argparse.ArgumentParser(description="training of the texture network")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=1800)
    options = parser.parse_args(arguments)
    with np.load(options.data) as stored:
        data = {name: stored[name] for name in stored.files}
    net = train(data, options.steps)
    rows = np.flatnonzero(data["are_held_out"])
    found, labels, faces = scores_of(net, data["pictures"][rows]), data["labels"][rows], data["are_faces"][rows]
    for what, chosen in (("all", faces | True), ("faces", faces), ("photographs", ~faces)):
        live = found[chosen & (labels == BONA_FIDE)]
        for name, species in (("print", 1), ("screen", 2)):
            attack = found[chosen & (labels == species)]
            area = float((live[:, None] > attack[None]).mean())
            sys.stderr.write(f"held-out {what}: {len(live)} bona fide, {len(attack)} {name}: AUC {area:.3f}\n")
    with options.out.open("wb") as out:
        np.savez(out, **folded(net))


if __name__ == "__main__":
    main(sys.argv[1:])
