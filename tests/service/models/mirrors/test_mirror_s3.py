"""A real S3: models in a bucket, fetched and followed by an engine."""

import pytest
from model_files import tiny_model

from layerscope.errors import SourceUnreachable
from layerscope.graph.loading.prepare import prepare
from layerscope.graph.model import assemble
from layerscope.limits import Limits
from layerscope.models.control import Control
from layerscope.models.library import Library
from layerscope.models.mirrors import mirror_of

POLL = Control(mode="poll", seconds=3600)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for units in (2, 3):
        tiny_model(units=units).save(folder / f"{units}.keras")
    return folder


def opened(source):
    return assemble(source, prepare(source), plan_bytes=2**28)


def description(library, reference):
    with library.registry.lease(reference) as model:
        return model.description


def test_models_in_a_bucket_are_served_and_followed(bucket, models, tmp_path):
    bucket.upload_file(str(models / "2.keras"), "team/models/tiny/1/model.keras")
    bucket.put_object(Key="team/models/tiny/1/layerscope.json", Body=b'{"classes": ["cat", "dog"]}')
    mirror = mirror_of("s3://house/team/models", tmp_path, Limits())
    library = Library(mirror.directory, opened, Limits(), POLL, trusted=False, refresh=mirror.refresh)
    library.open(lambda _: None)
    assert description(library, "tiny").classes == ("cat", "dog")
    bucket.upload_file(str(models / "3.keras"), "team/models/tiny/2/model.keras")
    bucket.delete_objects(
        Delete={
            "Objects": [{"Key": f"team/models/tiny/1/{each}"} for each in ("model.keras", "layerscope.json")]
        }
    )
    library.poll()
    library.poll()
    assert [each.source.key for each in library.registry.entries()] == [("tiny", 2)]
    assert description(library, "tiny").outputs[0][1].shape[-1] == 3
    library.close()
    library.registry.clear()


def test_unchanged_objects_are_not_fetched_and_changed_ones_are(bucket, models, tmp_path):
    bucket.put_object(Key="a.keras", Body=b"one")
    bucket.put_object(Key="b.keras", Body=b"one")
    mirror = mirror_of("s3://house", tmp_path, Limits())
    mirror.refresh()
    before = {
        path.parent.parent.name: path.stat().st_ino for path in mirror.directory.glob("?/1/model.keras")
    }
    bucket.put_object(Key="b.keras", Body=b"two")
    mirror.refresh()
    after = {path.parent.parent.name: path.stat().st_ino for path in mirror.directory.glob("?/1/model.keras")}
    assert after["a"] == before["a"]
    assert (mirror.directory / "b/1/model.keras").read_bytes() == b"two"


def test_a_bucket_that_is_not_there_is_unreachable(bucket, tmp_path):
    with pytest.raises(SourceUnreachable, match="s3://elsewhere/models"):
        mirror_of("s3://elsewhere/models", tmp_path, Limits()).refresh()
