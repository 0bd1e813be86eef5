"""Axes of taps: what each axis counts, followed from the inputs through Keras' layers and bare operations."""

import keras
import pytest
from graph_models import traced
from keras import layers, ops

from layerscope.graph.saved.model import trace_saved_model
from layerscope.graph.taps.geometry import map_geometry, why_no_geometry
from layerscope.graph.taps.tap import TokenGrid

IMAGE = ("height", "width", "channels")
TOKENS = ("tokens", "channels")


def axes_of(model):
    """The axes of every output of a layer by its address."""
    return {tap.address: tap.axes for tap in traced(model).index.outputs()}


class ClassToken(layers.Layer):
    """A token before all others, or behind them."""

    def __init__(self, behind=False, **options):
        super().__init__(**options)
        self.behind = behind

    def build(self, shape):
        self.token = self.add_weight(shape=(1, 1, shape[-1]), name="token")

    def call(self, tokens):
        token = ops.broadcast_to(self.token, (ops.shape(tokens)[0], 1, tokens.shape[-1]))
        return ops.concatenate([tokens, token] if self.behind else [token, tokens], axis=1)


def transformer(*, behind=False, head=lambda tokens: tokens[:, 0]):
    """A vision transformer of one block over 4 x 6 patches."""
    image = keras.Input((16, 24, 3))
    tokens = layers.Reshape((-1, 8), name="flat")(layers.Conv2D(8, 4, 4, name="patches")(image))
    tokens = ClassToken(behind, name="with_class")(tokens)
    normal = layers.LayerNormalization(name="normal")(tokens)
    mixed = layers.Add(name="mixed")(
        [tokens, layers.MultiHeadAttention(2, 4, name="attention")(normal, normal)]
    )
    end = layers.Dense(8, activation="gelu", name="dense")(mixed)
    return keras.Model(image, layers.Dense(3, name="kind")(head(end)))


def test_convolutions_keep_rows_and_columns_and_heads_of_classifiers_have_none():
    image = keras.Input((32, 32, 3), name="image")
    x = layers.Conv2D(8, 3, groups=1, name="conv")(layers.Rescaling(2.0)(image))
    x = layers.DepthwiseConv2D(3, name="depth")(layers.BatchNormalization()(x))
    x = layers.Conv2D(8, 3, groups=4, name="groups")(layers.ZeroPadding2D()(x))
    gate = layers.Reshape((1, 1, 8), name="gate")(layers.GlobalAveragePooling2D(name="pool")(x))
    x = layers.Multiply(name="gated")([x, layers.Conv2D(8, 1, activation="sigmoid", name="squeezed")(gate)])
    x = layers.UpSampling2D(name="up", interpolation="bilinear")(layers.LayerNormalization()(x))
    x = layers.Dense(4, name="pointwise")(x)
    found = axes_of(keras.Model(image, layers.Dense(2, name="kind")(layers.Flatten(name="flat")(x))))
    assert found.pop("pool") == found.pop("flat") == found.pop("kind") == ("channels",)
    assert set(found.values()) == {IMAGE}


def test_a_volume_a_series_and_a_text_are_no_images():
    volume, series, text = keras.Input((8, 8, 8, 1)), keras.Input((9, 4)), keras.Input((7,), dtype="int32")
    conv = layers.MaxPooling3D(name="pool")(layers.Conv3D(2, 3, name="conv")(volume))
    steps = layers.LSTM(3, return_sequences=True, name="steps")(layers.Conv1D(3, 2, name="slide")(series))
    words = layers.Bidirectional(layers.GRU(3, return_sequences=True), name="both")(
        layers.Embedding(9, 4, name="embedded")(text)
    )
    found = axes_of(
        keras.Model([volume, series, text], [conv, steps, words, layers.GRU(2, name="end")(words)])
    )
    assert found["conv"] == found["pool"] == ("depth", *IMAGE)
    assert found["slide"] == found["steps"] == ("time", "channels")
    assert found["embedded"] == found["both"] == TOKENS
    assert found["end"] == ("channels",)


