import io
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from layerscope.errors import AnswerTooLarge, NoPicture
from layerscope.limits import Limits
from layerscope.render import Picture, PictureOptions, lookup_table, render, tiles

Draw = Callable[..., Picture]
Decode = Callable[[Picture], np.ndarray]

WHITE = [255, 255, 255]


def ramps(count: int, height: int = 5, width: int = 7) -> np.ndarray:
    return np.arange(count * height * width, dtype=np.float32).reshape(count, height, width)


def opened(picture: Picture) -> Image.Image:
    return Image.open(io.BytesIO(picture.data))


def test_the_file_is_an_8_bit_indexed_png_of_the_native_size(draw: Draw) -> None:
    picture = draw(ramps(1))

    assert picture.data[:8] == b"\x89PNG\r\n\x1a\n"
    assert picture.data[24:26] == bytes([8, 3])  # bit depth, colour type: indexed
    assert opened(picture).size == (picture.width, picture.height) == (7, 5)


def test_nothing_is_reserved_where_nothing_is_needed(draw: Draw) -> None:
    colours = opened(draw(ramps(1))).getpalette()

    np.testing.assert_array_equal(np.reshape(colours, (-1, 3)), lookup_table("viridis", 256))


def test_a_single_value_is_one_pixel(draw: Draw, rgb: Decode) -> None:
    np.testing.assert_array_equal(rgb(draw([[[3]]])), [[lookup_table("viridis", 256)[0]]])


