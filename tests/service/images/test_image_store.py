import hashlib
import io
import subprocess
import sys
import threading
from datetime import UTC, datetime

import numpy as np
import pytest
from PIL import Image

from layerscope.errors import ImageNotFound, ImageUnreadable, OptionInvalid, StorageFull, UnsupportedImage
from layerscope.images import ImageStore, decode, thumbnail
from layerscope.images.shared_store import SharedImageStore
from layerscope.limits import Limits
from small_disks import on_small_disk


def encoded(image, name="PNG", **options):
    file = io.BytesIO()
    image.save(file, name, **options)
    return file.getvalue()


def colour(level):
    """A file of always the same length."""
    return encoded(Image.new("RGB", (8, 8), (level, 0, 0)), "BMP")


class Clock:
    def __init__(self):
        self.now = 1_000_000.0

    def __call__(self):
        return self.now


def room_for(images):
    return Limits(image_store_bytes=images * (len(colour(0)) + 1_024), image_store_seconds=60)


@pytest.fixture(params=["own", "shared"])
def make_store(request, tmp_path):
    if request.param == "own":
        return ImageStore
    return lambda *given: SharedImageStore(tmp_path / "images", *given)


def test_an_image_is_kept_under_its_digest(make_store):
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(Image.new("RGB", (20, 10)), "JPEG", exif=exif)
    store = make_store(Limits(), Clock())
    stored, created = store.put(data)
    assert created
    assert stored.id == "sha256-" + hashlib.sha256(data).hexdigest()
    assert stored.data == data
    assert (stored.width, stored.height, stored.mode, stored.format) == (10, 20, "RGB", "jpeg")
    assert stored.orientation_applied == 6
    assert stored.expires == datetime.fromtimestamp(1_003_600, UTC)
    assert store.get(stored.id) == stored


def test_storing_twice_renews(make_store):
    clock = Clock()
    store = make_store(room_for(3), clock)
    first, _ = store.put(colour(1))
    clock.now += 40
    second, created = store.put(colour(1))
    assert not created
    assert second.id == first.id
    assert (second.expires - first.expires).total_seconds() == 40
    clock.now += 40
    assert store.get(first.id).data == colour(1)


def test_an_image_expires_after_its_last_use(make_store):
    clock = Clock()
    store = make_store(room_for(3), clock)
    stored, _ = store.put(colour(1))
    for _ in range(3):
        clock.now += 59
        stored = store.get(stored.id)
    clock.now += 60
    with pytest.raises(ImageNotFound):
        store.get(stored.id)


def test_the_least_recently_used_image_makes_way(make_store):
    store = make_store(room_for(2))
    first, second = (store.put(colour(level))[0] for level in (1, 2))
    store.get(first.id)
    third, _ = store.put(colour(3))
    assert store.get(first.id).data == colour(1)
    assert store.get(third.id).data == colour(3)
    with pytest.raises(ImageNotFound):
        store.get(second.id)


def test_an_image_larger_than_the_store_is_refused_and_nothing_makes_way(make_store):
    store = make_store(room_for(1))
    kept, _ = store.put(colour(1))
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    with pytest.raises(StorageFull) as caught:
        store.put(encoded(Image.fromarray(noise)))
    assert caught.value.details["bytes"] > caught.value.details["limit"]
    assert store.get(kept.id).data == colour(1)


@pytest.mark.parametrize(
    ("data", "error"), [(b"no image", UnsupportedImage), (colour(1)[:-9], ImageUnreadable)]
)
def test_only_usable_images_are_stored(make_store, data, error):
    store = make_store(Limits())
    with pytest.raises(error):
        store.put(data)
    with pytest.raises(ImageNotFound):
        store.get("sha256-" + hashlib.sha256(data).hexdigest())


