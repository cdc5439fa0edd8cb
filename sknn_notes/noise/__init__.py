"""Random noise on the inputs, drawn for each batch: one class each.

``NOISES`` registers them. Gaussian noise works on any features, the others on flattened
images. Pooling and crops change the number of features.
"""

from sknn_notes.noise._base import ImageNoise, Noise
from sknn_notes.noise._gaussian import GaussianNoise
from sknn_notes.noise._images import RandomCrop, RandomFlip, RandomShift
from sknn_notes.noise._pooling import FractionalMaxPooling, StochasticPooling

__all__ = [
    "NOISES",
    "FractionalMaxPooling",
    "GaussianNoise",
    "ImageNoise",
    "Noise",
    "RandomCrop",
    "RandomFlip",
    "RandomShift",
    "StochasticPooling",
]

NOISES: dict[str, type[Noise]] = {
    "fractional_max_pooling": FractionalMaxPooling,
    "gaussian_noise": GaussianNoise,
    "random_crop": RandomCrop,
    "random_flip": RandomFlip,
    "random_shift": RandomShift,
    "stochastic_pooling": StochasticPooling,
}
