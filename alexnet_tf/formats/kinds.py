"""The other formats that `export --to` can make, and what each needs."""
import importlib.util

PRECISIONS = {'litert': 'float32', 'litert_float16': 'float16', 'litert_int8': 'int8'}
PACKAGES = {'onnx': 'onnx', 'safetensors': 'safetensors'}  # to: the package that writes it
KINDS = (*PRECISIONS, *PACKAGES)
CALIBRATION_IMAGES = 200


def check_package(to):
    """Raises ValueError where the package that writes such a file is missing."""
    package = PACKAGES.get(to)
    if package and importlib.util.find_spec(package) is None:
        raise ValueError(f'--to={to} needs the package {package}; pip install {package}, and export again.')


def write(loaded, folder, to, *, calibration_dir=None):
    """Writes a loading.Loaded into a folder as one of KINDS, and returns the file's path.

    calibration_dir: for litert_int8, records whose training images give the ranges of activations.

    Raises: ValueError for a calibration_dir without records, OSError when the file cannot be written.
    """
    if to in PRECISIONS:
        from alexnet_tf.formats import calibration, litert
        images = calibration.images(calibration_dir, loaded.spec, CALIBRATION_IMAGES) if calibration_dir else ()
        return litert.write(loaded, folder, PRECISIONS[to], images)
    if to == 'onnx':
        from alexnet_tf.formats import onnx_file as writer
    else:
        from alexnet_tf.formats import safetensors_file as writer
    return writer.write(loaded, folder)
