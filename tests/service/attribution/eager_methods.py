"""Every method once more, by `GradientTape` and loops, from the papers and nothing of ours."""

import numpy as np
import tensorflow as tf


def relu(values):
    return np.maximum(values, 0)


def at_layer(example, images):
    """The layer's values, and the gradient of the score by them."""
    values = tf.convert_to_tensor(example.before(images))
    with tf.GradientTape() as tape:
        tape.watch(values)
        score = example.after(values, images)[:, example.target]
    return values.numpy(), tape.gradient(score, values).numpy()


def at_image(example, images):
    images = tf.convert_to_tensor(images)
    with tf.GradientTape() as tape:
        tape.watch(images)
        score = example.scores(images)
    return tape.gradient(score, images).numpy()


def gradcam(example, images):
    maps, gradients = at_layer(example, images)
    return relu((gradients.mean((1, 2), keepdims=True) * maps).sum(-1))


def gradcam_plus_plus(example, images):
    maps, gradients = (values.astype(np.float64) for values in at_layer(example, images))
    result = np.zeros(maps.shape[:3])
    for image in range(len(maps)):
        for channel in range(maps.shape[-1]):
            grown, gradient = maps[image, ..., channel], gradients[image, ..., channel]
            weight = 0
            for place in np.ndindex(gradient.shape):
                below = 2 * gradient[place] ** 2 + grown.sum() * gradient[place] ** 3
                weight += gradient[place] ** 2 / below * max(gradient[place], 0) if below else 0
            result[image] += weight * grown
    return relu(result)


def hirescam(example, images):
    maps, gradients = at_layer(example, images)
    return (maps * gradients).sum(-1)


def layercam(example, images):
    maps, gradients = at_layer(example, images)
    return relu((maps * relu(gradients)).sum(-1))


def eigencam(example, images):
    result = []
    for maps in np.asarray(example.before(images)):
        _, _, directions = np.linalg.svd(maps.reshape(-1, maps.shape[-1]), full_matrices=False)
        projected = maps @ directions[0]
        result.append(projected if projected.sum() >= 0 else -projected)
    return np.stack(result)


def scorecam(example, images, top=None):
    """By the `top` channels that vary most, or by all."""
    result = []
    for image, maps in zip(images, np.asarray(example.before(images)), strict=True):
        kept, scores = [], []
        for channel in np.argsort(-maps.std((0, 1), dtype=np.float64), kind="stable")[:top]:
            grown = maps[..., channel]
            if grown.max() == grown.min():
                continue
            mask = (grown - grown.min()) / (grown.max() - grown.min())
            mask = tf.image.resize(mask[..., None], image.shape[:2], "bilinear").numpy()
            kept.append(grown)
            scores.append(float(example.scores((image * mask)[None])[0]))
        weights = tf.nn.softmax(scores).numpy() if scores else []
        start = np.zeros(maps.shape[:2])
        result.append(relu(sum((w * grown for w, grown in zip(weights, kept, strict=True)), start)))
    return np.stack(result)


def saliency(example, images):
    return np.abs(at_image(example, images)).max(-1)


def smoothgrad(example, images, samples=25, noise=0.15, seed=0):
    result = []
    for image in images:
        versions = [
            image
            + noise
            * (image.max() - image.min())
            * np.random.default_rng((seed, number)).standard_normal(image.shape, np.float32)
            for number in range(samples)
        ]
        gradients = at_image(example, np.stack(versions).astype(np.float32))
        result.append(np.abs(gradients.mean(0)).max(-1))
    return np.stack(result)


def integrated_gradients(example, images, steps=50, baseline=-1.0):
    total = np.zeros_like(images)
    for step in range(steps):
        total += at_image(example, baseline + (step + 0.5) / steps * (images - baseline))
    return ((images - baseline) * total / steps).sum(-1)


def occlusion(example, images):
    """By what the output itself gives."""
    return occlusion_of(lambda versions: outputs(example, versions), images, patch=2, stride=2, cover=0.0)


def occlusion_of(model, images, patch, stride, cover):
    """How much less a model gives, a number an image, where patches are covered; the last ones reach the border."""
    whole = model(images)
    drops, covers = np.zeros(images.shape[:3]), np.zeros(images.shape[:3])
    height, width = images.shape[1:3]
    for top in range(0, height - patch + stride, stride):
        for left in range(0, width - patch + stride, stride):
            window = np.s_[:, top : top + patch, left : left + patch]
            covered = images.copy()
            covered[window] = cover
            drops[window] += (whole - model(covered))[:, None, None]
            covers[window] += 1
    return drops / np.maximum(covers, 1)


def outputs(example, images):
    found = example.model(images)
    if example.options:
        found = found[example.options["output"]]
    found = np.asarray(found, np.float64)
    if example.options.get("output") == "sure":
        found = np.concatenate([1 - found, found], 1)
    chosen = found[..., example.target]
    return chosen.reshape(len(images), -1).sum(1)


METHODS = {
    "gradcam": gradcam,
    "gradcam++": gradcam_plus_plus,
    "hirescam": hirescam,
    "layercam": layercam,
    "eigencam": eigencam,
    "scorecam": scorecam,
    "saliency": saliency,
    "smoothgrad": smoothgrad,
    "integrated-gradients": integrated_gradients,
    "occlusion": occlusion,
}
