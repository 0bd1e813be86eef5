"""M01, M02, M07, M08, M09: configurations that are code, nonsense, or too much."""

import json
from pathlib import Path

import keras
import pytest
from hostile_files import examined, layer_called, layers, with_config
from keras import layers as keras_layers
from model_files import tiny_model

from layerscope.errors import ConfigInvalid, LayerNotAllowed, ModelRefused, ModelTooLarge
from layerscope.limits import Limits
from layerscope.models.validation import allowed, check
from layerscope.models.validation.classes import require_known_classes
from layerscope.models.validation.config import nodes

LIMITS = Limits()
FORMATS = pytest.mark.parametrize("suffix", [".keras", ".h5"])


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """The good file of each format, as bytes."""
    folder = tmp_path_factory.mktemp("good")
    result = {}
    for suffix in (".keras", ".h5"):
        tiny_model().save(folder / f"good{suffix}")
        result[suffix] = (folder / f"good{suffix}").read_bytes()
    return result


@pytest.fixture
def made(good, tmp_path):
    def make(edit, suffix=".keras"):
        path = tmp_path / f"model{suffix}"
        path.write_bytes(good[suffix])
        return with_config(path, edit)

    return make


def wrapped(layer, kind):
    """In a sequential model in a wrapper."""
    inner = {"class_name": "Sequential", "config": {"name": "inner", "layers": [layer]}}
    config = {"name": "each", "layer": inner}
    return {"class_name": kind, "name": "each", "config": config, "inbound_nodes": []}


LAMBDAS = (
    {"class_name": "__lambda__", "config": {"value": "4wEAAAA=", "defaults": None, "closure": None}},
    {"class_name": "function", "module": "keras.activations", "config": "relu", "registered_name": "relu"},
    "relu",
)


@FORMATS
@pytest.mark.parametrize("function", LAMBDAS)
@pytest.mark.parametrize("nested", [False, True])
def test_m01_lambda_layers(made, suffix, function, nested):
    lambda_layer = {"class_name": "Lambda", "name": "code", "config": {"name": "code", "function": function}}

    def edit(config):
        layers(config).append(wrapped(lambda_layer, "TimeDistributed") if nested else lambda_layer)

    with pytest.raises(LayerNotAllowed) as raised:
        check(made(edit, suffix), LIMITS)
    expected = "$.config.layers[4]" + (".config.layer.config.layers[0]" if nested else "")
    assert raised.value.details["path"] == expected
    assert "runs code" in raised.value.message


