"""Small random backbones of keras-hub, each with a head where a classifier has one. They are opened with the package as plugin."""

import keras
import keras_hub
from keras import layers

PLUGIN = "import keras_hub\n"
SIDE = 48
SIZES = {"num_layers": 2, "num_heads": 2, "hidden_dim": 8, "intermediate_dim": 12}


def with_head(backbone, read):
    """A classifier over a backbone, which is a layer of it."""
    image = keras.Input(backbone.inputs[0].shape[1:], name="image")
    features = backbone(keras.tree.pack_sequence_as(backbone.input, [image]))
    return keras.Model(image, layers.Dense(3, name="kind")(read(features)))


def first_token(tokens):
    return tokens[:, 0]


def mean_token(tokens):
    return layers.GlobalAveragePooling1D(name="mean")(tokens)


def mean_place(maps):
    return layers.GlobalAveragePooling2D(name="mean")(maps)


def vit():
    sizes = {"num_layers": 2, "num_heads": 2, "hidden_dim": 8, "mlp_dim": 12}
    backbone = keras_hub.models.ViTBackbone(
        name="backbone", image_shape=(32, SIDE, 3), patch_size=(8, 8), **sizes
    )
    return with_head(backbone, first_token)


def deit():
    backbone = keras_hub.models.DeiTBackbone(
        name="backbone", image_shape=(SIDE, SIDE, 3), patch_size=(8, 8), **SIZES
    )
    return with_head(backbone, first_token)


def dinov2(registers=2):
    backbone = keras_hub.models.DINOV2Backbone(
        name="backbone",
        patch_size=8,
        **SIZES,
        num_register_tokens=registers,
        image_shape=(SIDE, SIDE, 3),
        position_embedding_shape=(64, 64, 3),
    )
    return with_head(backbone, mean_token)


def clip_text():
    return keras_hub.models.CLIPTextEncoder(
        vocabulary_size=30,
        embedding_dim=8,
        **SIZES,
        max_sequence_length=7,
    )


def clip_vision():
    return keras_hub.models.CLIPVisionEncoder(
        name="backbone",
        patch_size=8,
        **SIZES,
        image_shape=(SIDE, SIDE, 3),
    )


def clip():
    return keras_hub.models.CLIPBackbone(
        vision_encoder=clip_vision(), text_encoder=clip_text(), projection_dim=6
    )


def bert():
    return keras_hub.models.BertBackbone(vocabulary_size=30, max_sequence_length=9, **SIZES)


def gpt2():
    return keras_hub.models.GPT2Backbone(vocabulary_size=30, max_sequence_length=9, **SIZES)


def efficientnet():
    backbone = keras_hub.models.EfficientNetBackbone(
        name="backbone",
        stackwise_kernel_sizes=[3, 3],
        stackwise_num_repeats=[1, 2],
        stackwise_input_filters=[8, 8],
        stackwise_output_filters=[8, 16],
        stackwise_expansion_ratios=[1, 4],
        stackwise_squeeze_and_excite_ratios=[0.0, 0.25],
        stackwise_strides=[1, 2],
        stackwise_block_types=["fused", "unfused"],
        stackwise_force_input_filters=[0, 0],
        stackwise_nores_option=[False, False],
        stackwise_width_coefficients=[1.0, 1.0],
        stackwise_depth_coefficients=[1.0, 1.0],
        input_shape=(SIDE, SIDE, 3),
    )
    return with_head(backbone, mean_place)


def mit():
    return keras_hub.models.MiTBackbone(
        image_shape=(64, 64, 3),
        num_layers=2,
        hidden_dims=[8, 16],
        layerwise_depths=[1, 1],
        layerwise_num_heads=[1, 2],
        layerwise_sr_ratios=[2, 1],
        layerwise_patch_sizes=[7, 3],
        layerwise_strides=[4, 2],
        max_drop_path_rate=0.0,
    )


