"""Sizes in pixels: of crops, and of the squares that they are taken from."""


def square_side(size):
    """Side of the square from which crops of `size` are taken: 256 for 224 and Caffe's 227, else in proportion."""
    return 256 if size == 227 else round(size * 256 / 224)


def check_resize_side_max(resize_side_max, size):
    """Raises ValueError when squares of at most resize_side_max (None: no jitter) have no room for crops of size."""
    if resize_side_max and resize_side_max < square_side(size):
        raise ValueError(f'--resize_side_max={resize_side_max}; for crops of {size} pixels it must be at least '
                         f'{square_side(size)}.')