def test_a_vector_of_4096_is_a_square(draw: Draw, palette_indices: Decode) -> None:
    drawn = palette_indices(draw(tiles(np.arange(4096, dtype=np.float32), None)))

    expected = np.minimum(np.arange(4096) * 256 // 4095, 255)
    np.testing.assert_array_equal(drawn, expected.reshape(64, 64))


@pytest.mark.parametrize(
    ("count", "columns", "rows_expected", "columns_expected"),
    [
        (1, None, 1, 1),
        (2, None, 1, 2),
        (4, None, 2, 2),
        (5, None, 2, 3),
        (64, None, 8, 8),
        (65, None, 8, 9),
        (6, 1, 6, 1),
        (6, 4, 2, 4),
        (6, 6, 1, 6),
        (6, 100, 1, 6),
    ],
)
@pytest.mark.parametrize(("gap", "scale"), [(0, 1), (1, 1), (3, 2)])
def test_the_grid_has_the_size_of_its_tiles_and_gaps(
    draw: Draw,
    count: int,
    columns: int | None,
    rows_expected: int,
    columns_expected: int,
    gap: int,
    scale: int,
) -> None:
    picture = draw(ramps(count), columns=columns, gap=gap, scale=scale)

    assert picture.width == columns_expected * 7 * scale + (columns_expected - 1) * gap
    assert picture.height == rows_expected * 5 * scale + (rows_expected - 1) * gap
    assert opened(picture).size == (picture.width, picture.height)


def test_tiles_are_in_reading_order_between_gaps(draw: Draw, rgb: Decode) -> None:
    levels = [[[0]], [[1]], [[2]], [[3]], [[4]]]

    drawn = rgb(draw(levels, columns=3, gap=2, normalize="layer", colormap="gray"))

    gray = lookup_table("gray", 255)[[0, 63, 127, 191, 254]]
    assert drawn.shape == (4, 7, 3)
    np.testing.assert_array_equal(drawn[0, [0, 3, 6]], gray[:3])
    np.testing.assert_array_equal(drawn[3, [0, 3]], gray[3:])
    background = np.ones((4, 7), dtype=bool)
    background[[0, 0, 0, 3, 3], [0, 3, 6, 0, 3]] = False
    assert (drawn[background] == WHITE).all()


def test_enlargement_repeats_pixels(draw: Draw, rgb: Decode) -> None:
    small, large = draw(ramps(1)), draw(ramps(1), scale=3)

    np.testing.assert_array_equal(rgb(large), rgb(small).repeat(3, axis=0).repeat(3, axis=1))


def test_labels_are_written_above_the_tiles_and_hide_nothing(draw: Draw, rgb: Decode) -> None:
    maps = ramps(4, 30, 40)
    plain, labelled = rgb(draw(maps)), rgb(draw(maps, labels=True))

    strip = labelled.shape[0] // 2 - 30
    assert strip > 8
    assert labelled.shape == (plain.shape[0] + 2 * strip, plain.shape[1], 3)
    assert (labelled[:strip] < 64).all(axis=2).any()
    different = np.abs(labelled[strip : strip + 30, :40].astype(int) - plain[:30, :40]).max()
    assert different <= 4  # one level less, so not all colours are the very same


def test_cells_are_as_wide_as_the_widest_label() -> None:
    options = PictureOptions(labels=True)

    narrow = render(ramps(2, 3, 3), options, limits=Limits(), names=["1", "2"])
    wide = render(ramps(2, 3, 3), options, limits=Limits(), names=["1", "a long name"])

    assert wide.width > narrow.width > 2 * 3 + 1


def test_labels_are_numbers_from_0_without_names() -> None:
    options = PictureOptions(labels=True)

    numbered = render(ramps(3), options, limits=Limits(), names=["0", "1", "2"])

    assert numbered.data == render(ramps(3), options, limits=Limits()).data
    assert numbered.data != render(ramps(3), options, limits=Limits(), names=["0", "1", "3"]).data


@pytest.mark.parametrize("name", ["é", "層", "\n", "\0"])
def test_names_beyond_ascii_are_drawn_as_escapes(name: str) -> None:
    picture = render(ramps(1), PictureOptions(labels=True), limits=Limits(), names=[name])
    escaped = name.encode("unicode_escape").decode()

    wide = render(ramps(1), PictureOptions(labels=True), limits=Limits(), names=["x" * len(escaped)])

    assert picture.width == wide.width


@pytest.mark.parametrize("names", [["a"], ["a", "b", "c"]])
def test_as_many_names_as_tiles_are_needed(names: list[str]) -> None:
    with pytest.raises(ValueError, match="argument"):
        render(ramps(2), PictureOptions(labels=True), limits=Limits(), names=names)


def test_the_colour_bar_runs_from_the_first_colour_up_to_the_last(draw: Draw, rgb: Decode) -> None:
    picture = draw(ramps(1, 300, 20), colorbar=True)
    drawn = rgb(picture)

    colours = {tuple(colour) for colour in lookup_table("viridis", 254).tolist()}
    bar = [x for x in range(20, picture.width) if {tuple(p) for p in drawn[:, x].tolist()} == colours]
    assert len(bar) >= 8
    np.testing.assert_array_equal(drawn[-1, bar[0]], lookup_table("viridis", 254)[0])
    np.testing.assert_array_equal(drawn[0, bar[0]], lookup_table("viridis", 254)[-1])


def test_the_colour_bar_gives_numbers_only_where_one_range_holds(draw: Draw, rgb: Decode) -> None:
    maps = ramps(2, 30, 20)

    def changes_with_the_values(**options: object) -> bool:
        pictures = [rgb(draw(values, colorbar=True, **options)) for values in (maps, maps + 1024)]
        return not np.array_equal(*pictures)

    assert not changes_with_the_values()
    assert changes_with_the_values(normalize="layer")


def test_the_file_says_what_it_shows_and_the_rest_is_escaped() -> None:
    metadata = {"layer": "block1/conv", "model": "größe\n\0", "digest": "sha256-1"}

    picture = render(ramps(1), PictureOptions(), limits=Limits(), metadata=metadata)

    assert opened(picture).text == {
        "colormap": "viridis",
        "digest": "sha256-1",
        "layer": "block1/conv",
        "model": "gr\\xf6\\xdfe\\n\\x00",
        "nonfinite": "0",
        "value_max": "34.0",
        "value_min": "0.0",
    }
    assert b"tIME" not in picture.data


def test_what_the_picture_says_of_itself_cannot_be_overwritten() -> None:
    picture = render(ramps(1), PictureOptions(), limits=Limits(), metadata={"colormap": "other"})

    assert opened(picture).text["colormap"] == "viridis"


def test_the_order_of_entries_does_not_depend_on_the_callers() -> None:
    forward = render(ramps(1), PictureOptions(), limits=Limits(), metadata={"layer": "a", "model": "b"})
    backward = render(ramps(1), PictureOptions(), limits=Limits(), metadata={"model": "b", "layer": "a"})

    assert forward.data == backward.data


MANY = {"labels": True, "colorbar": True, "scale": 2, "percentile": (1, 99)}


def test_the_same_arguments_give_the_same_bytes_in_every_thread(draw: Draw) -> None:
    maps = np.random.default_rng(5).normal(size=(9, 20, 20)).astype(np.float32)
    maps[0, 0, 0] = np.nan

    with ThreadPoolExecutor(8) as pool:
        drawn = list(pool.map(lambda _: draw(maps, **MANY).data, range(40)))

    assert set(drawn) == {draw(maps, **MANY).data}


def test_the_same_arguments_give_the_same_bytes_in_another_process() -> None:
    program = (
        "import hashlib, numpy as np\n"
        "from layerscope.limits import Limits\n"
        "from layerscope.render import PictureOptions, render\n"
        "maps = np.arange(36, dtype=np.float32).reshape(4, 3, 3)\n"
        "options = PictureOptions(labels=True, colorbar=True)\n"
        "print(hashlib.sha256(render(maps, options, limits=Limits()).data).hexdigest())\n"
    )
    digests = [
        subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed},
        )
        for seed in ("1", "2")
    ]

    assert digests[0].stdout == digests[1].stdout
    assert len(digests[0].stdout.strip()) == 64


