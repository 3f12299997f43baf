"""ImageNet (ILSVRC-2012) in the archives that people download: their images, labels and names, without unpacking."""
import concurrent.futures
import os

from alexnet_tf.data import development_kit, tar_members

TRAIN, VALIDATION = 'ILSVRC2012_img_train.tar', 'ILSVRC2012_img_val.tar'
KIT = 'ILSVRC2012_devkit_t12.tar.gz'
CLASSES, IMAGES = development_kit.CLASSES, {'train': 1_281_167, 'validation': 50_000}


def list_images(folder, allow_partial=False, log=print):
    """({class folder: readable name}, {'train': [(Member, label from 1)], 'validation': …}) of ImageNet's archives.

    Classes, labels and the order of the images are those of `image_folders.list_images` where the archives are unpacked
    as train/<class>/* and val/<class>/*.

    Args:
      folder: holds TRAIN, VALIDATION and KIT.
      allow_partial: take fewer classes and images than ImageNet has.

    Raises: ValueError for archives that are missing, damaged, hostile, or hold something else.
    """
    train, validation, kit = (os.path.join(folder, name) for name in (TRAIN, VALIDATION, KIT))
    missing = [path for path in (train, validation, kit) if not os.path.exists(path)]
    if missing:
        raise ValueError(f'--imagenet_archives={folder} lacks {", ".join(map(os.path.basename, missing))}; put '
                         f'{TRAIN}, {VALIDATION} and {KIT} there, by these names, as https://image-net.org has them.')
    names, truth = development_kit.read(kit)
    found = _train(train, names)
    names = {name: names[name] for name in sorted(found)}
    labels = {name: label for label, name in enumerate(names, 1)}
    images = {'train': [(member, labels[name]) for name in names for _, member in sorted(found[name].items())],
              'validation': _validation(validation, truth, labels, log)}
    _check_counts(images, len(names), allow_partial, folder)
    log(f'{folder}: ' + ', '.join(f'{len(listed)} {split} images' for split, listed in images.items())
        + f' of {len(names)} classes.')
    return names, images


def _train(path, names):
    """{class folder: {file name: Member}} of the archive of archives."""
    classes = {}
    for name, member in tar_members.index(path).items():
        stem, ending = os.path.splitext(name)
        if stem not in names or ending != '.tar':
            raise ValueError(f'{path} has {name!r}, which is no archive of a class of the development kit '
                             '(n01440764.tar, …). Download both again.')
        classes[stem] = member
    with concurrent.futures.ThreadPoolExecutor(16) as pool:  # hides the latency of storage
        indexes = pool.map(lambda item: tar_members.index(path, outer=item[1], name=f'{item[0]}.tar',
                                                          folder=f'train/{item[0]}'), classes.items())
        found = dict(zip(classes, indexes))
    for name, members in found.items():
        if not members:
            raise ValueError(f'{path}: {name}.tar has no images. Download it again.')
    return found


def _validation(path, truth, labels, log):
    """[(Member, label)] of the archive of validation images, in the order of the class folders."""
    numbers = {f'ILSVRC2012_val_{number:08d}.JPEG': name for number, name in enumerate(truth, 1)}
    chosen, left_out = [], 0
    for name, member in tar_members.index(path).items():
        if name not in numbers:
            raise ValueError(f'{path} has {name!r}, of which the development kit does not know the class; images must '
                             f'be called ILSVRC2012_val_00000001.JPEG to {len(truth):08d}. Download both again.')
        if numbers[name] in labels:
            folder = numbers[name]
            chosen.append((member._replace(path=f'val/{folder}/{name}'), labels[folder]))
        else:
            left_out += 1
    if left_out:
        log(f'Note: {left_out} validation images are of classes that {TRAIN} has not; they are left out.')
    if not chosen:
        raise ValueError(f'{path} has no images of the classes of {TRAIN}.')
    return sorted(chosen)


def _check_counts(images, classes, allow_partial, folder):
    wrong = [f'{len(images[split])} {split} images instead of {count}' for split, count in IMAGES.items()
             if len(images[split]) != count]
    wrong += [f'{classes} classes instead of {CLASSES}'] if classes != CLASSES else []
    if wrong and not allow_partial:
        raise ValueError(f'{folder}: {", ".join(wrong)}. Download again what is not whole, or take what is there with '
                         '--allow_partial.')
