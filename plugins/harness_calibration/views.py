"""Fixed and random changes of small grey images (n, height, width) with values around [0, 1]."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from harness_calibration.metrics import Array


def rotate(images: Array, degrees: float | Array) -> Array:
    """Turn each image counter-clockwise about its centre, bilinear, zeros from outside.

    Args:
        degrees: one angle for all images, or one an image (n,).
    """
    n, height, width = images.shape
    angle = np.deg2rad(np.broadcast_to(np.asarray(degrees, dtype=np.float64), (n,)))[:, None, None]
    rows, columns = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    down, right = rows - (height - 1) / 2, columns - (width - 1) / 2
    source_row = np.cos(angle) * down + np.sin(angle) * right + (height - 1) / 2
    source_column = -np.sin(angle) * down + np.cos(angle) * right + (width - 1) / 2
    top, left = np.floor(source_row).astype(int), np.floor(source_column).astype(int)
    lower, farther = source_row - top, source_column - left
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    index = np.arange(n)[:, None, None]

    def pixel(row: Array, column: Array) -> Array:
        # The border of zeros stands for everything outside.
        picked: Array = padded[index, np.clip(row + 1, 0, height + 1), np.clip(column + 1, 0, width + 1)]
        return picked

    upper_part = (1 - farther) * pixel(top, left) + farther * pixel(top, left + 1)
    lower_part = (1 - farther) * pixel(top + 1, left) + farther * pixel(top + 1, left + 1)
    turned: Array = ((1 - lower) * upper_part + lower * lower_part).astype(images.dtype)
    return turned


def rotate15(images: Array) -> Array:
    """A turn by +15 degrees."""
    return rotate(images, 15.0)


def blur(images: Array) -> Array:
    """The mean of each pixel's 3x3 neighbourhood, zeros outside."""
    height, width = images.shape[1:]
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    parts = [padded[:, r : r + height, c : c + width] for r in range(3) for c in range(3)]
    mean: Array = (np.sum(parts, axis=0) / 9).astype(images.dtype)
    return mean


def fade(images: Array) -> Array:
    """Contrast times 0.6 and brightness plus 0.1."""
    faded: Array = (0.6 * images + 0.1).astype(images.dtype)
    return faded


FIXED: dict[str, Callable[[Array], Array]] = {"rotate": rotate15, "blur": blur, "fade": fade}