def test_steps_that_run_backwards_are_not_taken_for_those_that_run_forwards():
    text = keras.Input((7,), dtype="int32")
    embedded = layers.Embedding(9, 4, name="embedded")(text)
    both = layers.Bidirectional(layers.LSTM(3, return_sequences=True, name="lstm"), name="both")(embedded)
    backwards = layers.GRU(3, return_sequences=True, go_backwards=True, name="backwards")(both)
    slid = layers.Conv1D(3, 2, padding="same", name="slid")(backwards)
    restored = layers.SimpleRNN(3, return_sequences=True, go_backwards=True, name="restored")(slid)
    turned = layers.ReLU(name="turned")(restored[:, ::-1])
    flipped = layers.ReLU(name="flipped")(keras.ops.flip(turned, 1))
    found = axes_of(keras.Model(text, layers.Attention(name="attention")([turned, flipped])))
    for name in ("both/backward_lstm", "backwards", "slid", "turned", "attention"):
        assert found[name] == ("unknown", "channels"), name
    for name in ("embedded", "both", "both/forward_lstm", "restored", "flipped"):
        assert found[name] == TOKENS, name


def test_channels_first_and_turned_images_are_what_they_are():
    image = keras.Input((3, 10, 12))
    first = layers.Conv2D(4, 3, data_format="channels_first", name="first")(image)
    last = layers.Permute((2, 3, 1), name="last")(first)
    turned = layers.Conv2D(2, 3, name="turned")(layers.Permute((2, 1, 3))(last))
    found = axes_of(keras.Model(image, [turned, layers.ReLU(name="relu")(first)]))
    assert found["first"] == found["relu"] == ("channels", "height", "width")
    assert found["last"] == IMAGE
    assert found["turned"] == ("width", "height", "channels")


def test_four_rows_are_no_colours_where_a_convolution_reads_them_as_rows():
    image = keras.Input((4, 6, 2), name="image")
    found = axes_of(keras.Model(image, layers.Conv2D(2, 3, name="conv")(image)))
    assert found == {"image": IMAGE, "conv": IMAGE}


def test_what_a_convolution_reads_is_a_map_also_before_it():
    noise = keras.Input((5,))
    start = layers.Reshape((4, 4, 2), name="start")(layers.Dense(32, name="dense")(noise))
    found = axes_of(
        keras.Model(noise, layers.Conv2DTranspose(3, 3, name="end")(layers.ReLU(name="relu")(start)))
    )
    assert found["start"] == found["relu"] == found["end"] == IMAGE
    assert found["dense"] == ("channels",)


def test_nothing_is_concluded_from_the_number_of_axes():
    table = keras.Input((5, 6, 7))
    made = traced(
        keras.Model(table, layers.Dense(4, name="dense")(layers.Permute((2, 1, 3), name="turn")(table)))
    )
    (tap,) = made.taps("turn")
    assert tap.axes == ("unknown",) * 3
    assert "cannot be told" in why_no_geometry(tap.axes, None)


def test_queries_have_heads_and_are_no_maps():
    made = traced(transformer())
    for address in ("attention/query", "attention/key", "attention/value"):
        (tap,) = made.taps(address)
        assert tap.axes == ("tokens", "heads", "channels")
        assert map_geometry(tap) is None


@pytest.mark.parametrize(("behind", "offset"), [(False, 1), (True, 0)])
def test_tokens_of_patches_are_a_map_without_the_class_token(behind, offset):
    made = traced(transformer(behind=behind, head=layers.GlobalAveragePooling1D()))
    grids = {tap.address: tap.tensor.grid for tap in made.index.outputs() if tap.axes == TOKENS}
    assert grids.pop("flat") == TokenGrid(4, 6, 0)
    assert set(grids.values()) == {TokenGrid(4, 6, offset)}
    assert {"with_class", "normal", "mixed", "attention", "dense"} <= grids.keys()


def test_tokens_taken_apart_are_rows_and_columns_again():
    made = traced(transformer(head=lambda tokens: layers.Reshape((4, 6, 8), name="map")(tokens[:, 1:])))
    assert made.taps("map")[0].axes == IMAGE
    assert made.taps("get_item*")[0].tensor.grid == TokenGrid(4, 6, 0)


