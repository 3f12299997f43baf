"""The two splits that a training run reads."""
from alexnet_tf.data import datasets


def open_splits(folder, split, validation_split, *, labels_offset=None, default_num_classes=None, max_bad_records=0):
    """(training Dataset, validation Dataset or None).

    Args:
      validation_split: its name; '' or None for none. Others: see open_dataset.

    Raises: ValueError when one cannot be opened, or their classes differ.
    """
    dataset = datasets.open_dataset(folder, split, labels_offset=labels_offset,
                                    default_num_classes=default_num_classes, max_bad_records=max_bad_records)
    if not validation_split:
        return dataset, None
    try:
        validation = datasets.open_dataset(folder, validation_split, labels_offset=dataset.labels_offset,
                                           default_num_classes=default_num_classes, max_bad_records=max_bad_records)
    except ValueError as error:
        raise ValueError(f'the validation split: {error} Another split can be named with --validation_split_name; to '
                         'train without any: --validation_split_name= --learning_rate_decay_type=fixed.') from error
    if validation.class_names != dataset.class_names:
        raise ValueError(f'in {folder} the splits {dataset.split} and {validation.split} have different classes '
                         f'({dataset.num_classes} and {validation.num_classes}); put a labels.txt beside the shards '
                         "(a line 'label:name' a class).")
    return dataset, validation
