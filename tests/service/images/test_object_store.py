"""Images in a bucket: what one store puts, every other one finds, for as long as it is used."""

import hashlib
import io
from datetime import UTC, datetime

import pytest
from PIL import Image

from layerscope.errors import ImageNotFound, SourceUnreachable
from layerscope.images.object_store import ObjectImageStore
from layerscope.limits import Limits
from layerscope.models.mirrors.objects import BucketObjects

LIMITS = Limits(image_store_seconds=1_000)


def picture(level):
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (level, 0, 0)).save(file, "PNG")
    return file.getvalue()


class Bucket:
    """A bucket with a clock of its own, that counts what it is asked."""

    def __init__(self):
        self.now = 1_000_000.0
        self.objects = {}
        self.asked = []

    def clock(self):
        return self.now

    def written(self, name):
        self.asked.append("written")
        if name not in self.objects:
            raise FileNotFoundError(name)
        return self.objects[name][0]

    def read(self, name):
        self.asked.append("read")
        self.written(name)
        return self.objects[name][1]

    def write(self, name, data):
        self.asked.append("write")
        self.objects[name] = self.now, data

    def delete(self, name):
        self.written(name)
        del self.objects[name]


@pytest.fixture
def bucket_with_clock():
    return Bucket()


@pytest.fixture
def stores(bucket_with_clock):
    return [ObjectImageStore(bucket_with_clock, LIMITS, bucket_with_clock.clock) for _ in range(2)]


def test_what_one_puts_the_other_finds(stores, bucket_with_clock):
    one, other = stores
    stored, is_new = one.put(picture(1))
    assert is_new
    assert stored.id == f"sha256-{hashlib.sha256(picture(1)).hexdigest()}"
    assert stored.expires == datetime.fromtimestamp(1_001_000, UTC)
    assert other.get(stored.id) == stored
    assert other.put(picture(1)) == (stored, False)
    bucket_with_clock.asked.clear()
    assert (one.get(stored.id), other.get(stored.id)) == (stored, stored)
    assert bucket_with_clock.asked == [], "it was looked for a moment ago"


def test_what_one_deletes_the_other_finds_no_more(stores, bucket_with_clock):
    one, other = stores
    stored, _ = one.put(picture(1))
    other.get(stored.id)
    one.delete(stored.id)
    for gone in (one.get, one.delete):
        with pytest.raises(ImageNotFound):
            gone(stored.id)
    bucket_with_clock.now += 11
    with pytest.raises(ImageNotFound):
        other.get(stored.id)
    assert one.put(picture(1))[1], "it can be stored again"


def test_an_image_lives_while_it_is_used(stores, bucket_with_clock):
    one, other = stores
    stored, _ = one.put(picture(1))
    for _ in range(5):
        bucket_with_clock.now += 900
        renewed = other.get(stored.id)
        assert renewed.expires == datetime.fromtimestamp(bucket_with_clock.now + 1_000, UTC)
    assert one.get(stored.id).data == picture(1)
    bucket_with_clock.now += 1_000
    for each in stores:
        with pytest.raises(ImageNotFound):
            each.get(stored.id)


def test_only_what_is_the_image_of_its_name_is_one(stores, bucket_with_clock):
    name = f"sha256-{'0' * 64}"
    bucket_with_clock.write(name, picture(1))
    bucket_with_clock.write("passwords", picture(2))
    for each in (name, "passwords", "../passwords", f"sha256-{'1' * 64}"):
        with pytest.raises(ImageNotFound):
            stores[0].get(each)


def test_a_bucket_of_s3(bucket):
    one, other = (
        ObjectImageStore(BucketObjects("s3://house/images", "image_store"), LIMITS) for _ in range(2)
    )
    stored, is_new = one.put(picture(1))
    assert is_new
    assert other.get(stored.id).data == picture(1)
    assert [each.key for each in bucket.objects.all()] == [f"images/{stored.id}"]
    one.delete(stored.id)
    with pytest.raises(ImageNotFound):
        one.get(stored.id)
    with pytest.raises(ImageNotFound):
        other.delete(f"sha256-{'1' * 64}")


def test_a_bucket_that_is_not_there(bucket):
    store = ObjectImageStore(BucketObjects("s3://elsewhere/images", "image_store"), LIMITS)
    with pytest.raises(SourceUnreachable, match=r"s3://elsewhere/images cannot be written"):
        store.put(picture(1))
