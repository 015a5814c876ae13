"""MiniFASNet from its state dict: the graph computes what the layers say, and a wrong dictionary is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("ai_edge_litert", reason="the flatbuffer schema comes with ai-edge-litert")

from ai_edge_litert.interpreter import Interpreter

from models.tools.minifasnet import emit, read_network
from models.tools.mobilefacenet import fold_slopes
from models.tools.torch_weights import WeightsInvalid

State = dict[str, NDArray[Any]]
Values = NDArray[np.float64]

# Blocks in each stage and inner widths; the real networks have (4, 6, 2) and 13 to 308.
BLOCKS = {"conv_3": 2, "conv_4": 1, "conv_5": 1}
WIDTHS = {"conv_23": (4, 6, 8), "conv_34": (8, 5, 8), "conv_45": (8, 7, 8)}
LAST, INNER = 12, 6


def random_state(*, has_excitation: bool) -> State:
    """Return arrays of a narrow network, in PyTorch's layout."""
    random = np.random.Generator(np.random.PCG64(11))
    state: State = {}

    def norm(name: str, width: int) -> None:
        state[f"{name}.weight"] = random.uniform(0.5, 1.5, width)
        state[f"{name}.bias"] = random.normal(0, 0.2, width)
        state[f"{name}.running_mean"] = random.normal(0, 0.2, width)
        state[f"{name}.running_var"] = random.uniform(0.5, 2, width)
        state[f"{name}.num_batches_tracked"] = np.array(3)

    def conv(name: str, shape: tuple[int, int, int, int], *, has_activation: bool = True) -> None:
        state[f"{name}.conv.weight"] = random.normal(0, 1 / np.sqrt(np.prod(shape[1:])), shape)
        norm(f"{name}.bn", shape[0])
        if has_activation:
            state[f"{name}.prelu.weight"] = random.uniform(-1.5, 1.5, shape[0])

    def block(name: str, into: int, inner: int, out: int, *, excited: bool = False) -> None:
        conv(f"{name}.conv", (inner, into, 1, 1))
        conv(f"{name}.conv_dw", (inner, 1, 3, 3))
        conv(f"{name}.project", (out, inner, 1, 1), has_activation=False)
        if excited:
            state[f"{name}.se_module.fc1.weight"] = random.normal(0, 0.5, (3, out, 1, 1))
            norm(f"{name}.se_module.bn1", 3)
            state[f"{name}.se_module.fc2.weight"] = random.normal(0, 0.5, (out, 3, 1, 1))
            norm(f"{name}.se_module.bn2", out)

    conv("conv1", (4, 3, 3, 3))
    state["conv1.conv.weight"] /= 128
    conv("conv2_dw", (4, 1, 3, 3))
    for (down, widths), (stage, count) in zip(WIDTHS.items(), BLOCKS.items(), strict=True):
        block(down, *widths)
        for number in range(count):
            is_excited = has_excitation and number == count - 1
            block(f"{stage}.model.{number}", widths[2], 5, widths[2], excited=is_excited)
    conv("conv_6_sep", (LAST, 8, 1, 1))
    conv("conv_6_dw", (LAST, 1, 5, 5), has_activation=False)
    state["linear.weight"] = random.normal(0, 0.4, (INNER, LAST))
    norm("bn", INNER)
    state["prob.weight"] = random.normal(0, 0.8, (3, INNER))
    return state


