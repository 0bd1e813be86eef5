"""Convolutions that are fused with what is behind them: the same values, whatever else is fetched."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from graph_models import assert_close, noise, scatter_statistics, traced
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from layerscope.graph.analysis.subgraph import GraphParts
from layerscope.graph.prepared.weights import Weights
from layerscope.graph.rewrites import RewriteContext
from layerscope.graph.rewrites.fuse_conv_bn import can_fuse, fuse_conv_bn

needs_fusion = pytest.mark.skipif(
    not can_fuse(), reason="TensorFlow computes here without oneDNN, or on a GPU"
)

CONVOLUTIONS = st.one_of(
    st.builds(
        lambda **options: lambda name: layers.Conv2D(6, name=name, **options),
        kernel_size=st.sampled_from([1, 2, 3]),
        strides=st.sampled_from([1, 2]),
        padding=st.sampled_from(["same", "valid"]),
        use_bias=st.booleans(),
        groups=st.sampled_from([1, 3]),
        bias_initializer=st.just("normal"),
    ),
    st.builds(
        lambda **options: lambda name: layers.DepthwiseConv2D(name=name, **options),
        kernel_size=st.sampled_from([2, 3]),
        strides=st.sampled_from([1, 2]),
        padding=st.sampled_from(["same", "valid"]),
        use_bias=st.booleans(),
        depth_multiplier=st.sampled_from([1, 2]),
        bias_initializer=st.just("normal"),
    ),
)
PADDINGS = st.one_of(
    st.none(),
    st.builds(
        lambda before, after: lambda name: layers.ZeroPadding2D((before, after), name=name),
        *[st.tuples(st.sampled_from([0, 1]), st.sampled_from([0, 1])) for _ in range(2)],
    ),
)
NORMALIZATIONS = st.builds(
    lambda **options: lambda name: layers.BatchNormalization(name=name, **options),
    scale=st.booleans(),
    center=st.booleans(),
    epsilon=st.sampled_from([1e-3, 0.1]),
    axis=st.sampled_from([-1, 3]),
)
ACTIVATIONS = st.sampled_from(
    [
        lambda name: layers.ReLU(name=name),
        lambda name: layers.ReLU(6.0, name=name),
        lambda name: layers.ReLU(negative_slope=0.1, name=name),
        lambda name: layers.Activation("swish", name=name),
        lambda name: layers.Identity(name=name),
    ]
)
CONVOLVED, CONVOLVED_BY_CHANNEL = "_FusedConv2D", "_MklNativeFusedDepthwiseConv2dNative"
BLOCKS = st.lists(st.tuples(PADDINGS, CONVOLUTIONS, NORMALIZATIONS, ACTIVATIONS), min_size=1, max_size=2)


def network(blocks):
    start = keras.Input((9, 11, 6), name="start")
    hidden = start
    for number, block in enumerate(blocks):
        for make, name in zip(block, ("pad", "conv", "norm", "act"), strict=True):
            hidden = make(f"{name}{number}")(hidden) if make is not None else hidden
    model = keras.Model(start, hidden)
    scatter_statistics(model)
    return model


def is_fused(made, *addresses):
    names = [tap.tensor.name for tap in made.taps(*addresses)]
    return [node.op for node in fused_nodes(made, names) if node.op.startswith("_")]


def fused_nodes(made, names):
    part = GraphParts(made.prepared.graph).needed_for(names)
    shapes = {tap.tensor.name: tap.shape for tap in made.taps("all")}
    return fuse_conv_bn(part, RewriteContext(names, shapes, Weights(made.prepared))).node


@settings(max_examples=30)
@given(BLOCKS, st.data())
def test_every_layer_is_what_keras_makes_whatever_else_is_fetched(blocks, data):
    made = traced(network(blocks))
    images = noise(2, 9, 11, 6)
    expected = dict(zip(made.addresses, eager(made.model, images), strict=True))
    together = made.values(*expected, on=[images])
    some = data.draw(st.lists(st.sampled_from(made.addresses), min_size=1, unique=True))
    alone = traced(made.model).values(*some, on=[images])
    for address, values in expected.items():
        assert_close(together[address], values, 1e-4)
    for address in some:
        # Not to the last bit: which operations TensorFlow fuses depends on what is fetched.
        assert_close(alone[address], together[address], 1e-6)


def eager(model, images):
    values = [images]
    for layer in model.layers[1:]:
        values.append(np.asarray(layer(values[-1])))
    return values


@pytest.fixture(scope="module", params=[-1, 3], ids=["axis=-1", "axis=3"])
def net(request):
    start = keras.Input((8, 8, 3), name="start")
    hidden = layers.Conv2D(4, 3, use_bias=False, name="conv")(start)
    hidden = layers.BatchNormalization(axis=request.param, name="norm")(hidden)
    hidden = layers.ReLU(name="act")(hidden)
    deep = layers.DepthwiseConv2D(3, name="deep")(hidden)
    deep = layers.BatchNormalization(axis=request.param, name="deep_norm")(deep)
    model = keras.Model(start, layers.ReLU(6.0, name="deep_act")(deep))
    scatter_statistics(model)
    return traced(model)


@needs_fusion
def test_one_operation_does_all_that_is_not_wanted_itself(net):
    """Only one by channel has a constant kernel: beside one that has not, the last bits of others depend on the thread."""
    assert is_fused(net, "deep_act") == [CONVOLVED, CONVOLVED_BY_CHANNEL]
    names = [tap.tensor.name for tap in net.taps("deep_act")]
    nodes = fused_nodes(net, names)
    assert not {node.op for node in nodes} & {"Conv2D", "DepthwiseConv2dNative", "Relu", "Relu6"}


@needs_fusion
def test_plans_share_what_is_computed_of_weights_and_count_what_they_keep_arranged():
    start = keras.Input((4, 4, 4096), name="start")
    hidden = layers.DepthwiseConv2D(4, depth_multiplier=4, name="conv")(start)
    hidden = layers.BatchNormalization(name="norm")(hidden)
    model = keras.Model(start, layers.ReLU(name="act")(hidden))
    made, images = traced(scatter_statistics(model)), noise(1, 4, 4, 4096)
    before, kernel = made.executable.plans.weight_bytes, 16 * 4096 * 4 * 4

    first = made.value("act", on=[images])
    once, plan = made.executable.plans.weight_bytes, made.executable.plans.nbytes
    both = made.values("norm", "act", on=[images])

    assert before + kernel < once < before + 1.1 * kernel
    assert made.executable.plans.weight_bytes == once
    assert kernel < plan < made.executable.plans.nbytes - kernel
    np.testing.assert_array_equal(first, both["act"])
    assert_close(first, model(images))


@needs_fusion
def test_kernels_of_a_large_network_stay_as_they_are():
    start = keras.Input((8, 8, 3), name="start")
    hidden = layers.BatchNormalization(name="norm")(layers.Conv2D(4, 3, name="conv")(start))
    wide = layers.Dense(3000, kernel_initializer="zeros", name="wide")(layers.Dense(3000)(hidden))
    model = scatter_statistics(keras.Model(start, wide))
    made, images = traced(model), noise(2, 8, 8, 3)
    before = made.executable.plans.weight_bytes

    assert is_fused(made, "norm") == [CONVOLVED]
    assert_close(made.value("norm", on=[images]), model.get_layer("norm")(model.get_layer("conv")(images)))
    assert made.executable.plans.weight_bytes == before


@needs_fusion
def test_what_is_wanted_itself_is_there(net):
    wanted = ["conv", "norm", "act"]
    assert is_fused(net, *wanted) == [CONVOLVED]
    values = net.values(*wanted, on=[noise(2, 8, 8, 3)])
    np.testing.assert_array_equal(np.maximum(values["norm"], 0), values["act"])


def test_what_is_replaced_or_differentiated_by_is_there(net):
    images, model = noise(2, 8, 8, 3), net.model
    replaced = noise(2, 6, 6, 4, seed=3)
    (actual,) = net.executable.run([images], net.taps("act"), {net.index["conv"]: replaced})
    assert_close(actual, model.get_layer("act")(model.get_layer("norm")(replaced)))
    gradient = net.gradient([images], net.index["act"], net.index["conv"])
    with tf.GradientTape() as tape:
        inside = model.get_layer("conv")(images)
        tape.watch(inside)
        target = model.get_layer("act")(model.get_layer("norm")(inside))
    assert_close(gradient, tape.gradient(target, inside))


@needs_fusion
def test_values_that_two_layers_read_are_fused_for_both():
    start = keras.Input((8, 8, 3), name="start")
    conv = layers.Conv2D(4, 3, name="conv")(start)
    first = layers.ReLU(name="first")(layers.BatchNormalization(name="norm")(conv))
    second = layers.ReLU(name="second")(layers.BatchNormalization(name="other")(conv))
    both = layers.Add(name="both")([first, second, conv])
    model = keras.Model(start, both)
    scatter_statistics(model)
    made, images = traced(model), noise(2, 8, 8, 3)
    assert is_fused(made, "both") == [CONVOLVED, CONVOLVED]
    assert_close(made.value("both", on=[images]), model(images))


def padded(size, padding, kernel, stride):
    """A network that pads, convolves and normalizes."""
    start = keras.Input((*size, 4), name="start")
    hidden = layers.ZeroPadding2D(padding, name="pad")(start)
    hidden = layers.DepthwiseConv2D(kernel, stride, name="deep")(hidden)
    model = keras.Model(start, layers.BatchNormalization(name="norm")(hidden))
    scatter_statistics(model)
    return traced(model)


def operations(made, *addresses):
    return {node.op for node in fused_nodes(made, [tap.tensor.name for tap in made.taps(*addresses)])}


SAME = [
    pytest.param((8, 10), ((0, 1), (0, 1)), 3, 2, id="even sides, as MobileNet pads"),
    pytest.param((9, 7), ((1, 1), (1, 1)), 3, 2, id="odd sides"),
    pytest.param((8, 9), ((0, 1), (1, 1)), 3, 2, id="one of each"),
    pytest.param((8, 8), ((1, 2), (1, 2)), 4, 1, id="an even kernel"),
]
OTHER = [
    pytest.param((8, 8), ((1, 1), (1, 1)), 3, 2, id="a zero more before"),
    pytest.param((8, 8), ((1, 0), (1, 0)), 3, 2, id="on the other side"),
    pytest.param((None, None), ((0, 1), (0, 1)), 3, 2, id="sides of the input's"),
]


@needs_fusion
@pytest.mark.parametrize(("size", "padding", "kernel", "stride"), SAME)
def test_padding_is_left_to_a_convolution_that_pads_the_same(size, padding, kernel, stride):
    made, images = padded(size, padding, kernel, stride), noise(2, *size, 4)
    assert "Pad" not in operations(made, "norm")
    assert "Pad" in operations(made, "pad", "norm")
    alone, together = made.value("norm", on=[images]), made.values("pad", "norm", on=[images])
    np.testing.assert_array_equal(alone, together["norm"])
    assert_close(alone, made.model(images))
    assert_close(together["pad"], made.model.get_layer("pad")(images))


@needs_fusion
@pytest.mark.parametrize(("size", "padding", "kernel", "stride"), OTHER)
def test_other_padding_stays(size, padding, kernel, stride):
    made, images = padded(size, padding, kernel, stride), noise(2, 8, 8, 4)
    assert "Pad" in operations(made, "norm")
    assert_close(made.value("norm", on=[images]), made.model(images))


@pytest.mark.parametrize("dtype", ["float64", "mixed_float16"])
def test_other_precisions_stay_as_they_are(dtype):
    start = keras.Input((8, 8, 3), name="start")
    hidden = layers.Conv2D(4, 3, name="conv", dtype=dtype)(start)
    model = keras.Model(start, layers.BatchNormalization(name="norm", dtype=dtype)(hidden))
    scatter_statistics(model)
    made, images = traced(model), noise(2, 8, 8, 3)
    assert is_fused(made, "norm") == []
    assert_close(made.value("norm", on=[images]), model(images), 1e-2)