@pytest.mark.parametrize(
    "options", [{}, MANY, {"normalize": "layer"}, {"range": (-1, 1)}, {"centered": "true"}]
)
@pytest.mark.parametrize("channels_last", [False, True])
def test_the_input_is_left_alone(draw: Draw, options: dict[str, object], channels_last: bool) -> None:
    values = np.random.default_rng(6).normal(size=(6, 5, 4)).astype(np.float32)
    values[0, 0, :3] = [np.nan, np.inf, -np.inf]
    before = values.tobytes()
    values.flags.writeable = False

    picture = draw(tiles(values, -1 if channels_last else 0), **options)

    assert values.tobytes() == before
    assert picture.nonfinite == 3


def test_the_memory_order_of_the_input_does_not_show(draw: Draw) -> None:
    values = np.random.default_rng(7).normal(size=(6, 5, 4)).astype(np.float32)
    last = np.ascontiguousarray(np.moveaxis(values, 0, -1))

    assert draw(tiles(last, -1), **MANY).data == draw(tiles(values, 0), **MANY).data


@pytest.mark.parametrize(
    "options",
    [{}, {"scale": 3}, {"labels": True}, {"colorbar": True}, {"gap": 9}, {"labels": True, "colorbar": True}],
)
def test_the_limit_holds_to_the_pixel(draw: Draw, options: dict[str, object]) -> None:
    maps = ramps(5)
    pixels = draw(maps, **options).width * draw(maps, **options).height

    assert render(maps, PictureOptions(**options), limits=Limits(picture_pixels=pixels))  # type: ignore[arg-type]
    with pytest.raises(
        AnswerTooLarge, match=f"= {pixels:,} pixels, more than {pixels - 1:,}: draw fewer"
    ) as caught:
        render(maps, PictureOptions(**options), limits=Limits(picture_pixels=pixels - 1))  # type: ignore[arg-type]
    assert (caught.value.details["pixels"], caught.value.details["limit"]) == (pixels, pixels - 1)
    assert len(caught.value.details["ways"]) == 3


def test_the_limit_is_checked_before_any_work() -> None:
    huge = np.broadcast_to(np.float32(0), (10**6, 10**4, 10**4))

    with pytest.raises(AnswerTooLarge, match="more than 32,000,000"):
        render(huge, PictureOptions(scale=64, colorbar=True), limits=Limits())


@pytest.mark.parametrize("shape", [(0, 3, 3), (2, 0, 3), (2, 3, 0)])
def test_no_values_no_picture(draw: Draw, shape: tuple[int, int, int]) -> None:
    with pytest.raises(NoPicture, match="hold no values"):
        draw(np.zeros(shape, dtype=np.float32), labels=True)