def reference(state: State, picture: Values) -> float:
    """Return the probability of class 1, from the state dict alone: slowly, in double precision, as PyTorch orders things."""

    def norm(name: str, x: Values) -> Values:
        deviation = np.sqrt(state[f"{name}.running_var"] + 1e-5)
        y = (x - state[f"{name}.running_mean"]) / deviation * state[f"{name}.weight"] + state[f"{name}.bias"]
        return np.asarray(y, np.float64)

    def conv(name: str, x: Values, *, stride: int = 1, padding: int = 0, has_activation: bool = True) -> Values:
        kernel = state[f"{name}.conv.weight"]
        size, is_depthwise = kernel.shape[2], kernel.shape[1] == 1 and x.shape[2] > 1
        x = np.pad(x, ((padding, padding), (padding, padding), (0, 0)))
        count = (x.shape[0] - size) // stride + 1
        y = np.empty((count, count, kernel.shape[0]))
        for row in range(count):
            for column in range(count):
                window = x[row * stride : row * stride + size, column * stride : column * stride + size]
                terms = "hwo,ohw->o" if is_depthwise else "hwi,oihw->o"
                y[row, column] = np.einsum(terms, window, kernel[:, 0] if is_depthwise else kernel)
        y = norm(f"{name}.bn", y)
        return np.where(y > 0, y, y * state[f"{name}.prelu.weight"]) if has_activation else y

    def block(name: str, x: Values, *, stride: int) -> Values:
        y = conv(f"{name}.conv", x)
        y = conv(f"{name}.conv_dw", y, stride=stride, padding=1)
        y = conv(f"{name}.project", y, has_activation=False)
        if f"{name}.se_module.fc1.weight" in state:
            weights = state[f"{name}.se_module.fc1.weight"][:, :, 0, 0] @ y.mean((0, 1))
            weights = np.maximum(norm(f"{name}.se_module.bn1", weights), 0)
            weights = norm(f"{name}.se_module.bn2", state[f"{name}.se_module.fc2.weight"][:, :, 0, 0] @ weights)
            y = y / (1 + np.exp(-weights))
        return y + x if stride == 1 else y

    x = conv("conv1", picture, stride=2, padding=1)
    x = conv("conv2_dw", x, padding=1)
    for down, (stage, count) in zip(WIDTHS, BLOCKS.items(), strict=True):
        x = block(down, x, stride=2)
        for number in range(count):
            x = block(f"{stage}.model.{number}", x, stride=1)
    x = conv("conv_6_dw", conv("conv_6_sep", x), has_activation=False).reshape(-1)
    logits = state["prob.weight"] @ norm("bn", state["linear.weight"] @ x)
    powers = np.exp(logits - logits.max())
    return float(powers[1] / powers.sum())


def computed(data: bytes, picture: Values) -> float:
    interpreter = Interpreter(model_content=data, num_threads=1)
    interpreter.allocate_tensors()
    (image,), (score,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.set_tensor(image["index"], picture[None].astype(np.float32))
    interpreter.invoke()
    return float(interpreter.get_tensor(score["index"]).reshape(-1)[0])


@pytest.mark.parametrize("has_excitation", [False, True])
def test_graph_computes_what_a_slow_reading_of_the_arrays_does(*, has_excitation: bool) -> None:
    state = random_state(has_excitation=has_excitation)
    network = read_network(state)
    data = emit(type(network)(fold_slopes(network.layers), network.excitations, network.padded))
    random = np.random.Generator(np.random.PCG64(12))
    expected, found = [], []
    for _ in range(3):
        picture = random.integers(0, 256, (80, 80, 3)).astype(np.float64)
        expected.append(reference(state, picture))
        found.append(computed(data, picture))
    assert np.ptp(expected) > 1e-3
    np.testing.assert_allclose(found, expected, atol=2e-4)


def test_structure_follows_the_shapes() -> None:
    network = read_network(random_state(has_excitation=True))
    assert len(network.layers) == 2 + 3 * (len(WIDTHS) + sum(BLOCKS.values())) + 4
    assert len(network.padded) == 4
    assert len(network.excitations) == 3
    assert [layer.bias.size for layer in network.layers][-2:] == [INNER, 3]
    assert sum(layer.shortcut is not None for layer in network.layers) == sum(BLOCKS.values())


def changed(name: str, values: NDArray[Any] | None) -> State:
    state = random_state(has_excitation=True)
    if values is None:
        del state[name]
    else:
        state[name] = values
    return state


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (changed("conv1.conv.weight", None), "array conv1.conv.weight is missing"),
        (changed("conv1.conv.weight", np.ones((4, 3, 5, 5))), r"is \(4, 3, 5, 5\), expected \('any', 3, 3, 3\)"),
        (changed("conv_34.conv_dw.prelu.weight", np.ones(4)), r"is \(4,\), expected \(5,\)"),
        (changed("conv_6_dw.conv.weight", np.ones((LAST, 1, 7, 7))), "expected"),
        (changed("prob.weight", np.ones((2, INNER))), "gives 2 classes, expected 3"),
        (changed("linear.weight", np.full((INNER, LAST), np.nan)), "holds a value that is no number"),
        (changed("bn.running_var", np.full(INNER, -1.0)), "negative variance"),
        (changed("conv_3.model.9.conv.conv.weight", np.ones((5, 8, 1, 1))), "blocks of conv_3"),
        (changed("head.weight", np.ones(3)), "1 arrays that a MiniFASNet does not have, such as 'head.weight'"),
        (changed("conv_5.model.0.project.conv.weight", np.ones((9, 5, 1, 1))), "expected"),
        ({"fc.weight": np.ones((3, 3))}, "conv1.conv.weight is missing: not a MiniFASNet"),
    ],
)
def test_wrong_dictionary_is_refused_with_its_reason(state: State, why: str) -> None:
    with pytest.raises(WeightsInvalid, match=why):
        read_network(state)
