"""Folders of images, `train/<class>/*` and `val/<class>/*` (or `validation/<class>/*`): their images, labels, names."""
import hashlib
import os

SPLITS = {'train': 'train', 'val': 'validation', 'validation': 'validation'}


def list_images(input_dir):
    """({class folder: label from 1}, {'train': [(path, label)], 'validation': …}) of an image folder.

    Raises: ValueError for a folder of another form.
    """
    found = {}
    for folder, split in SPLITS.items():
        root = os.path.join(input_dir, folder)
        if os.path.isdir(root):
            found.setdefault(split, []).extend((root, entry.name) for entry in _visible(root))
    if 'train' not in found:
        raise ValueError(f'{input_dir!r} has no folder train; needed are train/<class>/* and val/<class>/*.')
    names = sorted({name for _, name in found['train']})
    for folders in found.values():
        for root, name in folders:
            _check_class(root, name, names)
    labels = {name: number for number, name in enumerate(names, 1)}
    images = {split: [(path, labels[name]) for root, name in sorted(folders)
                      for path in _files(os.path.join(root, name))] for split, folders in found.items()}
    empty = sorted(set(labels.values()) - {label for _, label in images['train']})
    if empty:
        folder = os.path.join(input_dir, 'train', names[empty[0] - 1])
        raise ValueError(f'{folder!r} has no images: the network could not learn its class. Put some there, or remove '
                         'the folder (and that of val).')
    for split, listed in images.items():
        if not listed:
            raise ValueError(f'{input_dir!r} has no images for the split {split}; they must stand in a folder a class.')
    return labels, images


def _check_class(root, name, names):
    if not os.path.isdir(os.path.join(root, name)):
        raise ValueError(f'{os.path.join(root, name)!r} is not in a class folder; move or remove it. (ImageNet '
                         'unpacks its validation images into one folder; sort them into classes first.)')
    if name not in names:
        raise ValueError(f'{root} has a class {name!r} that train has not; rename or remove it.')
    if not name.isprintable():
        raise ValueError(f'class folder {name!r} has control characters in its name; rename it.')


def _visible(folder):
    """os.scandir's entries without hidden ones, sorted by name."""
    entries = [entry for entry in os.scandir(folder) if not entry.name.startswith('.')]
    return sorted(entries, key=lambda entry: entry.name)


def _files(folder):
    """Paths of a class folder's images, sorted. Hidden files are no images, folders are an error."""
    entries = _visible(folder)
    for entry in entries:
        if entry.is_dir():
            raise ValueError(f'{entry.path!r} is a folder within a class; images must stand directly in <class>/.')
    return [entry.path for entry in entries]


def read_names(path, classes):
    """{class folder: readable name} from a file of lines `folder name`; None: the folders' names.

    Raises: ValueError for a file that cannot be read, or lacks a class.
    """
    if not path:
        return {name: name for name in classes}
    try:
        with open(path, encoding='utf-8') as file:
            names = dict(line.strip().split(None, 1) for line in file if len(line.split()) > 1)
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f'cannot read --synset_names={path}: {error}') from error
    for folder, name in names.items():
        if not name.isprintable():
            raise ValueError(f'{path} has control characters in {folder!r} {name!r}; remove them.')
    missing = sorted(set(classes) - set(names))
    if missing:
        raise ValueError(f"{path} has no line for {', '.join(missing[:5])}; needed is a line 'folder name' "
                         'for every class.')
    return {folder: names[folder] for folder in classes}


def fingerprint(input_dir, images):
    """A hash of all paths within input_dir, with splits and labels; images: as `list_images` has them."""
    digest = hashlib.sha256()
    for split in sorted(images):
        for path, label in images[split]:
            name = os.fsencode(os.path.relpath(path, input_dir))
            digest.update(b'%s\0%s\0%d\n' % (split.encode(), name, label))
    return digest.hexdigest()
