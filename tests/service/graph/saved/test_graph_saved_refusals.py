"""SavedModel folders that cannot be served say what to do about it, and nothing in a folder runs when it is opened."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from graph_models import made_ready, noise
from keras import layers
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from layerscope.errors import ModelRefused
from layerscope.graph.saved.model import trace_saved_model


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder that can be served, as file names and contents."""
    folder = tmp_path_factory.mktemp("whole")
    start = keras.Input((4,), name="start")
    keras.Model(start, layers.Dense(3, name="dense")(start)).export(folder, verbose=False)
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


GRAPH, INDEX, WEIGHTS = (
    "saved_model.pb",
    "variables/variables.index",
    "variables/variables.data-00000-of-00001",
)


@pytest.mark.parametrize(
    ("damaged", "advice"),
    [
        ({GRAPH: None}, "copy the whole folder again"),
        ({GRAPH: b"\x00model" * 99}, "copy the whole folder again"),
        ({GRAPH: b""}, "export the model again"),
        ({INDEX: None, WEIGHTS: None}, "copy its whole folder again, with 'variables' in it"),
        ({INDEX: None}, "copy its whole folder again"),
        ({WEIGHTS: None}, "copy its whole folder again"),
        ({INDEX: b"noise" * 99}, "copy its whole folder again"),
        ({WEIGHTS: b""}, "copy its whole folder again"),
    ],
)
def test_folders_that_are_damaged_or_incomplete(tmp_path, whole, damaged, advice):
    for name, content in (whole | damaged).items():
        if content is not None:
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(content)
    assert advice in reason(tmp_path)


@pytest.mark.parametrize("length", [0.1, 0.5, 0.99])
def test_a_graph_that_is_cut_off(tmp_path, whole, length):
    (tmp_path / GRAPH).write_bytes(whole[GRAPH][: int(len(whole[GRAPH]) * length)])
    assert "again" in reason(tmp_path)


def without_restoring(meta_graph):
    meta_graph.saver_def.Clear()


def with_an_operation_of_nobody(meta_graph):
    functions = meta_graph.graph_def.library.function
    next(node for each in functions for node in each.node_def if node.op == "MatMul").op = "OfNobody"


def with_an_operation_that_lacks_an_input(meta_graph):
    functions = meta_graph.graph_def.library.function
    del next(node for each in functions for node in each.node_def if node.op == "MatMul").input[1:]


def without_tags(meta_graph):
    meta_graph.meta_info_def.ClearField("tags")


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        (
            without_restoring,
            "has no values for its variable dense/",
        ),
        (
            with_an_operation_of_nobody,
            "uses the operation OfNobody, which this TensorFlow does not have: export it",
        ),
        (
            with_an_operation_that_lacks_an_input,
            "cannot be read: export the model again with model.export('folder'), with Keras 3",
        ),
        (without_tags, "has no graph for serving, tagged 'serve': export the model again"),
    ],
)
def test_graphs_that_are_not_as_keras_writes_them(tmp_path, whole, change, advice):
    saved_model = SavedModel.FromString(whole[GRAPH])
    change(saved_model.meta_graphs[0])
    for name, content in (whole | {GRAPH: saved_model.SerializeToString()}).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    assert advice in reason(tmp_path)


def reason(folder):
    """Why it is refused: in one sentence that says no more of this machine than it must."""
    with pytest.raises(ModelRefused) as raised:
        made_ready(None, trace_saved_model(folder))
    assert str(folder) not in raised.value.message
    return raised.value.message


def saved(folder, function, *signature, **variables):
    """A SavedModel that Keras has not made."""
    module = tf.Module()
    for name, variable in variables.items():
        setattr(module, name, variable)
    module.serve = tf.function(function, input_signature=signature)
    tf.saved_model.save(module, folder, signatures={"serving_default": module.serve})


VECTORS = tf.TensorSpec([None, 3], name="vectors")


def test_texts(tmp_path):
    saved(
        tmp_path,
        lambda texts: {"length": tf.strings.length(texts)},
        tf.TensorSpec([None], tf.string, "texts"),
    )
    assert "'texts' takes text: export the part of the model that takes numbers" in reason(tmp_path)


def test_a_lookup_table(tmp_path):
    start = keras.Input((2,), dtype="int64", name="start")
    keras.Model(start, layers.IntegerLookup(vocabulary=[4, 7], name="lookup")(start)).export(
        tmp_path, verbose=False
    )
    assert "export it without its lookup layers" in reason(tmp_path)


@pytest.mark.parametrize("batch", [2, None])
def test_batches_of_one_size(tmp_path, batch):
    saved(
        tmp_path, lambda rows: {"turned": tf.reshape(rows, (2, 3, 2))}, tf.TensorSpec([batch, 6], name="rows")
    )
    assert "runs only on batches of a certain size: save it with a free batch size" in reason(tmp_path)


def test_images_alone_are_run_one_by_one(tmp_path):
    saved(
        tmp_path,
        lambda rows: {"turned": tf.reshape(rows, (1, 3, -1)) * 2},
        tf.TensorSpec([1, 6], name="rows"),
    )
    made, values = made_ready(None, trace_saved_model(tmp_path)), noise(4, 6)
    np.testing.assert_array_equal(made.value("turned", on=[values]), values.reshape(4, 3, 2) * 2)


