"""Image files for the tests of this folder."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

GIF_SCREEN = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0, 0, 0)


def encoded(image, name, **options):
    file = io.BytesIO()
    image.save(file, name, **options)
    return file.getvalue()


def chunk(kind, payload):
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def png(width, height, extra=b"", pixels=b"\0\0"):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + extra + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


def picture(mode="RGB", size=(40, 30)):
    channels = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}[mode]
    values = np.random.default_rng(7).integers(0, 256, (size[1], size[0], channels), dtype=np.uint8)
    return Image.frombytes(mode, size, values.tobytes())


def with_scans(scans):
    """A JPEG whose last scan is repeated until there are `scans` of them."""
    data = encoded(picture(), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    present = data.count(b"\xff\xda")
    return data[:-2] + data[last:-2] * (scans - present) + data[-2:]


def with_right_checksums(data):
    """The PNG file with correct checksums, so that changed bytes reach the decoder."""
    fixed, position = bytearray(data), 8
    while position + 12 <= len(fixed):
        end = position + 8 + struct.unpack_from(">I", fixed, position)[0]
        if end + 4 > len(fixed):
            break
        struct.pack_into(">I", fixed, end, zlib.crc32(fixed[position + 4 : end]))
        position = end + 4
    return bytes(fixed)


FILES = {
    "png": encoded(picture(), "PNG"),
    "jpeg": encoded(picture(), "JPEG"),
    "progressive": encoded(picture(), "JPEG", progressive=True, exif=Image.Exif()),
    "webp": encoded(picture("RGBA"), "WEBP", lossless=True),
    "lossy webp": encoded(picture(), "WEBP"),
    "bmp": encoded(picture(), "BMP"),
    "gif": encoded(picture("L"), "GIF"),
    "palette png": encoded(picture().quantize(16), "PNG", transparency=b"\x00\x80"),
    "16-bit png": encoded(Image.fromarray(np.arange(1200, dtype=np.uint16).reshape(30, 40)), "PNG"),
}