def segformer():
    return with_head(
        keras_hub.models.SegFormerBackbone(name="backbone", image_encoder=mit(), projection_filters=8),
        mean_place,
    )


def vitdet():
    return keras_hub.models.ViTDetBackbone(
        name="backbone",
        hidden_size=8,
        num_layers=2,
        intermediate_dim=16,
        num_heads=2,
        global_attention_layer_indices=[1],
        patch_size=8,
        num_output_channels=8,
        window_size=2,
        image_shape=(SIDE, SIDE, 3),
    )


def sam_images():
    return with_head(vitdet(), mean_place)


def whisper():
    return keras_hub.models.WhisperBackbone(
        vocabulary_size=30, max_encoder_sequence_length=16, max_decoder_sequence_length=7, num_mels=5, **SIZES
    )


def autoencoder():
    from keras_hub.src.models.vae.vae_backbone import VAEBackbone

    return VAEBackbone(
        encoder_num_filters=[32, 32],
        encoder_num_blocks=[1, 1],
        decoder_num_filters=[32, 32],
        decoder_num_blocks=[1, 1],
        sampler_method="mode",
        sample_channels=4,
        image_shape=(32, 32, 3),
    )


def latents():
    """The model with which Stable Diffusion 3 makes an image of noise, a step of it: of latent maps, words and a time."""
    from keras_hub.src.models.stable_diffusion_3.mmdit import MMDiT

    return MMDiT(
        patch_size=2,
        hidden_dim=16,
        num_layers=2,
        num_heads=2,
        position_size=6,
        latent_shape=(8, 8, 4),
        context_shape=(None, 8),
        pooled_projection_shape=(6,),
        qk_norm="rms_norm",
        dual_attention_indices=(0,),
    )


def t5_encoder():
    """The third text encoder of Stable Diffusion 3."""
    from keras_hub.src.models.stable_diffusion_3.t5_encoder import T5Encoder

    return T5Encoder(vocabulary_size=30, **SIZES)


def stable_diffusion():
    """All parts of Stable Diffusion 3 in one model, that takes an image, latent maps, words and a number of steps."""
    from keras_hub.src.models.vae.vae_backbone import VAEBackbone

    def text(hidden_dim):
        sizes = SIZES | {"hidden_dim": hidden_dim}
        return keras_hub.models.CLIPTextEncoder(
            vocabulary_size=30,
            embedding_dim=hidden_dim,
            **sizes,
            max_sequence_length=7,
            intermediate_output_index=0,
            name=f"text_{hidden_dim}",
        )

    filters = {"encoder_num_filters": [32] * 4, "decoder_num_filters": [32] * 4}
    blocks = {"encoder_num_blocks": [1] * 4, "decoder_num_blocks": [1] * 4}
    return keras_hub.models.StableDiffusion3Backbone(
        mmdit_patch_size=2,
        mmdit_hidden_dim=16,
        mmdit_num_layers=2,
        mmdit_num_heads=2,
        mmdit_position_size=6,
        mmdit_qk_norm=None,
        mmdit_dual_attention_indices=None,
        vae=VAEBackbone(**filters, **blocks, sample_channels=8, name="vae"),
        clip_l=text(8),
        clip_g=text(4),
        latent_channels=4,
        image_shape=(32, 32, 3),
    )


def swin():
    return keras_hub.models.SwinTransformerBackbone(
        name="backbone",
        image_shape=(32, 32, 3),
        embed_dim=8,
        depths=(2, 2),
        num_heads=(2, 2),
        window_size=2,
        patch_size=4,
        drop_path=0.0,
    )


MODELS = {
    each.__name__: each
    for each in (
        *(autoencoder, bert, clip, clip_text, clip_vision, deit, dinov2, efficientnet, gpt2, mit, sam_images),
        *(latents, segformer, stable_diffusion, swin, t5_encoder, vit, whisper),
    )
}
