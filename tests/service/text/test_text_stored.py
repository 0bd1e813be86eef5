"""Texts in the store of images."""

import pytest

from layerscope.errors import InvalidRequest, TextTooLong, TextUnreadable
from layerscope.execution.inputs import TextSource, source_of
from layerscope.images import ImageStore
from layerscope.images.shared_store import SharedImageStore
from layerscope.limits import Limits
from layerscope.text import encoded


def test_a_text_is_stored_once_and_comes_back_from_any_process(tmp_path):
    one, other = (SharedImageStore(tmp_path / "images", Limits()) for _ in range(2))
    for text in ("caf\u00e9 \U0001f600", (2, 61, 3)):
        stored, is_new = one.put(encoded(text))
        assert (stored.format, stored.width, is_new) == ("text", None, True)
        assert source_of(other.get(stored.id), Limits()) == TextSource(text)
        again, is_new = other.put(encoded(text))
        assert (again.id, is_new) == (stored.id, False)
        assert TextSource(text).id == stored.id


def test_what_is_no_text_is_not_stored():
    store = ImageStore(Limits(text_bytes=20))
    with pytest.raises(TextTooLong):
        store.put(encoded("a" * 30))
    with pytest.raises(TextUnreadable, match="byte 1 is the first"):
        store.put(b"text\0a\xff")
    for ids in (b"[-1]", b"[1", b"{}", b"[" * 10):
        with pytest.raises(InvalidRequest):
            store.put(b"tokens\0" + ids)
