import math

import pytest

from layerscope.errors import OptionInvalid
from layerscope.render import PictureOptions


def test_defaults_are_valid_and_options_are_a_key() -> None:
    assert PictureOptions() == PictureOptions(gap=1, scale=1)
    assert hash(PictureOptions(range=(0, 1))) == hash(PictureOptions(range=(0, 1)))


@pytest.mark.parametrize(
    "options",
    [
        {"scale": 1},
        {"scale": 64},
        {"gap": 0},
        {"gap": 64},
        {"columns": 1},
        {"range": (-1.0, 2.0)},
        {"range": (-2.0, 2.0), "centered": "true"},
        {"range": (-3e38, 3e38)},
        {"percentile": (0.0, 100.0)},
        {"percentile": (1.0, 99.0), "normalize": "layer"},
        {"colormap": "crameri:vik_r"},
    ],
)
def test_options_within_bounds_are_accepted(options: dict[str, object]) -> None:
    assert PictureOptions(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"colormap": "viridi"}, "did you mean viridis"),
        ({"centered": "yes"}, "centered must be one of auto, true, false, not yes"),
        ({"normalize": "batch"}, "normalize must be one of channel, layer, picture, none, not batch"),
        ({"range": (1.0, 1.0)}, "two finite numbers, the lower one first, not 1,1"),
        ({"range": (2.0, -1.0)}, "the lower one first"),
        ({"range": (math.nan, 1.0)}, "finite"),
        ({"range": (0.0, math.inf)}, "finite"),
        ({"range": (-1e39, 0.0)}, "range must stay within"),
        ({"range": (0.0, 1e39)}, "range must stay within"),
        ({"range": (-1.0, 3.0), "centered": "true"}, "symmetric about zero, not -1,3"),
        ({"percentile": (99.0, 1.0)}, "the lower one first"),
        ({"percentile": (5.0, 5.0)}, "the lower one first"),
        ({"percentile": (-1.0, 99.0)}, "from 0 to 100"),
        ({"percentile": (1.0, 100.5)}, "from 0 to 100"),
        ({"percentile": (math.nan, 99.0)}, "from 0 to 100"),
        ({"percentile": (1.0, 99.0), "range": (0.0, 1.0)}, "exclude each other"),
        ({"percentile": (1.0, 99.0), "normalize": "none"}, "needs normalize"),
        ({"scale": 0}, "scale must be from 1 to 64, not 0"),
        ({"scale": 65}, "scale must be from 1 to 64, not 65"),
        ({"gap": -1}, "gap must be from 0 to 64"),
        ({"gap": 65}, "gap must be from 0 to 64"),
        ({"columns": 0}, "columns must be at least 1, not 0"),
    ],
)
def test_options_out_of_bounds_say_why(options: dict[str, object], reason: str) -> None:
    with pytest.raises(OptionInvalid, match=reason) as caught:
        PictureOptions(**options)  # type: ignore[arg-type]
    assert caught.value.details["option"] in options
