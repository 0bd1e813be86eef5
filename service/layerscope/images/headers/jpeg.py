"""JPEG files: size from the frame header, and the number of segments and scans (ITU-T T.81, annex B)."""

import re
import struct
from collections.abc import Iterator

from layerscope.images.headers.header import MAX_BLOCKS, Header, check_count, check_size, unreadable
from layerscope.limits import Limits

MAX_EXIF_SEGMENTS = 16
"""Most Exif segments of a JPEG file. One is usual; Pillow joins them in quadratic time, 900 take it 15 seconds."""

MAX_JUNK = 65_536
"""Most bytes between the segments of a JPEG file's header."""

# A marker that begins a segment with a length, or the marker of the end. Fill bytes (repeated 0xFF) are skipped without
# backtracking, because the expression takes only the last of them.
_MARKER = re.compile(rb"\xff[\xc0-\xc7\xc9-\xcf\xd9-\xef\xfe]")
_FRAMES = frozenset({*range(0xC0, 0xD0), 0xDE} - {0xC4, 0xC8, 0xCC})
"""SOF markers, whose segments hold the size: 0xC0 to 0xCF without DHT, JPG and DAC; and DHP."""
_END = 0xD9
_SCAN = 0xDA
_APP1 = 0xE1


def read_jpeg(data: bytes, limits: Limits) -> Header:
    """Read the size of a JPEG file and count its segments, scans and Exif segments.

    A decoder passes over all pixels once for each scan of a progressive JPEG, and a scan can be a few bytes long.

    Raises:
        ImageUnreadable: The file has no frame header or no scan, or too much between its segments.
        ImageTooLarge: More pixels, or a longer side, than `limits` allow.
        ImageTooComplex: More segments, scans or Exif segments than are decoded.
        struct.error, IndexError: The file ends early.
    """
    size: tuple[int, int] | None = None
    scans = exif = 0
    for segments, (marker, start) in enumerate(_segments(data), 1):
        check_count("jpeg", "segments", segments, MAX_BLOCKS)
        if marker in _FRAMES and not scans:
            # Marker, length and one byte of precision come before height and width.
            height, width = struct.unpack_from(">HH", data, start + 5)
            size = width, height
            check_size(width, height, limits)
        scans += marker == _SCAN
        exif += marker == _APP1 and data.startswith(b"Exif\0\0", start + 4)
    if size is None or not scans:
        raise unreadable("jpeg")
    check_count("jpeg", "scans", scans, limits.jpeg_scans)
    check_count("jpeg", "Exif segments", exif, MAX_EXIF_SEGMENTS)
    return Header("jpeg", *size)


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield marker and position of every segment, up to the end of the first image.

    Entropy-coded data follow each scan and have no length: they are searched for the next marker. In them 0xFF is always
    followed by 0x00 or by a restart marker, neither of which `_MARKER` matches.
    """
    junk = position = 0
    in_header = True
    while (match := _MARKER.search(data, position)) is not None:
        marker, start = data[match.end() - 1], match.start()
        junk += (start - position) * in_header
        if marker == _END:
            return
        if junk > MAX_JUNK:
            raise unreadable("jpeg")
        yield marker, start
        in_header = in_header and marker != _SCAN
        # A segment's length counts its own two bytes; less than that would make the loop stand still.
        position = start + 2 + max(2, *struct.unpack_from(">H", data, start + 2))