def test_one_size_of_batches_that_nothing_depends_on(tmp_path):
    start = keras.Input(batch_shape=(2, 6), name="start")
    model = keras.Model(start, layers.Dense(3, name="dense")(start))
    model.export(tmp_path, verbose=False)
    made, values = made_ready(model, trace_saved_model(tmp_path)), noise(5, 6)
    np.testing.assert_allclose(made.value("dense", on=[values]), model.get_layer("dense")(values), rtol=1e-5)


@pytest.mark.parametrize("shape", [None, []])
def test_inputs_without_a_batch_axis(tmp_path, shape):
    saved(tmp_path, lambda value: {"twice": value * 2}, tf.TensorSpec(shape, name="value"))
    assert "'value' is not a batch of tensors of one rank: export the model again" in reason(tmp_path)


def of_tensorflow_1(folder, make):
    """A SavedModel of a graph that `make` builds on a placeholder."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        vectors = tf.compat.v1.placeholder(tf.float32, [None, 3], "vectors")
        result = make(vectors)
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.saved_model.simple_save(session, str(folder), {"vectors": vectors}, {"result": result})
        return session.run(result, {vectors: noise(2, 3)})


def test_variables_of_tensorflow_1(tmp_path):
    def dense(vectors):
        with tf.compat.v1.variable_scope("dense"):
            kernel = tf.compat.v1.get_variable("kernel", [3, 2], use_resource=False)
            return tf.nn.relu(tf.matmul(vectors, kernel))

    expected = of_tensorflow_1(tmp_path / "saved", dense)
    made = made_ready(None, trace_saved_model(tmp_path / "saved"))
    np.testing.assert_allclose(made.value("dense", on=[noise(2, 3)]), expected, rtol=1e-6)
    assert made.index["dense"].layer.parameters == 6


def test_branches_of_tensorflow_1(tmp_path):
    def branch(vectors):
        tf.compat.v1.disable_control_flow_v2()
        try:
            return tf.cond(tf.reduce_sum(vectors) > 0, lambda: vectors, lambda: -vectors)
        finally:
            tf.compat.v1.enable_control_flow_v2()

    of_tensorflow_1(tmp_path / "saved", branch)
    assert "in the form of TensorFlow 1: load the model with Keras 3" in reason(tmp_path / "saved")


def test_a_value_that_is_no_input_of_the_signature(tmp_path):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        vectors = tf.compat.v1.placeholder(tf.float32, [None, 3], "vectors")
        factor = tf.compat.v1.placeholder(tf.float32, [], "factor")
        tf.compat.v1.saved_model.simple_save(
            session, str(tmp_path / "saved"), {"vectors": vectors}, {"result": vectors * factor}
        )
    assert "wants a value for factor, which is no input of its signature" in reason(tmp_path / "saved")


def test_opening_a_folder_runs_nothing_of_it_and_side_effects_are_left_out(tmp_path):
    marker = tmp_path / "was-run"

    def write(vectors):
        tf.io.write_file(str(marker), "here")
        return {"twice": vectors * 2}

    saved(tmp_path / "saved", write, VECTORS)
    made = made_ready(None, trace_saved_model(tmp_path / "saved"))
    np.testing.assert_array_equal(made.value("twice", on=[noise(2, 3)]), noise(2, 3) * 2)
    assert not marker.exists()


def test_branches_are_served_and_layers_inside_them_are_listed_as_unreachable(tmp_path):
    kernel = tf.Variable(noise(3, 2))

    def branch(vectors):
        def inside():
            with tf.name_scope("inner"):
                return tf.matmul(vectors, kernel)

        with tf.name_scope("outer"):
            result = tf.cond(tf.reduce_sum(vectors) > 0, inside, lambda: tf.matmul(-vectors, kernel))
        with tf.name_scope("end"):
            return {"result": tf.nn.relu(result)}

    saved(tmp_path, branch, VECTORS, kernel=kernel)
    made = made_ready(None, trace_saved_model(tmp_path))
    for sign in (1, -1):
        values = sign * np.abs(noise(2, 3))
        np.testing.assert_allclose(
            made.value("end", on=[values]), np.maximum(np.abs(values) @ kernel, 0), rtol=1e-5
        )


def test_what_is_not_made_of_real_numbers_has_no_tap(tmp_path):
    def spectrum(vectors):
        with tf.name_scope("spectrum"):
            frequencies = tf.signal.rfft(vectors)
        with tf.name_scope("size"):
            return {"result": tf.abs(frequencies)}

    saved(tmp_path, spectrum, VECTORS)
    made = made_ready(None, trace_saved_model(tmp_path))
    assert made.addresses == ["vectors", "size"]
    np.testing.assert_allclose(
        made.value("size", on=[noise(2, 3)]), np.abs(np.fft.rfft(noise(2, 3))), rtol=1e-4
    )


def test_a_graph_of_tensorflow_1_without_variables(tmp_path):
    expected = of_tensorflow_1(tmp_path / "saved", lambda vectors: tf.nn.relu(vectors, name="active"))
    made = made_ready(None, trace_saved_model(tmp_path / "saved"))
    np.testing.assert_array_equal(made.value("result", on=[noise(2, 3)]), expected)
