"""Every layer that Keras has, by what it takes: branches of a few models, so that one trace reaches them all."""

import keras
from keras import layers


def of_images():
    return (
        layers.Activation("swish"),
        layers.ActivityRegularization(0.1),
        layers.AdaptiveAveragePooling2D(2),
        layers.AdaptiveMaxPooling2D(2),
        layers.AlphaDropout(0.5),
        layers.AugMix(),
        layers.AutoContrast(),
        layers.AveragePooling2D(2),
        layers.BatchNormalization(),
        layers.CenterCrop(4, 4),
        layers.ContrastLimitedAdaptiveHistogramEqualization(value_range=(-1, 1), tile_grid_size=(2, 2)),
        layers.Conv2D(4, 3, activation="relu"),
        layers.Conv2DTranspose(4, 3, strides=2, activation="relu"),
        layers.Cropping2D(1),
        layers.CutMix(),
        layers.Dense(4, activation="gelu"),
        layers.DepthwiseConv2D(3, depth_multiplier=2, activation="relu"),
        layers.Dropout(0.5),
        layers.ELU(),
        layers.EinsumDense("bhwc,cd->bhwd", (None, None, 4), activation="relu"),
        layers.Flatten(),
        layers.GaussianDropout(0.5),
        layers.GaussianNoise(1.0),
        layers.GlobalAveragePooling2D(),
        layers.GlobalMaxPooling2D(keepdims=True),
        layers.GroupNormalization(groups=1),
        layers.Identity(),
        layers.Lambda(lambda image: image * 2),
        layers.LayerNormalization(),
        layers.LeakyReLU(),
        layers.MaxPooling2D(2),
        layers.MixUp(),
        layers.PReLU(),
        layers.Permute((3, 1, 2)),
        layers.RMSNormalization(),
        layers.RandAugment(),
        layers.RandomBrightness(0.5),
        layers.RandomColorDegeneration(0.5),
        layers.RandomColorJitter(),
        layers.RandomContrast(0.5),
        layers.RandomCrop(4, 4),
        layers.RandomElasticTransform(),
        layers.RandomErasing(),
        layers.RandomFlip(),
        layers.RandomGaussianBlur(),
        layers.RandomGrayscale(),
        layers.RandomHue(0.5),
        layers.RandomInvert(),
        layers.RandomPerspective(),
        layers.RandomPosterization(3),
        layers.RandomRotation(0.5),
        layers.RandomSaturation(0.5),
        layers.RandomSharpness(0.5),
        layers.RandomShear(0.5, 0.5),
        layers.RandomTranslation(0.5, 0.5),
        layers.RandomZoom(0.5),
        layers.ReLU(),
        layers.Rescaling(0.5, 1.0),
        layers.Reshape((-1, 3)),
        layers.Resizing(5, 7),
        layers.SeparableConv2D(4, 3, activation="relu"),
        layers.Softmax(),
        layers.Solarization(value_range=(-1, 1)),
        layers.SpatialDropout2D(0.5),
        layers.SpectralNormalization(layers.Conv2D(4, 3, name="normalized")),
        layers.UnitNormalization(),
        layers.UpSampling2D(2),
        layers.ZeroPadding2D(1),
    )


