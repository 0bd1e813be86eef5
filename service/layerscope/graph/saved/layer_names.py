"""Names of layers that have a slash in them, as Keras 2 wrote them beside a SavedModel.

A node of layer `b/expand` looks like one of a layer `expand` inside `b`: only these names tell the difference.
"""

import json
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

_METADATA_FILE = "keras_metadata.pb"


def names_with_slashes(folder: Path, meta_graph: Any) -> frozenset[str]:
    """The names of all layers that have a slash in them; none if nothing tells the names."""
    objects = meta_graph.object_graph_def.nodes
    texts = [node.user_object.metadata for node in objects if node.HasField("user_object")]
    if (folder / _METADATA_FILE).is_file():
        texts += _metadata((folder / _METADATA_FILE).read_bytes())
    return frozenset(name for name in map(_name, texts) if "/" in name)


def _metadata(data: bytes) -> list[str]:
    """The descriptions of the objects of Keras, which were part of the graph's file before TensorFlow 2.5."""
    message = _message_of_nodes()
    try:
        message.ParseFromString(data)
    except DecodeError:
        return []
    return [node.metadata for node in message.nodes]


def _name(text: str) -> str:
    try:
        metadata = json.loads(text)
    except ValueError:
        return ""
    return str(metadata.get("name", "")) if isinstance(metadata, dict) else ""


def _message_of_nodes() -> Any:
    """An empty message of the format of that file, as far as it is read: `SavedMetadata` of Keras 2."""
    file = descriptor_pb2.FileDescriptorProto(name="saved_metadata.proto", package="layerscope")
    node = file.message_type.add(name="SavedObject")
    node.field.add(name="metadata", number=5, type=9, label=1)
    saved = file.message_type.add(name="SavedMetadata")
    saved.field.add(name="nodes", number=1, type=11, label=3, type_name=".layerscope.SavedObject")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("layerscope.SavedMetadata"))()
