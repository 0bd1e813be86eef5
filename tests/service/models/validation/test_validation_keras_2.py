"""Files of Keras 2 from strangers: what is accepted opens with the values of Keras 2, and nothing but data comes through."""

import inspect
import shutil
from contextlib import suppress

import h5py
import numpy as np
import pytest
from hostile_files import examined
from keras_2_edits import called, edited

from layerscope.errors import (
    ConfigInvalid,
    LayerNotAllowed,
    ModelRefused,
    ModelTooLarge,
    WeightsShapeMismatch,
)
from layerscope.graph.loading.loader import SHARED_LOADER
from layerscope.graph.model import assemble
from layerscope.limits import Limits
from layerscope.models.bounds import OpeningBounds
from layerscope.models.directory import ModelSource
from layerscope.models.validation import allowed, allowed_keras_2, validate

pytestmark = pytest.mark.wide

BOUNDS = OpeningBounds(seconds=120, address_space=8 << 30, parameters=500_000_000)
FILES = (
    "steps.h5",
    "videos.h5",
    "images.h5",
    "chain.h5",
    "words.h5",
    "mixed.h5",
    "cudnn.h5",
    "steps.keras",
    "chain.keras",
)


def opened(path, bounds=BOUNDS):
    source = ModelSource("m", 1, path, path.parent, bounds=bounds)
    return assemble(source, SHARED_LOADER.load(source), plan_bytes=2**28)


@pytest.mark.parametrize("file", FILES)
def test_m11_what_keras_2_wrote_is_accepted_and_opens(keras_2_files, tmp_path, file):
    fresh = tmp_path / file
    report = validate(keras_2_files / file, fresh, Limits())
    assert report.keras_version.startswith("2.")
    model = opened(fresh)
    assert model.description.opened_with.startswith("tf-keras 2.")
    with np.load(keras_2_files / f"{fresh.stem}.npz") as arrays:
        (_, tap), expected = model.description.outputs[0], arrays["output 0"]
        (actual,) = model.executable.run([arrays["arr_0"]], [tap])
    np.testing.assert_allclose(actual, expected, rtol=1e-3 if fresh.stem == "mixed" else 1e-4)


CODE = [
    called("flat", "Lambda", function=["4wEAAAA=", None, None], function_type="lambda"),
    called("flat", "Lambda", function="os.system", module="os", function_type="function"),
    called("flat", "Evil"),
    called("flat", "mine>Flatten"),
    *(called("flat", name) for name in ("TensorFlowOpLayer", "InstanceMethod", "ClassMethod", "TFSMLayer")),
    *(
        called("flat", name)
        for name in ("TextVectorization", "StringLookup", "DenseFeatures", "RMSNormalization")
    ),
    *(
        called("flat", "TFOpLambda", function=name)
        for name in (
            *(
                "io.write_file",
                "io.read_file",
                "io.gfile.remove",
                "load_library",
                "load_op_library",
                "py_function",
            ),
            *(
                "numpy_function",
                "saved_model.load",
                "map_fn",
                "while_loop",
                "compat.v1.py_func",
                "raw_ops.ReadFile",
            ),
            *(
                "nn.RNNCellDeviceWrapper",
                "math.__class__",
                "os.system",
                "",
                ".",
                None,
                ["nn.relu"],
                {"nn": "relu"},
            ),
        )
    ),
    called("flat", "SlicingOpLambda", function="io.write_file"),
    called("dense", activation="hard_shrink"),
    called("dense", activation="io.write_file"),
    called("dense", kernel_initializer={"class_name": "Evil", "config": {}}),
    called("dense", dtype={"class_name": "TypeSpec", "type_spec": "tf.TensorSpec", "serialized": []}),
    *(
        called("dense", kernel_initializer={"module": module, "class_name": "Zeros", "config": {}})
        for module in (
            *(
                "os",
                "subprocess",
                "tf_keras.src.utils.generic_utils",
                "tf_keras.src.saving.pickle_utils",
                "keras_evil",
            ),
            *("keras.evil", "tf_keras.initializers.evil", "kerastf_keras.initializers", "tensorflow"),
        )
    ),
    called("dense", bias_initializer={"class_name": "Zeros", "config": {}, "registered_name": "mine>Zeros"}),
]


