"""Every layer that Keras has, by what it takes: branches of a few models, so that one trace reaches them all."""

import keras
from keras import layers


def _two(layer, first, second):
    return lambda inputs: layer([inputs[first], inputs[second]])


def _dense_generator():
    return keras.Sequential([layers.Dense(4, name="inner")], name="per_step")


IMAGE = (
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
    layers.Conv2DTranspose(4, 3, strides=2),
    layers.Cropping2D(1),
    layers.CutMix(),
    layers.Dense(4, activation="gelu"),
    layers.DepthwiseConv2D(3, depth_multiplier=2),
    layers.Dropout(0.5),
    layers.ELU(),
    layers.EinsumDense("bhwc,cd->bhwd", (None, None, 4)),
    layers.Equalization(value_range=(-1, 1)),
    layers.Flatten(),
    layers.GaussianDropout(0.5),
    layers.GaussianNoise(1.0),
    layers.GlobalAveragePooling2D(),
    layers.GlobalMaxPooling2D(keepdims=True),
    layers.GroupNormalization(groups=1),
    layers.Identity(),
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
    layers.SeparableConv2D(4, 3),
    layers.Softmax(),
    layers.Solarization(value_range=(-1, 1)),
    layers.SpatialDropout2D(0.5),
    layers.SpectralNormalization(layers.Conv2D(4, 3, name="normalized")),
    layers.UnitNormalization(),
    layers.UpSampling2D(2),
    layers.ZeroPadding2D(1),
)
