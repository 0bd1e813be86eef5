"""A `.tflite` file is compared with the model that it was converted from, layer by layer."""

import sys
from contextlib import closing

import keras
import numpy as np
import pytest
from compared_models import ARCHITECTURES, LIMITS, SIDE, Compared, built, chain, pictures
from keras import layers
from lite_files import changed, converted, tensor

from layerscope.errors import DeadlineExceeded, ModelRefused, OptionInvalid
from layerscope.execution.cancellation import CancellationToken
from layerscope.graph.lite.model import LiteModel
from layerscope.graph.lite.quantisation import Quantisation
from layerscope.interventions import parse_edit

pytestmark = pytest.mark.wide


class Converted:
    """A network, and what files that were converted from it are compared with."""

    def __init__(self, model, folder):
        self.model = model
        self.network = Compared(model)
        self.reference = self.network.version()
        self._path = folder / "model.tflite"

    def compare(self, data, images=4, **options):
        self._path.write_bytes(data)
        with closing(LiteModel(self._path, self.reference, LIMITS)) as candidate:
            return self.network.compare(self.reference, candidate, images, **options)

    def close(self):
        self.network.close()


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    with closing(Converted(built(chain), tmp_path_factory.mktemp("plain"))) as made:
        yield made


@pytest.fixture(scope="module")
def floats(plain):
    return converted(plain.model)


@pytest.fixture(scope="module", params=ARCHITECTURES)
def architecture(request, tmp_path_factory):
    model = built(ARCHITECTURES[request.param])
    with closing(Converted(model, tmp_path_factory.mktemp("lite"))) as made:
        yield made


def test_a_float_export_has_the_values_of_every_layer_that_it_has(architecture) -> None:
    found = architecture.compare(converted(architecture.model))
    assert max(each.relative_l2 for each in found.layers) < 1e-5
    assert found.verdict in {"same", "rounding"}
    assert found.origins == ()
    addresses = {each.reference for each in found.layers}
    ends = architecture.reference.description.taps.select(["input", "outputs"])
    assert {tap.address for tap in ends} < addresses
    assert addresses.isdisjoint(found.fused)
    outputs = [tap.address for tap in architecture.reference.description.taps.outputs()]
    assert sorted([*addresses, *found.fused]) == sorted(outputs)


def test_what_was_fused_is_the_value_of_the_last_layer_whatever_the_order_of_names(tmp_path) -> None:
    """A tensor called `dense/MatMul;relu/Relu` has what the ReLU gives, one called `relu/Relu;conv/…` as well."""
    image = keras.Input((SIDE, SIDE, 3), name="image")
    hidden = layers.Conv2D(4, 3, name="conv")(image)
    hidden = layers.Flatten(name="flat")(layers.ReLU(name="first")(hidden))
    hidden = layers.ReLU(name="second")(layers.Dense(6, use_bias=False, name="dense")(hidden))
    model = built(lambda: keras.Model(image, layers.Dense(2, name="end")(hidden)))
    with closing(Converted(model, tmp_path)) as made:
        data = converted(model)
        assert "dense_1/MatMul;" in data.decode("latin1")
        found = made.compare(data)
    assert {"first", "second", "end"} <= {each.reference for each in found.layers}
    assert {"conv", "dense"} <= set(found.fused)
    assert max(each.relative_l2 for each in found.layers) < 1e-5


def test_the_layer_with_another_weight_is_the_origin(plain, floats) -> None:
    def perturb_depthwise(model):
        (graph,) = model.subgraphs
        depthwise = tensor(model, "/depthwise_1")
        (operator,) = (each for each in graph.operators if graph.tensors[each.outputs[0]] is depthwise)
        kernel = model.buffers[graph.tensors[operator.inputs[1]].buffer]
        kernel.data = (kernel.data.view(np.float32) * np.float32(1.01)).view(np.uint8)

    found = plain.compare(changed(floats, perturb_depthwise))
    assert found.origins == ("depthwise",)
    assert [each.status for each in found.layers if each.reference == "relu"] == ["rounding"]
    figures = {each.reference: each.relative_l2 for each in found.layers}
    assert figures["depthwise"] == pytest.approx(0.01, rel=0.2)


@pytest.mark.parametrize("whole", [False, True])
def test_an_integer_export_is_dequantised(plain, whole) -> None:
    images = pictures(32, seed=5)
    found = plain.compare(converted(plain.model, images, whole=whole), values=images[:8])
    figures = {each.reference: each.relative_l2 for each in found.layers}
    (image,) = plain.reference.description.taps.select(["input"])
    assert {image.address, "relu", "depthwise", "pool", "scores"} <= set(figures)
    # Eight bits over the range of a layer: wrong scales or zero points would give errors of 100 %.
    assert all(value < 0.1 for value in figures.values()), figures
    assert figures["relu"] > 1e-4
    # Pixels of 0 to 1 in 255 steps: an error of a step by the square root of 12, of numbers with a mean square of a third.
    expected = 1 / 255 / np.sqrt(12) / np.sqrt(1 / 3)
    assert figures[image.address] == (pytest.approx(expected, rel=0.1) if whole else 0)


