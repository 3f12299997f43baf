"""ImageNet's archives in the layout of the real ones, made of a few images of one's own."""
import io
import tarfile
from pathlib import Path

TRAIN, VALIDATION = 'ILSVRC2012_img_train.tar', 'ILSVRC2012_img_val.tar'
KIT = 'ILSVRC2012_devkit_t12.tar.gz'
FIELDS = ('ILSVRC2012_ID', 'WNID', 'words', 'gloss', 'num_children', 'children', 'wordnet_height', 'num_train_images')


def tar(path, files, mode='w'):
    """A tar archive; files: {name: bytes, or the tarfile.TarInfo of something else}."""
    with tarfile.open(path, mode, format=tarfile.GNU_FORMAT) as archive:
        for name, content in files.items():
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(content) if isinstance(content, bytes) else info.size
            archive.addfile(info, io.BytesIO(content if isinstance(content, bytes) else b''))


def tar_bytes(files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode='w', format=tarfile.GNU_FORMAT) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def meta_mat(synsets):
    """The kit's meta.mat: a struct array of one column. synsets: [(number, wnid, words)]; above 1000: inner nodes."""
    import numpy as np
    import scipy.io
    stored = np.zeros([len(synsets), 1], [(field, object) for field in FIELDS])
    for row, (number, wnid, words) in zip(stored[:, 0], synsets):
        tree = (2.0, np.array([[1.0, 2.0]]), 3.0, 0.0) if number > 1000 else (0.0, np.zeros([1, 0]), 0.0, 1300.0)
        for field, value in zip(FIELDS, (float(number), wnid, words, f'what {words} means', *tree)):
            row[field] = value
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, {'synsets': stored}, do_compression=True)
    return buffer.getvalue()


def kit(path, synsets, truth):
    """truth: the class number of each validation image."""
    root = 'ILSVRC2012_devkit_t12'
    folder = tarfile.TarInfo(f'{root}/data')
    folder.type = tarfile.DIRTYPE
    tar(path, {'data': folder, f'{root}/readme.txt': b'Introduction', f'{root}/data/meta.mat': meta_mat(synsets),
               f'{root}/data/ILSVRC2012_validation_ground_truth.txt': ''.join(f'{each}\n' for each in truth).encode()},
        'w:gz')


def write(folder, train, validation, synsets):
    """The three archives. train: {wnid: {file name: bytes}}; validation: [(wnid, bytes)] of image 1, 2, …"""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    numbers = {wnid: number for number, wnid, _ in synsets}
    tar(folder / TRAIN, {f'{wnid}.tar': tar_bytes(images) for wnid, images in train.items()})
    tar(folder / VALIDATION, {validation_name(number): image for number, (_, image) in enumerate(validation, 1)})
    kit(folder / KIT, synsets, [numbers[wnid] for wnid, _ in validation])
    return folder


def unpack(folder, train, validation, synsets):
    """The same as an image folder, with synsets.txt beside it."""
    folder = Path(folder)
    files = {f'train/{wnid}/{name}': image for wnid, images in train.items() for name, image in images.items()}
    files |= {f'val/{wnid}/{validation_name(number)}': image for number, (wnid, image) in enumerate(validation, 1)}
    for name, image in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(image)
    (folder / 'synsets.txt').write_text(''.join(f'{wnid} {words}\n' for _, wnid, words in synsets), encoding='utf-8')
    return folder


def validation_name(number):
    return f'ILSVRC2012_val_{number:08d}.JPEG'
