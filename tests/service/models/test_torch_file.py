"""Files of PyTorch: tensors are read, and whatever else a pickle can say is refused before it happens."""

import io
import os
import pickle
import sys
import types
from collections import OrderedDict
from pathlib import Path

import keras
import numpy as np
import pytest

from layerscope.errors import ModelUnreadable
from layerscope.models import efficientnet_lite
from layerscope.models.torch_file import read_tensors

MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001


class Storage:
    def __init__(self, kind, values):
        self.kind, self.values = kind, values


class Rebuilt:
    """A tensor that is pickled as PyTorch does it: a call of a function, with its storage by reference."""

    def __init__(self, storage, offset, shape, strides):
        self.given = (storage, offset, shape, strides, False, OrderedDict())

    def __reduce__(self):
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.given


class Called:
    """Whatever a pickle may call."""

    def __init__(self, function, *given):
        self.call = function, given

    def __reduce__(self):
        return self.call


@pytest.fixture
def torch(monkeypatch):
    """The names that a file of PyTorch has, for the pickler that writes one."""
    for module, name in (("torch", "FloatStorage"), ("torch", "LongStorage"), ("torch", "HalfStorage")):
        named(monkeypatch, module, type(name, (), {}))
    function = types.FunctionType((lambda *_: None).__code__, {}, "_rebuild_tensor_v2")
    function.__qualname__ = "_rebuild_tensor_v2"
    named(monkeypatch, "torch._utils", function)
    return sys.modules["torch"]


def named(monkeypatch, module, value):
    monkeypatch.setitem(sys.modules, module, sys.modules.get(module) or types.ModuleType(module))
    value.__module__ = module
    setattr(sys.modules[module], value.__name__, value)


def written(path: Path, content, storages=(), version=VERSION) -> Path:
    """Write what `torch.save` wrote before PyTorch 1.6."""
    file = io.BytesIO()
    for each in (MAGIC, version, {"little_endian": True}):
        pickle.dump(each, file, protocol=2)
    pickler = pickle.Pickler(file, protocol=2)
    pickler.persistent_id = lambda each: (
        ("storage", each.kind, str(id(each)), "cpu", len(each.values), None)
        if isinstance(each, Storage)
        else None
    )
    pickler.dump(content)
    pickle.dump([str(id(each)) for each in storages], file, protocol=2)
    for each in storages:
        file.write(np.int64(len(each.values)).tobytes() + each.values.tobytes())
    path.write_bytes(file.getvalue())
    return path


def test_tensors_are_read_with_their_own_order_of_axes(torch, tmp_path):
    floats = Storage(torch.FloatStorage, np.arange(24, dtype="<f4"))
    longs = Storage(torch.LongStorage, np.array([7], "<i8"))
    tensors = OrderedDict(
        plain=Rebuilt(floats, 0, (2, 3), (3, 1)),
        turned=Rebuilt(floats, 6, (3, 2), (1, 3)),
        number=Rebuilt(longs, 0, (), ()),
    )
    found = read_tensors(written(tmp_path / "weights.pth", tensors, [floats, longs]))
    assert list(found) == ["plain", "turned", "number"]
    np.testing.assert_array_equal(found["plain"], np.float32([[0, 1, 2], [3, 4, 5]]))
    np.testing.assert_array_equal(found["turned"], np.float32([[6, 9], [7, 10], [8, 11]]))
    assert found["number"].shape == ()
    assert found["number"] == 7


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [
        (-1, (2,), (1,)),
        (3, (2,), (1,)),
        (0, (5,), (1,)),
        (0, (2,), (4,)),
        (0, (-2,), (1,)),
        (3, (2,), (-1,)),
        (0, (4, 4), (0, 1)),
        (0, (2, 2), (1,)),
        ("0", (2,), (1,)),
        (0, (2**40, 2**40), (0, 0)),
    ],
)
def test_a_tensor_that_leaves_its_storage_is_refused(torch, tmp_path, offset, shape, strides):
    storage = Storage(torch.FloatStorage, np.zeros(4, "<f4"))
    path = written(tmp_path / "weights.pth", {"a": Rebuilt(storage, offset, shape, strides)}, [storage])
    with pytest.raises(ModelUnreadable):
        read_tensors(path)