def of_sequences():
    return (
        lambda x: layers.Add()([x, x]),
        lambda x: layers.AdditiveAttention()([x, x]),
        lambda x: layers.Attention(use_scale=True)([x, x], return_attention_scores=True),
        lambda x: layers.Average()([x, x]),
        lambda x: layers.Concatenate()([x, x]),
        lambda x: layers.Dot(2)([x, x]),
        lambda x: layers.GroupQueryAttention(4, 4, 2)(x, x),
        lambda x: layers.Maximum()([x, x]),
        lambda x: layers.Minimum()([x, x]),
        lambda x: layers.MultiHeadAttention(2, 3)(x, x, return_attention_scores=True),
        lambda x: layers.MultiHeadAttention(2, 3)(x, x, use_causal_mask=True),
        lambda x: layers.Multiply()([x, x]),
        lambda x: layers.Subtract()([x, x]),
        layers.AdaptiveAveragePooling1D(2),
        layers.AdaptiveMaxPooling1D(2),
        layers.AveragePooling1D(2),
        layers.Bidirectional(layers.GRU(3, return_state=True)),
        layers.Bidirectional(layers.LSTM(3, return_sequences=True)),
        layers.Conv1D(4, 3, padding="causal", activation="relu"),
        layers.Conv1DTranspose(4, 3, activation="relu"),
        layers.Cropping1D(1),
        layers.DepthwiseConv1D(3, activation="relu"),
        layers.GRU(3, return_sequences=True, reset_after=False),
        layers.GlobalAveragePooling1D(),
        layers.GlobalMaxPooling1D(),
        layers.LSTM(3, return_state=True),
        layers.LSTM(3, return_sequences=True, go_backwards=True, unroll=True),
        layers.Masking(),
        layers.MaxPooling1D(2),
        layers.RNN(layers.GRUCell(3)),
        layers.RNN(layers.StackedRNNCells([layers.SimpleRNNCell(3), layers.LSTMCell(2)]), return_state=True),
        layers.SeparableConv1D(4, 3, activation="relu"),
        layers.SimpleRNN(3),
        layers.SpatialDropout1D(0.5),
        layers.TimeDistributed(keras.Sequential([layers.Dense(4, activation="relu"), layers.Dense(3)])),
        layers.UpSampling1D(2),
        layers.ZeroPadding1D(1),
    )


def of_volumes():
    return (
        layers.AdaptiveAveragePooling3D(2),
        layers.AdaptiveMaxPooling3D(2),
        layers.AveragePooling3D(2),
        layers.Conv3D(3, 2, activation="relu"),
        layers.Conv3DTranspose(3, 2, activation="relu"),
        layers.ConvLSTM2D(3, 2, return_sequences=True),
        layers.Cropping3D(1),
        layers.GlobalAveragePooling3D(),
        layers.GlobalMaxPooling3D(),
        layers.MaxPooling3D(2),
        layers.SpatialDropout3D(0.5),
        layers.TimeDistributed(layers.Conv2D(3, 2, activation="relu")),
        layers.UpSampling3D(2),
        layers.ZeroPadding3D(1),
    )


def of_vectors():
    return (
        layers.Discretization([0.0, 1.0]),
        layers.Normalization(mean=0.5, variance=2.0),
        layers.RepeatVector(3),
    )


def of_waves():
    return (
        layers.MelSpectrogram(16, 8, window=None, num_mel_bins=4, sampling_rate=100),
        lambda x: layers.STFTSpectrogram("log", 16, 8, fft_length=16, window=None)(x[..., None]),
    )


def of_integers():
    return (
        lambda x: layers.HashedCrossing(5)((x[:, :1], x[:, 1:2])),
        layers.CategoryEncoding(5),
        layers.Embedding(5, 3, mask_zero=True),
        layers.Hashing(4),
        layers.ReversibleEmbedding(5, 3),
    )


def of_lines_in_time():
    return (layers.ConvLSTM1D(3, 2),)


def of_volumes_in_time():
    return (layers.ConvLSTM3D(3, 2),)


BRANCHES = {
    of_images: ((6, 8, 3), "float32"),
    of_sequences: ((6, 4), "float32"),
    of_volumes: ((4, 5, 6, 2), "float32"),
    of_vectors: ((6,), "float32"),
    of_waves: ((64,), "float32"),
    of_integers: ((6,), "int32"),
    of_lines_in_time: ((4, 5, 2), "float32"),
    of_volumes_in_time: ((3, 4, 4, 4, 2), "float32"),
}
"""What gives the layers, and the shape and the dtype of what they take."""

NOT_TRIED = {
    **dict.fromkeys(("Layer", "Wrapper", "InputLayer"), "computes nothing"),
    **dict.fromkeys(
        ("IntegerLookup", "StringLookup", "TextVectorization"),
        "looks up in a table: its ids are the input, or it is refused",
    ),
    **dict.fromkeys(("FlaxLayer", "JaxLayer", "TorchModuleWrapper"), "wraps another framework's layer"),
    "Equalization": "Keras cannot put it into a functional model",
    "MaxNumBoundingBoxes": "takes boxes, not tensors",
    "Pipeline": "applies its layers one after the other, and has none of them in a functional model",
    "TFSMLayer": "wraps a SavedModel, which is a program",
}
"""The other layers of Keras, and why they are not here."""