def test_scales_of_each_channel_have_zero_points_of_their_own() -> None:
    quantisation = Quantisation(np.array([0.5, 2.0]), np.array([0.0, 10.0]), axis=1)
    values = np.array([[3, 12], [-4, 7]], np.int8)
    numbers = quantisation.dequantised(values)
    assert numbers.tolist() == [[1.5, 4], [-2, -6]]
    assert numbers.dtype == np.float32
    assert (quantisation.quantised(numbers, np.dtype(np.int8)) == values).all()
    assert quantisation.quantised(np.float32([[1e9, -1e9]]), np.dtype(np.int8)).tolist() == [[127, -128]]


def test_inputs_and_outputs_are_those_of_the_same_name(tmp_path) -> None:
    """Two of the same shape each, in an order that the file need not keep."""
    one, other = keras.Input((6,), name="left"), keras.Input((6,), name="right")
    hidden = layers.Subtract(name="difference")([one, layers.Dense(6, name="dense")(other)])
    outputs = [layers.Dense(3, name="b")(hidden), layers.Dense(3, name="a")(hidden)]
    model = built(lambda: keras.Model([one, other], outputs))
    with closing(Compared(model)) as network:
        reference = network.version()
        (tmp_path / "two.tflite").write_bytes(converted(model))
        with closing(LiteModel(tmp_path / "two.tflite", reference, LIMITS)) as candidate:
            values = {
                name: np.random.default_rng(3 + len(name)).random((3, 6), np.float32)
                for name in ("left", "right")
            }
            found = network.compare(reference, candidate, inputs=values)
    assert {"left", "right", "difference", "a", "b"} <= {each.reference for each in found.layers}
    assert max(each.relative_l2 for each in found.layers) < 1e-5


def test_images_of_another_size_than_the_file_was_converted_with(tmp_path) -> None:
    image = keras.Input((None, None, 3), name="image")
    hidden = layers.Conv2D(4, 3, activation="relu", name="conv")(image)
    model = built(lambda: keras.Model(image, layers.GlobalAveragePooling2D(name="pool")(hidden)))
    with closing(Converted(model, tmp_path)) as made:
        found = made.compare(converted(model))
    assert [each.reference for each in found.layers] == ["image", "conv", "pool"]
    assert max(each.relative_l2 for each in found.layers) < 1e-5


def test_layers_that_were_fused_cannot_be_asked_for_alone(plain, floats) -> None:
    with pytest.raises(OptionInvalid, match="None of these layers has a tensor of its own"):
        plain.compare(floats, layers=["norm"])
    found = plain.compare(floats, layers=["norm", "relu"])
    assert ([each.reference for each in found.layers], found.fused) == (["relu"], ("norm",))


def test_a_file_is_not_edited(plain, floats) -> None:
    with pytest.raises(OptionInvalid, match="cannot be edited"):
        plain.compare(floats, edits=[parse_edit("relu;set=0")])


def test_a_file_of_another_model_is_refused(plain, tmp_path) -> None:
    image = keras.Input((SIDE, SIDE, 3), name="image")
    others = {
        "The outputs of the file are not those of the model": layers.Dense(7)(layers.Flatten()(image)),
        "No tensor .* is named like": layers.Dense(5, name="other")(layers.Flatten(name="flat")(image)),
    }
    for message, output in others.items():
        with pytest.raises(ModelRefused, match=message):
            plain.compare(converted(built(lambda output=output: keras.Model(image, output))))


def test_nobody_waits_for_what_was_cancelled(plain, floats) -> None:
    token = CancellationToken()
    token.cancel()
    with pytest.raises(DeadlineExceeded):
        plain.compare(floats, run={"cancellation": token})


def test_without_the_interpreter_one_sentence_says_how_to_install_it(plain, floats, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    with pytest.raises(ModelRefused, match=r"pip install 'layerscope\[tflite\]'"):
        plain.compare(floats)


@pytest.mark.soak
def test_every_stage_of_a_deep_network_is_found(tmp_path) -> None:
    """MobileNetV2, whose 156 layers become 65 tensors: what each block expands, filters, projects and adds."""
    side = 96
    network = keras.applications.MobileNetV2(
        weights=None, input_shape=(side, side, 3), alpha=0.35, classes=20
    )
    model = built(lambda: network)
    images = np.random.default_rng(0).random((8, side, side, 3), np.float32)
    with closing(Converted(model, tmp_path)) as made:
        image = made.reference.description.inputs[0].name
        found = made.compare(converted(model), inputs={image: images[:2]})
        whole = made.compare(converted(model, images), inputs={image: images[:2]})
    assert len(found.layers) >= 60
    assert max(each.relative_l2 for each in found.layers) < 1e-5
    assert [each.reference for each in whole.layers] == [each.reference for each in found.layers]
    assert max(each.relative_l2 for each in whole.layers) < 0.2
