"""Image headers: format, size and structure of an image file, checked before a decoder sees the file.

Some decoders allocate memory, or loop in Python, while they only open a file: a GIF of 36 bytes makes Pillow fill
169 million pixels, a run-length encoded BMP of 11 KB takes it five seconds, 900 Exif segments take it fifteen. So the
size and the structure are bounded here first, in time linear in the size of the file.
"""

from layerscope.images.headers.header import Format, Header, check_size, unreadable
from layerscope.images.headers.reader import read_header

__all__ = ["Format", "Header", "check_size", "read_header", "unreadable"]
