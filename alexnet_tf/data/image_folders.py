"""Folders of images, `train/<class>/*` and `val/<class>/*` (or `validation/<class>/*`): their images, labels, names."""
import difflib
import hashlib
import os


def list_images(input_dir, log=print):
    """({class folder: label from 1}, {'train': [(path, label)], 'validation': …}) of an image folder.

    log: is told what may be a mistake: folders that are not read, classes without validation images.

    Raises: ValueError for a folder of another form.
    """
    if not os.path.isdir(input_dir):
        raise ValueError(f'--input_dir={input_dir} does not exist; give the folder that holds train/<class>/*.')
    folders = {}
    for name, split in ('train', 'train'), ('val', 'validation'), ('validation', 'validation'):
        root = os.path.join(input_dir, name)
        if os.path.isdir(root):
            folders.setdefault(split, []).extend(_visible(root))
    if 'train' not in folders:
        raise ValueError(f'{input_dir!r} has no folder train; needed are train/<class>/* and val/<class>/*.')
    if 'validation' not in folders:
        _look_for_validation(input_dir, log)
    labels = {folder.name: number for number, folder in enumerate(folders['train'], 1)}
    images = {split: [] for split in folders}
    for split, classes in folders.items():
        for folder in classes:
            found = _images(folder, labels)
            if split == 'train' and not found:
                raise ValueError(f'{folder.path!r} has no images: the network could not learn its class. Put some '
                                 'there, or remove the folder (and that of val).')
            images[split] += [(image.path, labels[folder.name]) for image in found]
        if not images[split]:
            raise ValueError(f'{input_dir!r} has no images for the split {split}; they must stand in a folder a class.')
    without = sorted(set(labels.values()) - {label for _, label in images.get('validation', ())})
    if without and 'validation' in images:
        names = [name for name, label in labels.items() if label in without]
        log(f'Note: val has no images of {len(names)} of the {len(labels)} classes of train: '
            f'{", ".join(names[:5])}{" …" if len(names) > 5 else ""}.')
    return labels, images


def _look_for_validation(input_dir, log):
    """Names the folders beside train. Raises: ValueError for one that is meant to be val by its name."""
    others = [folder.name for folder in _visible(input_dir) if folder.is_dir() and folder.name != 'train']
    for name in others:
        if difflib.get_close_matches(name.lower(), ('val', 'validation'), cutoff=0.7):
            raise ValueError(f'{os.path.join(input_dir, name)!r} is not read: the folder of validation images must be '
                             'called val or validation. Rename it, or move it away to have no validation split.')
    beside = f' Not read: {", ".join(others)}.' if others else ''
    log(f'Note: {input_dir} has no folder val or validation, so there will be no validation split.{beside}')


def _images(folder, labels):
    """The images in a class folder, as os.scandir has them. Raises: ValueError for what is no class or no image."""
    if not folder.is_dir():
        raise ValueError(f'{folder.path!r} is not in a class folder; move or remove it. (ImageNet is read from '
                         'its archives: --imagenet_archives.)')
    if folder.name not in labels:
        raise ValueError(f'{folder.path!r} is a class that train has not; rename or remove it.')
    if not folder.name.isprintable():
        raise ValueError(f'class folder {folder.name!r} has control characters in its name; rename it.')
    images = _visible(folder.path)
    for image in images:
        if image.is_dir():
            raise ValueError(f'{image.path!r} is a folder within a class; images must stand directly in <class>/.')
    return images


def _visible(folder):
    """os.scandir's entries without hidden ones, sorted by name."""
    return sorted((entry for entry in os.scandir(folder) if entry.name[0] != '.'), key=lambda entry: entry.name)


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
    """A hash of all paths within input_dir, with splits and labels; images: as `list_images` has them.

    Members of an archive count as the files that they would be unpacked to.
    """
    digest = hashlib.sha256()
    for split, listed in sorted(images.items()):
        for path, label in listed:
            name = os.fsencode(os.path.relpath(path, input_dir) if isinstance(path, str) else str(path))
            digest.update(b'%s\0%s\0%d\n' % (split.encode(), name, label))
    return digest.hexdigest()
