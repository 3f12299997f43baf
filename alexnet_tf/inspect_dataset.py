"""What is in a folder of records: classes, sizes, damage, statistics, and a picture of what training sees.

    python -m alexnet_tf.inspect_dataset records --contact_sheet=sheet.png

reads every record of every split, of any folder that training reads.
"""
import csv
import io
import os

from absl import flags

from alexnet_tf.console import command, flag_table
from alexnet_tf.console.flag_table import LARGEST, SET, Flag
from alexnet_tf.console.loading import load_tensorflow
from alexnet_tf.files import places, writing
from alexnet_tf.pictures import figures

FLAGS = flags.FLAGS
ROWS = (
    Flag('dataset_dir', str, None, 'Required: folder of records; may be given without the name.', required=True,
         check_path=places.check_records),
    Flag('splits', list, [], 'Splits to read, with commas between. Default: all that are there.'),
    Flag('labels_offset', int, None, 'Subtracted from stored labels, as in training. Default: so that the first class '
         'becomes 0.', 0),
    Flag('decode', bool, False, 'Decode every image, which also finds damage within images.'),
    Flag('csv', str, None, 'File for the number of images of each class.'),
    Flag('contact_sheet', str, None, 'File for a picture of training examples, before and after augmentation.'),
    Flag('examples', int, 8, 'Examples in the picture.', 1, 64, works_with=(('contact_sheet', SET),)),
    Flag('seed', int, 0, 'Of the training whose first examples are drawn.', 0, 2 ** 32 - 1,
         works_with=(('contact_sheet', SET),)),
)


def main():
    flag_table.check_effects(ROWS)
    if FLAGS.csv:
        _check_csv(FLAGS.csv)
    if FLAGS.contact_sheet:
        figures.check(FLAGS.contact_sheet, 'contact_sheet')
    flag_table.check_paths(ROWS)
    load_tensorflow()
    from alexnet_tf.data import datasets, inspection
    opened = []
    for split in dict.fromkeys(FLAGS.splits) or datasets.splits(FLAGS.dataset_dir):
        offset = opened[0].labels_offset if opened else FLAGS.labels_offset
        opened.append(datasets.open_dataset(FLAGS.dataset_dir, split, labels_offset=offset, max_bad_records=LARGEST,
                                            log=lambda line: None))
        if not opened[-1].num_classes:
            raise ValueError(f'--labels_offset={FLAGS.labels_offset} leaves no class of {FLAGS.dataset_dir}.')
        if opened[-1].class_names != opened[0].class_names:
            raise ValueError(f'the splits {opened[0].split} and {split} of {FLAGS.dataset_dir} have different classes; '
                             'choose one of them with --splits.')
    if FLAGS.contact_sheet:
        drawn = next((dataset for dataset in opened if dataset.split == 'train'), opened[0])
        draw(drawn)
    surveys = [inspection.survey(dataset, decode=FLAGS.decode) for dataset in opened]
    print('\n'.join(inspection.describe(surveys)))
    if FLAGS.csv:
        text = io.StringIO()
        csv.writer(text, lineterminator='\n').writerows(
            [('label', 'class', *(dataset.split for dataset in opened)), *inspection.rows(surveys)])
        writing.write_text(FLAGS.csv, text.getvalue())
        print(f'The images of each class are in {FLAGS.csv}.')


def draw(dataset):
    from alexnet_tf.pictures import contact_sheet
    with figures.style():
        figures.save(contact_sheet.draw(dataset, seed=FLAGS.seed, count=FLAGS.examples), FLAGS.contact_sheet)
    print(f'The contact sheet is in {FLAGS.contact_sheet}.')


def _check_csv(path):
    if os.path.isdir(path) or not os.path.splitext(path)[1]:
        raise ValueError(f'--csv={path} must be the name of a file, with an ending such as .csv.')
    writing.check_writable(os.path.dirname(path) or '.', 'csv')


def cli():
    command.run('inspect_dataset', main, ROWS, 'dataset_dir')


if __name__ == '__main__':
    cli()