@pytest.mark.parametrize("file", ["chain.h5", "chain.keras"])
def test_code_and_what_is_unknown_does_not_come_through(keras_2_files, tmp_path, file):
    accepted = []
    for number, edit in enumerate(CODE):
        path = edited(keras_2_files / file, tmp_path / file, edit)
        with suppress(LayerNotAllowed):
            examined(path)
            accepted.append(number)
    assert accepted == []


def test_a_file_is_checked_for_the_version_that_opens_it(keras_2_files, tmp_path):
    """What one version takes for data, the other may not know: a file that claims to be of the other is checked for that."""
    path = shutil.copy(keras_2_files / "images.h5", tmp_path / "model.h5")
    examined(path)
    with h5py.File(path, "r+") as file:
        file.attrs["keras_version"] = "3.1.0"
    with pytest.raises(LayerNotAllowed, match="TFOpLambda"):
        examined(path)


@pytest.mark.parametrize("name", ["a/../b", "a//b", "/a", "a/", "a/.", "a\nb", " / "])
def test_names_with_slashes_have_parts_that_are_names(keras_2_files, tmp_path, name):
    with pytest.raises(ConfigInvalid):
        examined(edited(keras_2_files / "chain.h5", tmp_path / "model.h5", called("flat", name=name)))


def test_layers_that_the_file_has_no_weights_for_are_not_allocated(keras_2_files, tmp_path):
    path = edited(keras_2_files / "steps.h5", tmp_path / "model.h5", called("lstm", units=30_000))
    validate(path, tmp_path / "fresh.h5", Limits())
    with pytest.raises(
        WeightsShapeMismatch, match=r"have 3,6\d\d,\d\d\d,\d\d\d parameters, and its file holds 338"
    ):
        opened(tmp_path / "fresh.h5", OpeningBounds(120, 8 << 30, 10**10))
    with pytest.raises(ModelTooLarge, match="may have 100"):
        opened(tmp_path / "fresh.h5", OpeningBounds(120, 8 << 30, 100))


def test_a_layer_that_depends_on_itself_is_refused_before_keras_2_looks_for_its_end(keras_2_files, tmp_path):
    def edit(config):
        layer = next(each for each in config["config"]["layers"] if each["name"] == "conv")
        layer["inbound_nodes"] = [[["conv", 0, 0, {}]]]

    with pytest.raises(ConfigInvalid, match="comes before what it is called on"):
        examined(edited(keras_2_files / "images.h5", tmp_path / "model.h5", edit))


def test_the_list_names_what_keras_2_and_tensorflow_have(keras_2_files):
    from tensorflow.python.util.tf_export import get_symbol_from_name
    from tf_keras import activations
    from tf_keras.src.layers import serialization

    serialization.populate_deserializable_objects()
    known = serialization.LOCAL.ALL_OBJECTS
    assert {each for each in allowed_keras_2.LAYERS if each not in known} == {"UnifiedGRU", "UnifiedLSTM"}
    assert {each for each in allowed.LAYERS - allowed_keras_2.LAYERS if each in known} == set()
    for name in allowed_keras_2.ACTIVATIONS:
        assert callable(activations.get(name))
    for module, names in allowed_keras_2.FUNCTIONS.items():
        for name in names:
            function = get_symbol_from_name(f"{module}.{name}".lstrip("."))
            assert inspect.isfunction(function), f"{module}.{name}"
            called_by = set(inspect.signature(function).parameters)
            assert not called_by & {"fn", "func", "function", "op", "path", "filename", "cond", "body"}, name


def test_what_is_refused_with_a_message_of_its_kind(keras_2_files, tmp_path):
    path = edited(
        keras_2_files / "chain.h5",
        tmp_path / "model.h5",
        called("flat", "TFOpLambda", function="io.read_file"),
    )
    with pytest.raises(
        ModelRefused, match=r"'tf.io.read_file' at \$.config.layers\[4\].config.function is not among"
    ):
        examined(path)
