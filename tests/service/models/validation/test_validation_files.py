"""M03 to M06: archives and weights that are not what Keras writes."""

import io
import os
import zipfile
import zlib

import h5py
import numpy as np
import pytest
from hostile_files import CONFIG, WEIGHTS, examined, forked_workers, parts_of, with_weights, write_parts
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from model_files import tiny_model

from layerscope.errors import (
    ModelRefused,
    ModelTooLarge,
    ModelUnreadable,
    StorageFull,
    UnsupportedFormat,
    WeightsExternalReference,
    WeightsMalformed,
    WeightsShapeMismatch,
)
from layerscope.limits import Limits
from layerscope.models.validation import check

LIMITS = Limits()
FORMATS = pytest.mark.parametrize("suffix", [".keras", ".h5"])
CODES = {each.code for each in (ModelRefused, *ModelRefused.__subclasses__(), StorageFull, UnsupportedFormat)}
KERNEL = {".keras": "layers/conv2d/vars/0", ".h5": "model_weights/conv/conv/kernel"}


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    folder = tmp_path_factory.mktemp("good")
    for suffix in (".keras", ".h5"):
        tiny_model().save(folder / f"good{suffix}")
    return {suffix: (folder / f"good{suffix}").read_bytes() for suffix in (".keras", ".h5")}


@pytest.fixture
def made(good, tmp_path):
    """A file of the good one's bytes, or of others; whatever is checked, nothing may be left beside it."""

    def make(data=None, suffix=".keras", name="model"):
        path = tmp_path / f"{name}{suffix}"
        path.write_bytes(good[suffix] if data is None else data)
        return path

    yield make
    assert {path.name for path in tmp_path.iterdir()} <= {"model.keras", "model.h5", "other.h5"}


def kernel_at(path):
    group, _, name = path.rpartition("/")
    return group, name


def replaced(suffix, make):
    """Put something else where the kernel of the convolution is."""

    def edit(file):
        group, name = kernel_at(KERNEL[suffix])
        del file[group][name]
        make(file[group], name)

    return edit


def virtual(group, name):
    layout = h5py.VirtualLayout((3, 3, 3, 4), "f4")
    layout[...] = h5py.VirtualSource("other.h5", "x", (3, 3, 3, 4))
    group.create_virtual_dataset(name, layout)


ELSEWHERE = {
    "external link": lambda group, name: group.__setitem__(name, h5py.ExternalLink("other.h5", "/x")),
    "soft link": lambda group, name: group.__setitem__(name, h5py.SoftLink("/x")),
    "external dataset": lambda group, name: group.create_dataset(
        name, (3, 3, 3, 4), "f4", external=[("/etc/passwd", 0, 432)]
    ),
    "virtual dataset": virtual,
}
MALFORMED = {
    "texts": lambda group, name: group.create_dataset(name, data=["a"], dtype=h5py.string_dtype()),
    "object references": lambda group, name: group.create_dataset(name, (3,), h5py.ref_dtype),
    "region references": lambda group, name: group.create_dataset(name, (3,), h5py.regionref_dtype),
    "compound": lambda group, name: group.create_dataset(name, (3,), np.dtype([("a", "f4"), ("b", "i4")])),
    "vlen": lambda group, name: group.create_dataset(name, (3,), h5py.vlen_dtype("f4")),
    "opaque": lambda group, name: group.create_dataset(name, data=np.zeros(3, "V7")),
    "cycle": lambda group, name: group.__setitem__(name, group.file["/"]),
    "a second name": lambda group, name: group.__setitem__(name, group["bias" if "bias" in group else "1"]),
    "named type": lambda group, name: group.__setitem__(name, np.dtype("f4")),
}


@FORMATS
@pytest.mark.parametrize("how", ELSEWHERE)
def test_m03_weights_in_another_place(made, suffix, how):
    path = with_weights(made(suffix=suffix), replaced(suffix, ELSEWHERE[how]))
    with pytest.raises(WeightsExternalReference) as raised:
        examined(path)
    assert raised.value.details["path"] == KERNEL[suffix]


@FORMATS
@pytest.mark.parametrize("kind", [h5py.ExternalLink("other.h5", "/"), h5py.SoftLink("/elsewhere")])
def test_m03_a_link_on_a_middle_group(made, suffix, kind):
    middle = KERNEL[suffix].split("/")[0] + "/" + KERNEL[suffix].split("/")[1]

    def edit(file):
        file.move(middle, "elsewhere")
        file[middle] = kind

    with pytest.raises(WeightsExternalReference):
        examined(with_weights(made(suffix=suffix), edit))