@FORMATS
@pytest.mark.parametrize(
    "named",
    [
        {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"},
        {"module": "builtins", "class_name": "function", "config": "eval", "registered_name": "eval"},
        {"module": "keras.src.utils.file_utils", "class_name": "function", "config": "get_file"},
        {"module": "keras.utils", "class_name": "function", "config": "plot_model"},
        {"module": "keras.config", "class_name": "function", "config": "set_floatx"},
        {
            "module": "keras.activations",
            "class_name": "function",
            "config": "relu",
            "registered_name": "get_file",
        },
        {"module": "keras.models", "class_name": "load_model", "config": {}},
        {"module": "subprocess", "class_name": "Popen", "config": {"args": "true"}},
        {"class_name": "__typespec__", "spec_name": "TensorSpec", "module": "tensorflow", "config": []},
        "get_file",
        "plot_model",
    ],
)
@pytest.mark.parametrize("place", ["activation", "kernel_initializer", "anywhere"])
def test_m02_functions_outside_the_list(made, suffix, named, place):
    if isinstance(named, str) and place == "anywhere":
        named = {"class_name": named, "config": {}}

    def edit(config):
        layer_called(config, "conv")["config"][place] = named

    with pytest.raises(LayerNotAllowed) as raised:
        examined(made(edit, suffix))
    assert raised.value.details["path"] == f"$.config.layers[1].config.{place}"


@FORMATS
@pytest.mark.parametrize(
    "name",
    [
        *("TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "StringLookup", "IntegerLookup"),
        *("TextVectorization", "Layer", "Wrapper", "KerasTensor", "Evil"),
    ],
)
def test_m02_layers_that_are_not_data(made, suffix, name):
    def edit(config):
        layer_called(config, "conv")["class_name"] = name

    with pytest.raises(LayerNotAllowed):
        examined(made(edit, suffix))


def test_m02_nothing_named_is_imported(made, tmp_path):
    """The module would leave a mark; and it is refused before Keras is there to import it."""
    mark = tmp_path / "imported"
    (tmp_path / "evil.py").write_text(f"open({str(mark)!r}, 'w')", "utf-8")

    def edit(config):
        layer_called(config, "conv")["module"] = "evil"

    with pytest.raises(LayerNotAllowed):
        examined(made(edit))
    assert not mark.exists()


def test_the_list_has_every_layer_of_keras_but_those_that_are_no_data():
    known = {name for name, value in vars(keras_layers).items() if isinstance(value, type)}
    left_out = {
        "InputSpec",
        "Layer",
        "Wrapper",
        "Lambda",
        "TFSMLayer",
        "TorchModuleWrapper",
        "JaxLayer",
        "FlaxLayer",
    }
    lookups = {"StringLookup", "IntegerLookup", "TextVectorization"}
    assert known - allowed.LAYERS == left_out | lookups
    assert known >= allowed.LAYERS
    for kinds, module in (
        (allowed.INITIALIZERS, keras.initializers),
        (allowed.REGULARIZERS, keras.regularizers),
        (allowed.ACTIVATIONS, keras.activations),
    ):
        assert {each for each in kinds if not hasattr(module, each)} == set()


def test_what_is_taken_for_an_operation_is_one():
    """Whatever Keras finds in these modules under a name that is allowed must be an operation, and of these modules."""
    import importlib

    from keras.src.saving.keras_saveable import KerasSaveable

    found = 0
    for module in (f"keras.src.ops.{each}" for each in ("core", "image", "linalg", "math", "nn", "numpy")):
        for name, value in vars(importlib.import_module(module)).items():
            if (
                isinstance(value, type)
                and issubclass(value, KerasSaveable)
                and allowed.is_operation(module, name)
            ):
                assert issubclass(value, keras.Operation)
                assert value.__module__.startswith("keras.src.ops.")
                found += 1
    assert found > 200


def deep(count):
    return b'{"config":' + b"[" * count + b"]" * count + b"}"


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        (deep(100_000), ModelTooLarge),
        (deep(300), ModelTooLarge),
        (b'{"class_name": "Functional", "config": {"name": "m", "rate": NaN}}', ConfigInvalid),
        (b'{"class_name": "Functional", "config": {"rate": -Infinity}}', ConfigInvalid),
        (b'{"class_name": "Functional", "config": {"rate": 1e400}}', ConfigInvalid),
        (b'{"class_name": "Functional", "config": {"name": "\\ud800"}}', ConfigInvalid),
        (b'{"class_name": "Functional", "config": {"units": ' + b"9" * 5_000 + b"}}", ConfigInvalid),
        (b'{"class_name": "Functional", "class_name": "Functional"}', ConfigInvalid),
        (b"[1]", ConfigInvalid),
        (b"{", ModelRefused),
        (b"\xff\xfe{}", ModelRefused),
        (b"", ModelRefused),
        (b'{"class_name": "Dense", "config": {"units": 2}}', ConfigInvalid),
        (b'{"class_name": ["Functional"], "config": {}}', ConfigInvalid),
        (b'{"class_name": "Functional", "config": {"layers": 3}}', ConfigInvalid),
    ],
)
def test_m07_configurations_that_are_nonsense(made, config, kind):
    with pytest.raises(kind):
        examined(made(config))


def chain(count):
    """A configuration of many layers, each called on the one before."""
    found = [
        {
            "class_name": "InputLayer",
            "name": "0",
            "config": {"name": "0", "batch_shape": [None, 2]},
            "inbound_nodes": [],
        }
    ]
    for number in range(1, count):
        nodes_in = [{"args": [tensor(str(number - 1))], "kwargs": {}}]
        found.append(
            {
                "class_name": "ReLU",
                "name": str(number),
                "config": {"name": str(number)},
                "inbound_nodes": nodes_in,
            }
        )
    return {"class_name": "Functional", "config": {"name": "chain", "layers": found}}