def test_a_deleted_image_is_gone(make_store):
    store = make_store(Limits())
    stored, _ = store.put(colour(1))
    store.delete(stored.id)
    with pytest.raises(ImageNotFound):
        store.get(stored.id)
    with pytest.raises(ImageNotFound):
        store.delete(stored.id)
    assert store.put(colour(1))[1]


def test_many_threads_share_a_store(make_store):
    store = make_store(room_for(4))
    created, wrong = [], []

    def work():
        for level in range(40):
            stored, new = store.put(colour(level % 4))
            created.append(new)
            if store.get(stored.id).data != colour(level % 4):
                wrong.append(level)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert sum(created) == 4


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_a_thumbnail_is_small_and_in_proportion(mode):
    data = encoded(Image.new(mode, (400, 200)))
    small = Image.open(io.BytesIO(thumbnail(data, 128, Limits())))
    assert (small.format, small.mode, small.size) == ("PNG", mode, (128, 64))
    assert decode(thumbnail(data, 16, Limits()), Limits()).pixels.shape[:2] == (8, 16)


def test_a_thumbnail_is_upright_and_carries_nothing_of_the_file():
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a secret place"
    pixels = np.zeros((10, 20, 3), np.uint8)
    pixels[:, :10] = 255
    data = encoded(Image.fromarray(pixels), exif=exif)
    small = thumbnail(data, 128, Limits())
    assert b"secret" in data
    assert b"secret" not in small
    assert small != data
    upright = decode(small, Limits()).pixels
    assert upright.shape == (20, 10, 3)
    assert (upright[:10] == 255).all()
    assert (upright[10:] == 0).all()


@pytest.mark.parametrize("side", [0, -1, 1_025])
def test_a_thumbnail_has_a_sensible_side(side):
    with pytest.raises(OptionInvalid):
        thumbnail(colour(1), side, Limits())


def test_stores_of_one_directory_have_the_same_images(tmp_path):
    clock = Clock()
    first, second = (SharedImageStore(tmp_path, room_for(3), clock) for _ in range(2))
    stored, created = first.put(colour(1))
    assert created
    assert second.get(stored.id) == stored
    assert not second.put(colour(1))[1]
    clock.now += 40
    second.get(stored.id)
    clock.now += 40
    assert first.get(stored.id).data == colour(1)
    second.delete(stored.id)
    with pytest.raises(ImageNotFound):
        first.get(stored.id)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("image_id", ["../secret", "sha256-../../x", "", "sha256-" + "0" * 64])
def test_only_ids_name_files(tmp_path, image_id):
    (tmp_path / "secret").write_bytes(colour(1))
    store = SharedImageStore(tmp_path / "images", Limits())
    for ask in (store.get, store.delete):
        with pytest.raises(ImageNotFound):
            ask(image_id)
    assert (tmp_path / "secret").exists()


FILL = """
import io, sys
from pathlib import Path
import numpy as np
from PIL import Image
from layerscope.errors import StorageFull
from layerscope.images.shared_store import SharedImageStore
from layerscope.limits import Limits
store = SharedImageStore(Path(sys.argv[1]) / "images", Limits())
def picture(side):
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(side).integers(0, 256, (side, side), np.uint8)).save(file, "PNG")
    return file.getvalue()
small = picture(20)
try:
    store.put(picture(500))
except StorageFull as error:
    print(error.message, [each.name for each in (Path(sys.argv[1]) / "images").iterdir()], store.put(small)[1])
"""


def test_a_shared_store_on_a_full_disk_stores_nothing_of_what_has_no_room(tmp_path):
    command = [*on_small_disk(tmp_path, 100), sys.executable, "-c", FILL, str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said == "There is no room left on the disk for stored images. [] True\n"


def test_a_shared_store_makes_its_directory_again(tmp_path):
    store = SharedImageStore(tmp_path / "images", Limits())
    (tmp_path / "images").rmdir()
    stored, created = store.put(colour(1))
    assert created
    assert store.get(stored.id).data == colour(1)
