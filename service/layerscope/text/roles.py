"""Roles of the inputs of a text model: as they are declared, or by their names."""

from collections.abc import Mapping, Sequence

from layerscope.errors import ModelRefused
from layerscope.text.declaration import Role, TokenizerDeclaration

_NAMES: Mapping[str, Role] = {
    "token_ids": "ids",
    "input_ids": "ids",
    "input_word_ids": "ids",
    "padding_mask": "mask",
    "attention_mask": "mask",
    "input_mask": "mask",
    "segment_ids": "segments",
    "token_type_ids": "segments",
    "input_type_ids": "segments",
}
"""The names in keras-hub, Hugging Face's transformers and TensorFlow Hub."""


def roles_of(declared: TokenizerDeclaration, inputs: Sequence[str]) -> dict[str, Role]:
    """What each input takes, by name in the order of the model.

    Raises:
        ModelRefused: an input that is declared does not exist, or what one takes is not known.
    """
    unknown = next((name for name in declared.inputs if name not in inputs), None)
    if unknown is not None:
        raise ModelRefused(
            f"The tokenizer is declared for input {unknown!r}; the model has {', '.join(inputs)}.",
            field="tokenizer.inputs",
        )
    if len(inputs) == 1:
        return {inputs[0]: declared.inputs.get(inputs[0], "ids")}
    roles = {name: declared.inputs.get(name) or _NAMES.get(name) for name in inputs}
    known: dict[str, Role] = {name: role for name, role in roles.items() if role is not None}
    missing = [name for name in inputs if name not in known]
    if missing or "ids" not in known.values():
        raise ModelRefused(
            f"What the inputs {', '.join(missing or inputs)} take is not known: declare it in the tokenizer, such as"
            f' "inputs": {{"{inputs[0]}": "ids"}}, with ids, mask or segments for each.',
            field="tokenizer.inputs",
        )
    return known