def tensor(name, call=0):
    inner = {"shape": [None, 2], "dtype": "float32", "keras_history": [name, call, 0]}
    return {"class_name": "__keras_tensor__", "config": inner}


def test_m07_too_many_layers(made):
    with pytest.raises(ModelTooLarge, match="more than 4,000 layers"):
        examined(made(lambda _: chain(5_000)))


def test_m07_layers_in_reverse(made):
    def edit(_):
        config = chain(1_000)
        layers(config).reverse()
        return config

    with pytest.raises(ConfigInvalid, match="comes before what it is called on"):
        examined(made(edit))


@pytest.mark.parametrize("source", ["2", "3", "nobody"])
def test_m07_layers_that_depend_on_themselves(made, source):
    def edit(_):
        config = chain(4)
        layers(config)[2]["inbound_nodes"].append({"args": [tensor(source, 1)], "kwargs": {}})
        layers(config)[3]["inbound_nodes"].append({"args": [tensor("2", 1)], "kwargs": {}})
        return config

    with pytest.raises(ConfigInvalid, match="depends on itself"):
        examined(made(edit))


def test_m07_a_shared_layer_that_comes_back_is_no_cycle():
    from layerscope.models.validation.wiring import require_wiring

    start = keras.Input((4,), name="start")
    shared = keras_layers.Dense(4, name="shared")
    other = keras_layers.Dense(4, name="other")
    model = keras.Model(start, shared(other(shared(start))))
    config = json.loads(model.to_json())
    require_known_classes({key: value for key, value in config.items() if key != "compile_config"})
    assert require_wiring(config, LIMITS).total() == 3


@FORMATS
@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("dense", {"units": 1_000_000_000}),
        ("conv", {"filters": 1_000_000_000_000}),
        ("conv", {"filters": 10**17}),
        ("dense", {"units": 600_000_000}),
    ],
)
def test_m08_layers_of_a_billion_units(made, suffix, name, change):
    def edit(config):
        layer_called(config, name)["config"].update(change)

    with pytest.raises(ModelTooLarge) as raised:
        examined(made(edit, suffix))
    assert raised.value.details["limit"] == LIMITS.model_parameters
    assert raised.value.details["size"] > LIMITS.model_parameters


@FORMATS
@pytest.mark.parametrize(
    "name", ["", " ", ".", "..", "a\r\nb", "a\x00b", "a\x1bb", "a/b", "x" * 1_000_000, 5, ["a"], "a\u2028b"]
)
def test_m09_names_that_are_refused(made, suffix, name):
    def edit(config):
        layer_called(config, "conv")["config"]["name"] = name

    with pytest.raises(ConfigInvalid) as raised:
        examined(made(edit, suffix))
    assert len(str(raised.value)) < 500


def test_m09_two_layers_of_one_name(made):
    def edit(config):
        flat = layer_called(config, "flat")
        flat["name"] = flat["config"]["name"] = "conv"

    with pytest.raises(ConfigInvalid, match="Two layers are called 'conv'"):
        examined(made(edit))


@FORMATS
@pytest.mark.parametrize(
    "name", ["\u202eevil", "<img src=x onerror=alert(1)>", "größe", "a b", "名前", "x" * 900]
)
def test_m09_names_that_are_kept(tmp_path, suffix, name):
    start = keras.Input((4,), name="start")
    path = tmp_path / f"model{suffix}"
    model = keras.Model(start, keras_layers.Dense(2, name="dense")(start))
    model.save(path)

    def edit(config):
        texts = [(at, each) for at, each in nodes(config) if each == "dense"]
        assert texts
        return json.loads(json.dumps(config).replace('"dense"', json.dumps(name)))

    with_config(path, edit)
    assert examined(path).layers["Dense"] == 1


def test_the_file_is_left_as_it_was(good, tmp_path):
    path = Path(tmp_path / "model.keras")
    path.write_bytes(good[".keras"])
    report = check(path, LIMITS)
    assert path.read_bytes() == good[".keras"]
    assert report.inputs[0].shape == (None, 8, 8, 3)
    assert sorted(tmp_path.iterdir()) == [path]
