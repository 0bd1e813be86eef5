"""Attributions a token as pictures: each text with its tokens on the colours of their values."""

from layerscope.execution.inputs import Sources, TextSource
from layerscope.execution.interface import Attribution
from layerscope.limits import Limits
from layerscope.render import Picture, PictureFormat, Sentence, largest_sentence_picture, sentence_picture
from layerscope.tensors.spec import TensorSpec
from layerscope_api.schemas.attribution_options import HeatPictureOptions
from layerscope_api.serializers.attributions import picture_metadata, target_text
from layerscope_api.serializers.token_names import numbers_as_names, token_texts, without_padding

_BYTES_A_PIXEL, _BYTES_A_TOKEN = 8, 256
_AXES = ("batch", "tokens")


def are_sentences(spec: TensorSpec, sources: Sources) -> bool:
    """Whether maps have a number for each token, and no other axes, and the tokens are known, as those of texts."""
    is_text = any(isinstance(each, TextSource) for column in sources.values() for each in column)
    return spec.axes == _AXES and is_text


def sentences_bytes(spec: TensorSpec) -> int:
    """The bytes of memory that drawing such maps takes at most, from their shape alone."""
    width, height = largest_sentence_picture(*spec.shape)
    return _BYTES_A_PIXEL * width * height + _BYTES_A_TOKEN * spec.size


def render_sentences(
    found: Attribution, options: HeatPictureOptions, limits: Limits, form: PictureFormat
) -> Picture:
    """Draw each text with its tokens, without padding; tokens of which nobody knows what they are have their numbers.

    Raises:
        AnswerTooLarge: the picture would be too large.
        NoPicture: no text has a token.
    """
    sentences = []
    for number, values in enumerate(found.maps):
        names, kept = numbers_as_names(len(values)), [True] * len(values)
        if found.tokens and len(found.tokens[number]) == len(values):
            names = token_texts(found.tokens[number])
            kept = list(without_padding(found.tokens[number], found.model.tokenizer))
        heading = (
            f"{target_text(found.targets[number])}: {found.targets[number].value:.4g}"
            if found.targets
            else ""
        )
        sentences.append(
            Sentence(
                tokens=[name for name, is_kept in zip(names, kept, strict=True) if is_kept],
                values=values[kept],
                heading=heading,
            )
        )
    return sentence_picture(
        sentences, options.picture_options(), limits=limits, metadata=picture_metadata(found), form=form
    )