def test_behind_the_last_attention_nothing_reads_the_map_if_the_head_reads_the_class_token():
    made = traced(transformer())
    read = {tap.address for tap in made.index.outputs() if tap.tensor.grid and tap.tensor.grid.is_read}
    assert {"flat", "with_class", "normal", "attention/key", "attention/value"} == read


def test_a_saved_graph_tells_the_same_but_for_heads(tmp_path):
    """It does not name attention layers."""
    model = transformer()
    model.export(tmp_path / "saved", verbose=False)
    saved = {tap.address: tap for call in trace_saved_model(tmp_path / "saved").calls for tap in call.taps}
    for tap in traced(model).index.outputs():
        if tap.address in saved and tap.layer.type != "InputLayer":
            unnamed = tuple("unknown" if name == "heads" else name for name in tap.axes)
            assert (saved[tap.address].axes, saved[tap.address].tensor.grid) == (unnamed, tap.tensor.grid)


def test_sizes_that_tensorflow_does_not_infer_follow_from_the_axes():
    image = keras.Input((8, 12, 3))
    maps = layers.Conv2D(4, 3, padding="same", name="maps")(image)

    class Flat(layers.Layer):
        def call(self, values):
            return ops.reshape(values, (ops.shape(values)[0], -1, values.shape[-1]))

    tokens = layers.Dense(5, name="dense")(Flat(name="flat")(maps))
    made = traced(keras.Model(image, layers.LayerNormalization(name="normal")(tokens)))
    for address in ("flat", "dense", "normal"):
        (tap,) = made.taps(address)
        assert (tap.axes, tap.tensor.grid) == (TOKENS, TokenGrid(8, 12, 0))


def test_tokens_of_images_of_any_size_have_no_known_map():
    image = keras.Input((None, None, 3))
    tokens = layers.Reshape((-1, 4), name="flat")(layers.Conv2D(4, 3, name="maps")(image))
    made = traced(keras.Model(image, layers.Dense(5, name="dense")(tokens)))
    assert made.taps("flat")[0].axes == TOKENS
    assert [tap.tensor.grid for tap in made.taps("flat", "dense")] == [None, None]


def test_windows_of_tokens_are_no_map():
    image = keras.Input((8, 8, 3))
    windows = layers.Reshape((2, 4, 2, 4, 3))(image)
    windows = layers.Permute((1, 3, 2, 4, 5))(windows)
    made = traced(keras.Model(image, layers.Reshape((4, 16, 3), name="windows")(windows)))
    assert map_geometry(made.taps("windows")[0]) is None
    patches = layers.Reshape((4, 48), name="patches")(windows)
    made = traced(keras.Model(image, layers.Dense(5, name="dense")(patches)))
    assert made.taps("dense")[0].tensor.grid == TokenGrid(2, 2, 0)


class Windowed(layers.Layer):
    """Moves the four windows of an 8 x 8 map to where `arranged` wants them, convolves, and puts them together as `joined` does."""

    def __init__(self, arranged, joined=lambda windows: windows, **options):
        super().__init__(**options)
        self.arranged, self.joined = arranged, joined
        self.inside = layers.Conv2D(4, 2, padding="same", name="inside")

    def call(self, maps):
        windows = ops.transpose(ops.reshape(maps, (-1, 2, 4, 2, 4, 4)), (0, 1, 3, 2, 4, 5))
        return self.joined(self.inside(ops.reshape(windows, self.arranged)))


def whole_again(windows):
    apart = ops.transpose(ops.reshape(windows, (-1, 2, 2, 4, 4, 4)), (0, 1, 3, 2, 4, 5))
    return ops.reshape(apart, (-1, 8, 8, 4))


