"""Data sets: what is listed, and that nothing is read that is outside of where they are, or is another than was listed."""

import io
import os
import tarfile
import zipfile

import pytest

from digit_images import write_digits
from layerscope import demo
from layerscope.errors import DataSetUnreadable, InputChanged
from layerscope.extraction.data_sets import ROW, open_data_set
from layerscope.limits import MIB

SEVEN, EIGHT = (demo.samples()[name].read_bytes() for name in ("seven", "eight"))


@pytest.fixture
def place(tmp_path):
    """A folder of digits, and beside it an image that is none of its business."""
    (tmp_path / "secret.png").write_bytes(SEVEN)
    return write_digits(tmp_path / "place")


def readable(data_set):
    """The paths of the images that can be read."""
    found = []
    for row in list(data_set.rows()):
        try:
            data_set.read(row, MIB)
        except InputChanged:
            continue
        found.append(row.path)
    return found


def test_nothing_outside_of_a_place_is_read(place):
    (place / "link.png").symlink_to("../secret.png")
    (place / "inside.png").symlink_to("seven.png")
    (place / "folder").symlink_to("..")
    listed = place / "list.txt"
    listed.write_text(f"seven.png\n../secret.png\n{place.parent}/secret.png\nfolder/secret.png\nlink.png\n")
    assert readable(open_data_set(str(listed), place)) == ["seven.png"]
    assert len(readable(open_data_set(str(listed)))) == 5
    assert readable(open_data_set(f"{place}/*/*.png", place)) == []
    for outside in (f"{place}/folder", f"{place}/../secret.png"):
        with pytest.raises(DataSetUnreadable, match="another place"):
            open_data_set(outside, place)
    assert "inside.png" in readable(open_data_set(str(place), place))
    assert "link.png" not in readable(open_data_set(str(place), place))


def test_a_file_that_becomes_a_link_to_another_place_or_a_pipe_is_not_read(place):
    data_set = open_data_set(str(place), place)
    rows = {row.path: row for row in data_set.rows()}
    for name, make in (("one.png", lambda path: path.symlink_to("../secret.png")), ("two.png", os.mkfifo)):
        (place / name).unlink()
        make(place / name)
        with pytest.raises(InputChanged):
            data_set.read(rows[name], MIB)


def tar_of(path, members):
    with tarfile.open(path, "w") as archive:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def zip_of(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)


@pytest.mark.parametrize(("suffix", "write"), [("zip", zip_of), ("tar", tar_of)])
def test_an_archive_that_was_replaced_by_one_of_the_same_lengths_is_not_read(tmp_path, suffix, write):
    path = tmp_path / f"archive.{suffix}"
    write(path, [("a.png", b"first one"), ("b.png", SEVEN)])
    rows = list(open_data_set(str(path)).rows())
    assert [open_data_set(str(path)).read(row, MIB).data for row in rows] == [b"first one", SEVEN]
    os.utime(path, ns=(1, 1))
    write(path, [("a.png", b"other one"), ("b.png", SEVEN)])
    with pytest.raises(InputChanged):
        open_data_set(str(path)).read(rows[0], MIB)


def test_names_of_any_bytes_are_listed_as_text(tmp_path):
    path = tmp_path / "odd.tar"
    names = ["a\nb.png", "ä 日本.png", "\udcff.png", "-rf.png", "a%2F'\";.png"]
    tar_of(path, [(name, SEVEN) for name in names])
    data_set = open_data_set(str(path))
    for name, row in zip(names, data_set.rows(), strict=True):
        assert ROW.validate_json(ROW.dump_json(row)) == row
        assert row.path == name.encode("utf-8", "backslashreplace").decode()
        assert data_set.read(row, MIB).data == SEVEN


def test_links_and_paths_in_an_archive_lead_nowhere(place, tmp_path):
    with tarfile.open(tmp_path / "all.tar", "w") as archive:
        for name, kind, target in (
            ("link.png", tarfile.SYMTYPE, "/etc/hostname"),
            ("hard.png", tarfile.LNKTYPE, "../secret.png"),
            ("pipe.png", tarfile.FIFOTYPE, ""),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            archive.addfile(member)
        archive.add(place / "seven.png", "../../seven.png")
    data_set = open_data_set(str(tmp_path / "all.tar"))
    (row,) = data_set.rows()
    assert (row.path, data_set.read(row, MIB).data) == ("../../seven.png", SEVEN)
    assert not (tmp_path.parent.parent / "seven.png").exists()