HOSTILE = {
    "a command": lambda mark: Called(os.system, f"touch {mark}"),
    "code": lambda mark: Called(eval, f"open({str(mark)!r}, 'w')"),
    "a file": lambda mark: Called(open, str(mark), "w"),
    "an attribute": lambda mark: Called(getattr, OrderedDict, "__init__"),
    "an import": lambda mark: Called(__import__, "os"),
    "a function": lambda mark: os.system,
    "a class": Path,
    "arrays of numpy": lambda mark: np.zeros(3),
    "a call in an order of its own": lambda mark: OrderedDict(a=Called(os.system, f"touch {mark}")),
}


@pytest.mark.parametrize("harm", HOSTILE.values(), ids=HOSTILE)
def test_a_pickle_that_names_anything_else_is_refused_and_does_nothing(tmp_path, harm):
    mark = tmp_path / "harmed"
    path = written(tmp_path / "weights.pth", {"a": harm(mark)})
    with pytest.raises(ModelUnreadable, match="names "):
        read_tensors(path)
    assert not mark.exists()


@pytest.mark.parametrize(
    "name", ["collections\nOrderedDict", "torch._utils\n_rebuild_tensor_v2", "torch\nFloatStorage"]
)
@pytest.mark.parametrize("slots", [b"", b"N"], ids=["state", "attributes"])
def test_a_pickle_cannot_change_what_it_may_name(tmp_path, name, slots):
    """`BUILD` sets the state of an object: of a dictionary, or of a pair, whose second part is set as attributes."""
    state = b"}(U\x0a__module__U\x04harmu"
    build = b"c" + name.encode() + b"\n" + slots + state + (b"\x86" if slots else b"") + b"b."
    path = written(tmp_path / "weights.pth", {})
    head = b"".join(pickle.dumps(each, protocol=2) for each in (MAGIC, VERSION, {}))
    path.write_bytes(head + b"\x80\x02" + build)
    with pytest.raises(ModelUnreadable):
        read_tensors(path)
    assert OrderedDict.__module__ == "collections"
    assert str.__module__ == "builtins"


def test_what_is_no_dictionary_of_tensors_is_refused(torch, tmp_path):
    storage = Storage(torch.FloatStorage, np.zeros(4, "<f4"))
    halves = Storage(torch.HalfStorage, np.zeros(4, "<f2"))
    whole = Rebuilt(storage, 0, (4,), (1,))
    files = {
        "a list": written(tmp_path / "a", [whole], [storage]),
        "a number": written(tmp_path / "b", {"a": 1}),
        "a bare storage": written(tmp_path / "c", {"a": storage}, [storage]),
        "half floats": written(tmp_path / "d", {"a": Rebuilt(halves, 0, (4,), (1,))}, [halves]),
        "another format": written(tmp_path / "e", {"a": whole}, [storage], version=1002),
        "no storages": written(tmp_path / "f", {"a": whole}),
    }
    for name, path in files.items():
        with pytest.raises(ModelUnreadable):
            pytest.fail(f"{name} was read: {read_tensors(path)}")


def test_a_file_that_is_cut_is_refused(torch, tmp_path):
    storage = Storage(torch.FloatStorage, np.arange(4, dtype="<f4"))
    path = written(tmp_path / "weights.pth", {"a": Rebuilt(storage, 0, (4,), (1,))}, [storage])
    whole = path.read_bytes()
    for length in range(0, len(whole), 3):
        path.write_bytes(whole[:length])
        with pytest.raises(ModelUnreadable):
            read_tensors(path)


@pytest.mark.parametrize("shape", [(32, 3, 5, 5), (32, 3, 3, 3)], ids=["another shape", "one of many"])
def test_weights_of_another_network_are_refused(torch, tmp_path, shape):
    storage = Storage(torch.FloatStorage, np.zeros(32 * 3 * 25, "<f4"))
    strides = tuple(int(np.prod(shape[axis + 1 :])) for axis in range(4))
    tensors = {"_conv_stem.weight": Rebuilt(storage, 0, shape, strides)}
    with pytest.raises(ModelUnreadable, match="not the weights of EfficientNet-Lite0"):
        efficientnet_lite.build(written(tmp_path / "weights.pth", tensors, [storage]))


def test_the_layers_of_efficientnet_lite_have_the_names_that_keras_gives_those_of_efficientnet():
    known = {layer.name for layer in keras.applications.EfficientNetB0(weights=None).layers}
    own = [layer.name for layer in efficientnet_lite.build(None).layers]
    assert [name for name in own if name not in known] == ["image"]