@pytest.mark.parametrize(
    ("arranged", "joined"),
    [
        ((-1, 4, 4, 4), whole_again),  # as rows of the batch
        ((-1, 16, 4, 4), whole_again),  # below each other
        ((-1, 8, 8, 4), lambda windows: windows),  # as a map with the pixels of the windows one after another
    ],
)
def test_places_within_windows_are_no_map_until_they_are_in_order_again(arranged, joined):
    image = keras.Input((8, 8, 4), name="image")
    maps = layers.Conv2D(4, 3, padding="same", name="before")(image)
    made = traced(
        keras.Model(
            image, layers.Conv2D(2, 3, name="after")(Windowed(arranged, joined, name="windows")(maps))
        )
    )
    found = {tap.address: tap for tap in made.index.outputs()}
    assert map_geometry(found["before"]) is not None
    assert map_geometry(found["windows/inside"]) is None
    is_whole = joined is whole_again
    assert [map_geometry(found[address]) is not None for address in ("windows", "after")] == [is_whole] * 2


def test_a_layer_whose_table_holds_single_numbers_has_axes_all_the_same(caplog):
    words = keras.Input((6,), dtype="int32", name="words")
    model = keras.Model(words, layers.Embedding(9, 4, name="embedded")(words))
    model.quantize("int8")
    assert axes_of(model)["embedded"] == TOKENS
    assert caplog.messages == []


def given(shape, *between):
    """The axes of an input that layers read one after another."""
    start = hidden = keras.Input(shape, name="start")
    for layer in between:
        hidden = layer(hidden)
    return axes_of(keras.Model(start, hidden))["start"]


def test_an_input_counts_what_the_layers_that_read_it_take_it_to_count():
    def conv(rank):
        return {1: layers.Conv1D, 2: layers.Conv2D, 3: layers.Conv3D}[rank](2, 2)

    series, volume = ("time", "channels"), ("depth", *IMAGE)
    assert given((9, 2), layers.BatchNormalization(), layers.Conv1D(3, 2, padding="causal")) == series
    assert given((9, 2), layers.Bidirectional(layers.LSTM(2))) == series
    assert given((9,), layers.Reshape((9, 1)), conv(1)) == ("time",)
    assert given((2, 9), layers.Permute((2, 1)), conv(1)) == ("channels", "time")
    assert given((8, 8, 8, 1), layers.ZeroPadding3D(), conv(3)) == volume
    assert given((4, 8, 8, 2), layers.ConvLSTM2D(2, 2)) == ("time", *IMAGE)
    for steps in (4, None):
        assert given((steps, 8, 8, 2), layers.TimeDistributed(conv(2))) == ("time", *IMAGE)
    assert given((9, 2), layers.Dense(3)) == ("unknown", "unknown")


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_positions_within_a_step_are_no_time(channels):
    """Also where the shape (steps, positions, channels) is that of an image."""
    signals = ("time", "width", "channels")
    shape = (4, 9, channels)
    assert given(shape, layers.ConvLSTM1D(3, 2)) == signals
    assert given(shape, layers.BatchNormalization(), layers.ConvLSTM1D(3, 2)) == signals
    assert given(shape, layers.TimeDistributed(layers.Conv1D(3, 2))) == signals
    assert given((4, channels, 9), layers.ConvLSTM1D(3, 2, data_format="channels_first")) == (
        "time",
        "channels",
        "width",
    )
    assert given((9, 9, channels), layers.Conv2D(3, 2), layers.Reshape((8, -1)), layers.LSTM(2)) == IMAGE


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_convolutions_over_time_count_channels_where_their_data_format_has_them(rank):
    places = ("depth", "height", "width")[-rank:]
    layer = getattr(layers, f"ConvLSTM{rank}D")
    for data_format, axes in (
        ("channels_last", (*places, "channels")),
        ("channels_first", ("channels", *places)),
    ):
        start = keras.Input((6, *(2 if name == "channels" else 5 for name in axes)), name="start")
        each = layer(3, 3, data_format=data_format, return_sequences=True, padding="same", name="each")(start)
        last = layer(2, 3, data_format=data_format, name="last")(each)
        found = axes_of(keras.Model(start, last))
        assert found == {"start": ("time", *axes), "each": ("time", *axes), "last": axes}
