"""Being here puts this folder on the path of every test below it: they import `graph_models` and others of this folder."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def keras_2_files(tmp_path_factory):
    """A folder of files that Keras 2 wrote in a process of its own, and of what their layers compute: see `keras_2_models`."""
    folder = tmp_path_factory.mktemp("keras_2")
    program = Path(__file__).with_name("keras_2_models.py")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", program, folder], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    return folder


@pytest.fixture(scope="session")
def s3_server():
    """The address of an S3 on this machine. There is one: fsspec keeps the address of the first."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def bucket(s3_server, monkeypatch):
    """An empty bucket named `house`, which drivers find by what the environment says."""
    import boto3

    for name, value in {
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": s3_server,
    }.items():
        monkeypatch.setenv(name, value)
    bucket = boto3.resource("s3").create_bucket(Bucket="house")
    yield bucket
    bucket.objects.delete()
    bucket.delete()
