"""Layers as Keras 2 describes them in a SavedModel: their names and classes, which the graph does not tell.

Each layer is one of the objects of the SavedModel. Its description is in the object itself, or since TensorFlow 2.5 in a file
beside the graph. Keras 3 writes none.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

_FILE = "keras_metadata.pb"
_METRIC = "_tf_keras_metric"
_MODEL = 0
"""The number of the model among the objects."""


@dataclass(frozen=True)
class DeclaredLayer:
    """A layer as Keras 2 describes it.

    Attributes:
        name: the layer's own.
        type: its class.
        data_format: `channels_last` or `channels_first`; None if it declares none.
        go_backwards: whether it begins with the last step of time.
    """

    name: str
    type: str
    data_format: str | None
    go_backwards: bool


class KerasMetadata:
    """What a SavedModel tells of its layers, if Keras 2 wrote it.

    Args:
        folder: of the SavedModel.
        meta_graph: of the same, with the objects.
    """

    def __init__(self, folder: Path, meta_graph: Any) -> None:
        self._objects = meta_graph.object_graph_def.nodes
        texts = {
            number: each.user_object.metadata
            for number, each in enumerate(self._objects)
            if each.HasField("user_object") and each.user_object.identifier != _METRIC
        }
        if (folder / _FILE).is_file():
            texts |= _descriptions((folder / _FILE).read_bytes())
        layers = {number: _layer(text) for number, text in texts.items()}
        self._layers = {number: each for number, each in layers.items() if each is not None}
        self._inside = cache(self._found_inside)

    @property
    def names_with_slashes(self) -> frozenset[str]:
        """The names that have a slash in them. A node of layer `b/expand` looks like one of a layer `expand` inside `b`."""
        return frozenset(each.name for each in self._layers.values() if "/" in each.name)

    def layer(self, path: Sequence[str]) -> DeclaredLayer | None:
        """The layer at a path; None if nothing tells of it.

        Args:
            path: its name, behind those of the layers around it, outermost first, without the model's own.
        """
        number = _MODEL if self._layers else None
        for name in path:
            number = None if number is None else self._inside(number).get(name)
        return None if number is None else self._layers[number]

    def _found_inside(self, outer: int) -> dict[str, int]:
        """The numbers of the layers directly inside an object, by name: also those in lists and other objects of it."""
        found: dict[str, int] = {}
        seen, waiting = {outer}, [outer]
        while waiting:
            for child in self._objects[waiting.pop(0)].children:
                number = child.node_id
                if number in seen or not 0 <= number < len(self._objects):
                    continue
                seen.add(number)
                if number in self._layers:
                    found.setdefault(self._layers[number].name, number)
                else:
                    waiting.append(number)
        return found


def _layer(text: str) -> DeclaredLayer | None:
    try:
        metadata = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(metadata, dict):
        return None
    # A class that is registered under a package is called `package>Class`.
    name, kind = metadata.get("name"), str(metadata.get("class_name", "")).rpartition(">")[2]
    if not isinstance(name, str) or not kind.isidentifier():
        return None
    config = metadata.get("config")
    declared = config if isinstance(config, dict) else {}
    data_format, go_backwards = declared.get("data_format"), declared.get("go_backwards")
    known = data_format if isinstance(data_format, str) else None
    return DeclaredLayer(name, kind, known, go_backwards is True)


def _descriptions(data: bytes) -> dict[int, str]:
    """The descriptions in the file, by the number of the object."""
    message = _message_of_nodes()
    try:
        message.ParseFromString(data)
    except DecodeError:
        return {}
    return {node.node_id: node.metadata for node in message.nodes if node.identifier != _METRIC}


def _message_of_nodes() -> Any:
    """An empty message of the format of the file, as far as it is read: `SavedMetadata` of Keras 2."""
    file = descriptor_pb2.FileDescriptorProto(name="saved_metadata.proto", package="layerscope")
    node = file.message_type.add(name="SavedObject")
    node.field.add(name="node_id", number=2, type=5, label=1)
    node.field.add(name="identifier", number=4, type=9, label=1)
    node.field.add(name="metadata", number=5, type=9, label=1)
    saved = file.message_type.add(name="SavedMetadata")
    saved.field.add(name="nodes", number=1, type=11, label=3, type_name=".layerscope.SavedObject")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("layerscope.SavedMetadata"))()