@FORMATS
@pytest.mark.parametrize("what", MALFORMED)
def test_m03_weights_that_are_no_arrays_of_numbers(made, suffix, what):
    path = with_weights(made(suffix=suffix), replaced(suffix, MALFORMED[what]))
    with pytest.raises(WeightsMalformed):
        examined(path)


@FORMATS
@pytest.mark.parametrize("size", [300 << 20, 8 << 30, 1 << 40])
@pytest.mark.parametrize("packed", [False, True])
def test_m04_shapes_that_the_file_does_not_hold(made, suffix, size, packed):
    """Never written, or nothing but zeros in one compressed piece of a gigantic array."""

    def bomb(group, name):
        options = {"compression": "gzip", "compression_opts": 9} if packed else {}
        made_here = group.create_dataset(name, (size // 4,), "f4", chunks=(1 << 20,), **options)
        if packed:
            made_here[:1] = 0

    path = with_weights(made(suffix=suffix), replaced(suffix, bomb))
    assert path.stat().st_size < 500_000
    with pytest.raises(WeightsShapeMismatch) as raised:
        check(path, LIMITS)
    assert raised.value.details["size"] == size


def test_m04_many_layers_of_50_megabytes(made):
    def edit(file):
        for number in range(200):
            file.create_dataset(f"layers/dense_{number + 9}/vars/0", (50 << 18,), "f4", chunks=(1 << 18,))

    with pytest.raises(WeightsShapeMismatch):
        examined(with_weights(made(), edit))


@pytest.mark.parametrize("shape", [(3, 3, 3, 5), (3, 3, 3), (3, 3, 4, 3), ()])
def test_m04_shapes_that_the_configuration_does_not_imply(made, shape):
    def other(group, name):
        group.create_dataset(name, data=np.zeros(shape, "f4"))

    with pytest.raises(WeightsShapeMismatch) as raised:
        examined(with_weights(made(), replaced(".keras", other)))
    assert raised.value.details == {
        "layer": "conv",
        "implied": [[3, 3, 3, 4], [4]],
        "found": [list(shape), [4]],
    }


def test_m05_a_configuration_of_150_megabytes(made, good):
    path = made()
    parts = parts_of(path)
    parts[CONFIG] = b'{"a": "' + b"x" * (150 << 20) + b'"}'
    write_parts(path, parts, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 400_000
    with pytest.raises(ModelTooLarge) as raised:
        check(path, LIMITS)
    assert raised.value.details["limit"] == LIMITS.model_config_bytes


def test_m05_a_size_that_is_a_lie(made):
    """The archive says that the configuration is short; what it inflates to is counted."""
    path = made()
    parts = parts_of(path)
    parts[CONFIG] = b" " * (40 << 20)
    write_parts(path, parts, zipfile.ZIP_DEFLATED)
    data = bytearray(path.read_bytes())
    for where in (data.index(b"config.json") - 30 + 22, data.rindex(b"config.json") - 46 + 24):
        assert int.from_bytes(data[where : where + 4], "little") == 40 << 20
        data[where : where + 4] = (100).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(ModelRefused):
        examined(path)


def member(name, data=b"x", **attributes):
    info = zipfile.ZipInfo(name)
    for key, value in attributes.items():
        setattr(info, key, value)
    return info, data


def added(path, *members):
    with zipfile.ZipFile(path, "a") as file:
        for info, data in members:
            file.writestr(info, data)
    return path


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    "members",
    [
        [member(f"{number}") for number in range(10_000)],
        [member(CONFIG, b"{}")],
        [member("../../x")],
        [member("/etc/x")],
        [member("C:\\x")],
        [member("link", b"/etc/passwd", external_attr=0o120777 << 16)],
        [member("assets/layers/lookup/vocabulary.txt", b"x" * (1 << 20))],
        [member("model.weights.npz")],
        [member("CONFIG.JSON")],
    ],
    ids=lambda members: members[0][0].filename[:12],
)
def test_m05_members_that_no_model_has(made, members):
    with pytest.raises(ModelRefused):
        examined(added(made(), *members))


def test_m05_a_member_that_is_a_link(made):
    path = made()
    parts = parts_of(path)
    with zipfile.ZipFile(path, "w") as file:
        for name, data in parts.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (0o120777 if name == WEIGHTS else 0o100600) << 16
            file.writestr(info, data)
    with pytest.raises(ModelUnreadable, match="no plain or deflated file"):
        examined(path)


@pytest.mark.parametrize("junk", [b"#!/bin/sh\n", b"GIF89a" * 1_000, b"\0"])
def test_m05_something_before_or_behind(made, good, junk):
    for data in (junk + good[".keras"], good[".keras"] + junk):
        with pytest.raises(ModelUnreadable):
            examined(made(data))


def test_m05_something_between(made, good):
    """Junk between the members: every offset that the end names is moved along."""
    path = made()
    parts = parts_of(path)
    with zipfile.ZipFile(path, "w") as file:
        for name, data in parts.items():
            file.writestr(name, data)
            assert file.fp is not None
            file.fp.write(b"j" * 500)
            file.start_dir = file.fp.tell()
    with pytest.raises(ModelUnreadable, match="between its members"):
        examined(path)


def test_m05_encrypted(made, good):
    data = bytearray(good[".keras"])
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + at] |= 1
    with pytest.raises(ModelUnreadable, match="encrypted"):
        examined(made(bytes(data)))


@pytest.mark.parametrize("name", [b"config.json", b"model.weights.h5", b"metadata.json"])
def test_m05_a_wrong_checksum(made, good, name):
    data = bytearray(good[".keras"])
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        info = file.getinfo(name.decode())
    data[info.header_offset + 30 + len(name) + info.compress_size // 2] ^= 0x20
    assert zlib.crc32(data) != zlib.crc32(good[".keras"])
    with pytest.raises(ModelRefused):
        examined(made(bytes(data)))


@FORMATS
def test_m06_truncated_anywhere(made, good, suffix):
    whole = good[suffix]
    for part in range(20):
        with pytest.raises(ModelUnreadable):
            examined(made(whole[: len(whole) * part // 20], suffix))


@FORMATS
def test_m06_noise(made, suffix):
    noise = np.random.default_rng(0).bytes(50_000)
    for data in (noise, b"PK\x03\x04" + noise, b"\x89HDF\r\n\x1a\n" + noise):
        with pytest.raises(ModelUnreadable):
            check(made(data, suffix), LIMITS)


@pytest.mark.parametrize(("named", "is_one"), [(".keras", ".h5"), (".h5", ".keras")])
def test_m06_one_format_under_the_name_of_the_other(made, good, named, is_one):
    with pytest.raises(ModelUnreadable, match=f"it looks like an {is_one} file"):
        examined(made(good[is_one], named))


def test_m06_weights_without_a_model(made, tmp_path):
    path = made(suffix=".h5")
    with h5py.File(path, "r+") as file:
        del file.attrs["model_config"]
    with pytest.raises(ModelUnreadable, match="nothing but weights"):
        examined(path)


def test_formats_that_are_never_accepted(tmp_path):
    with pytest.raises(UnsupportedFormat, match="SavedModel is a program"):
        check(tmp_path, LIMITS)
    (tmp_path / "model.zip").write_bytes(b"PK")
    with pytest.raises(UnsupportedFormat):
        check(tmp_path / "model.zip", LIMITS)


@pytest.mark.parametrize("text", range(3))
def test_m06_damage_to_one_of_the_texts(made, text):
    """HDF5 keeps texts in heaps: a signature and a size of 16 bytes, then each with 16 bytes before it."""
    path = made(suffix=".h5")
    data = bytearray(path.read_bytes())
    at = data.index(b"GCOL") + 16
    for _ in range(text):
        at += 16 + -(-int.from_bytes(data[at + 8 : at + 16], "little") // 8) * 8
    data[at + 8] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelUnreadable, match="damaged"):
        examined(path)


@pytest.fixture(scope="module")
def examined_apart(tmp_path_factory):
    with forked_workers(tmp_path_factory.mktemp("apart"), LIMITS) as ask:
        yield ask


@FORMATS
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_r08_mutations_leave_nothing_but_our_own_errors(good, examined_apart, tmp_path, suffix, data):
    """In the worker: HDF5 itself breaks at some of them, and takes its process along."""
    mutated = bytearray(good[suffix])
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(mutated) - 1))
        mutated[at] = data.draw(st.integers(0, 255))
    path = tmp_path / f"model{suffix}"
    path.write_bytes(mutated)
    match examined_apart(path):
        case {"report": _}:
            pass
        case {"code": code}:
            assert code in CODES
        case status:
            assert os.WIFSIGNALED(status)
