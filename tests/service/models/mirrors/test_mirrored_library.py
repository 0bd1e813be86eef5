"""Models that lie elsewhere, in memory and not, while they change there and while nobody reaches them."""

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from mirrored_places import Bucket
from text_models import EXPLICIT, POLL, Text, states, text_of

from layerscope.errors import ModelNotFound, ModelTooLarge, SourceUnreachable
from layerscope.limits import Limits
from layerscope.models.control import Control
from layerscope.models.library import Library
from layerscope.models.mirrors.mirror import Mirror


@pytest.fixture
def bucket():
    yield Bucket()
    MemoryFileSystem.store.clear()


@pytest.fixture
def start(bucket, tmp_path):
    libraries = []

    def start(control, **limits):
        mirror = Mirror(bucket, tmp_path, Limits(**limits))
        library = Library(
            mirror.directory,
            lambda source: Text(source.path.read_text("utf-8")),
            Limits(**limits),
            control,
            trusted=False,
            refresh=mirror.refresh,
        )
        libraries.append(library)
        library.open(lambda _: None)
        return library

    yield start
    for each in libraries:
        each.close()


def poll_twice(library):
    """A version is loaded when two looks find the same files."""
    library.poll()
    library.poll()


def test_what_is_there_at_the_start_is_served_and_stays(bucket, start):
    bucket.put("a.keras", b"one")
    library = start(Control())
    bucket.put("a.keras", b"two")
    assert text_of(library, "a") == "one"


def test_a_poll_follows_what_comes_changes_and_goes(bucket, start):
    bucket.put("a/1/model.keras", b"one")
    bucket.put("b/1/model.keras", b"stays")
    library = start(POLL)
    bucket.put("a/1/model.keras", b"changed")
    bucket.put("a/2/model.keras", b"two")
    poll_twice(library)
    assert [text_of(library, each) for each in ("a@1", "a@2")] == ["changed", "two"]
    bucket.remove("a/2/model.keras")
    library.poll()
    assert states(library) == {"a@1": "ready", "b@1": "ready"}


def test_an_order_loads_what_is_there_now(bucket, start):
    bucket.put("a/1/model.keras", b"one")
    library = start(EXPLICIT)
    assert states(library) == {"a@1": "unloaded"}
    bucket.put("a/2/model.keras", b"two")
    library.load("a")
    assert text_of(library, "a") == "two"
    bucket.put("a/2/model.keras", b"changed")
    library.load("a@2")
    assert text_of(library, "a") == "changed"
    library.unload("a")
    assert states(library) == {"a@1": "unloaded", "a@2": "unloaded"}
    with pytest.raises(ModelNotFound):
        library.load("b")


def test_labels_that_are_set_here_stay_here(bucket, start):
    bucket.put("a/1/model.keras", b"one")
    bucket.put("a/ledger.json", b'{"labels": {"theirs": 1}}')
    library = start(EXPLICIT)
    library.load("a")
    library.label("a@1", "ours")
    assert start(Control(mode="explicit", start=("*",))).registry.labels("a") == {"ours": 1}


def test_a_place_that_is_away_changes_nothing_and_that_is_told(bucket, start):
    bucket.put("a/1/model.keras", b"one")
    library = start(POLL)
    assert library.sync_error is None
    bucket.is_away = True
    library.poll()
    assert text_of(library, "a") == "one"
    assert library.sync_error.message == "The bucket is away."
    bucket.is_away = False
    bucket.put("a/2/model.keras", b"two")
    poll_twice(library)
    assert text_of(library, "a") == "two"
    assert library.sync_error is None


def test_an_order_that_reaches_no_place_is_refused(bucket, start):
    bucket.put("a.keras", b"one")
    library = start(Control(mode="explicit", start=("*",)))
    bucket.is_away = True
    with pytest.raises(SourceUnreachable):
        library.load("a")
    assert text_of(library, "a") == "one"


def test_a_start_without_the_place_serves_what_was_fetched_before(bucket, start):
    bucket.put("a.keras", b"one")
    start(Control())
    bucket.is_away = True
    library = start(Control())
    assert text_of(library, "a") == "one"
    assert library.sync_error.code == "source_unreachable"


def test_a_start_without_the_place_and_without_anything_fetched_fails(bucket, start):
    bucket.is_away = True
    with pytest.raises(SourceUnreachable):
        start(Control())


@pytest.mark.parametrize("control", [Control(), POLL, EXPLICIT], ids=["none", "poll", "explicit"])
def test_what_cannot_be_fetched_is_listed_with_the_reason(bucket, start, control):
    bucket.put("a.keras", b"small")
    bucket.put("b.keras", bytes(100))
    library = start(control, model_file_bytes=50)
    assert states(library)["b@1"] == "failed"
    assert "model_file_bytes" in library.registry.find("b").reason


def test_what_cannot_be_fetched_any_more_goes_on_and_tells(bucket, start):
    bucket.put("a.keras", b"small")
    library = start(Control(mode="explicit", start=("*",)), model_file_bytes=50)
    bucket.put("a.keras", bytes(100))
    with pytest.raises(ModelTooLarge):
        library.load("a")
    assert text_of(library, "a") == "small"
    assert "model_file_bytes" in library.registry.find("a").reason
    bucket.put("a.keras", b"smaller")
    library.load("a")
    assert text_of(library, "a") == "smaller"
    assert library.registry.find("a").reason is None


def test_what_can_be_fetched_again_is_served(bucket, start):
    bucket.put("a.keras", bytes(100))
    bucket.put("b.keras", bytes(100))
    library = start(POLL, model_file_bytes=50)
    bucket.put("a.keras", b"small")
    bucket.remove("b.keras")
    poll_twice(library)
    assert text_of(library, "a") == "small"
    assert states(library) == {"a@1": "ready"}
