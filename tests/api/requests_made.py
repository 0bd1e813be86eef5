"""What the tests send: pictures, good and bad, and the address of each route."""

import base64
import hashlib
import io
import struct
import zlib

from PIL import Image

from layerscope.demo import samples

ACTIVATIONS = "/v1/models/digits/activations"
FEATURE_MAP = "/v1/models/digits/feature-map.png"
PREDICTIONS = "/v1/models/digits/predictions"

SEVEN = samples()["seven"].read_bytes()
SEVEN_ID = f"sha256-{hashlib.sha256(SEVEN).hexdigest()}"
SEVEN_BASE64 = base64.b64encode(SEVEN).decode()
PNG = {"Content-Type": "image/png"}
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "multipart/form-data; boundary=x"}
NPY = {"Content-Type": "application/x-npy"}


def truncated_jpeg() -> bytes:
    file = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(file, "JPEG")
    return file.getvalue()[: file.tell() // 2]


def png_of_nothing(side: int) -> bytes:
    """A black picture that unpacks to a thousand times its size."""
    packer = zlib.compressobj(9)
    row = bytes(1 + 3 * side)
    packed = b"".join([*(packer.compress(row) for _ in range(side)), packer.flush()])
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = (_chunk(b"IHDR", header), _chunk(b"IDAT", packed), _chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _chunk(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))
