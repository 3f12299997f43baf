"""Trained weights from elsewhere, as a checkpoint of this project.

    python -m alexnet_tf.import_weights --source=bvlcalexnet-12.onnx --output_dir=runs/caffe --class_names=names.txt
    python eval_image_classifier.py --checkpoint_path=runs/caffe --dataset_dir=records

Sources, told apart by their content:
  ONNX          Caffe's bvlc_alexnet, for 227 pixels or with padded pools for 224 (at 227 it is the same network);
                needs the package onnx, and with onnxruntime logits are compared
  .caffemodel   the same, of old and new Caffe
  .npy, .npz    the same, converted: {layer: [weights, biases]} pickled, or arrays conv1_W, conv1_b or conv1/weights, …
  .npz, ONNX    written by `python -m alexnet_tf.export --to=npz`, `--to=onnx`
  checkpoint    TF1, of slim's alexnet_v2 or of this project: a file, or a folder (its latest)
Caffe's networks see B, G, R. A file does not say so; it is assumed of all but the last two. An .npy or .npz does not
say either whether it is of AlexNet or of CaffeNet, whose weights have the same names and shapes: give AlexNet's.
"""
from absl import flags

from alexnet_tf.console import command, flag_table
from alexnet_tf.console.flag_table import Flag
from alexnet_tf.console.loading import load_tensorflow
from alexnet_tf.weights import arguments

FLAGS = flags.FLAGS
ROWS = (
    Flag('source', str, None, 'Required: ONNX, .caffemodel, .npy, .npz or a TF1 checkpoint.', required=True,
         check_path=arguments.check_source),
    Flag('output_dir', str, None, 'Required: folder for model.ckpt-0 and model.json.', required=True,
         check_path=arguments.check_output),
    Flag('variant', str, 'paper', 'Variant of an alexnet checkpoint that has no model.json.',
         choices=('paper', 'source', 'caffe')),
    Flag('class_names', str, None, "Text file with one class name a line, in the network's order. Default: numbers."),
)


def main():
    flag_table.check_paths(ROWS)
    names = arguments.read_class_names(FLAGS.class_names) if FLAGS.class_names else None
    load_tensorflow()
    from alexnet_tf.weights import checkpoint_files, reading
    loaded, kind, proto = reading.read(FLAGS.source, class_names=names, variant=FLAGS.variant)
    spec = loaded.spec
    if FLAGS['variant'].present and spec.variant != FLAGS.variant:
        raise ValueError(f'--variant={FLAGS.variant}, but {FLAGS.source} says itself that it is of {spec.model_name}, '
                         f'variant {spec.variant}; leave the flag out.')
    if proto is not None:
        from alexnet_tf.weights import onnx_graph  # onnx
        onnx_graph.compare(loaded.model, proto)
    path = checkpoint_files.write(loaded, FLAGS.output_dir)
    mean = 'a mean image' if isinstance(spec.mean, str) else f'mean RGB {tuple(round(value, 2) for value in spec.mean)}'
    variant = f' ({spec.variant})' if spec.model_name == 'alexnet' else ''
    print(f'Made {path} of {FLAGS.source} ({kind}): {spec.model_name}{variant}, {spec.num_classes} classes, '
          f'{spec.image_size} pixels, resize_mode {spec.resize_mode}, {mean}.\n'
          f'Next: python eval_image_classifier.py --checkpoint_path={FLAGS.output_dir} --dataset_dir=RECORDS')


def cli():
    command.run('import_weights', main, ROWS)


if __name__ == '__main__':
    cli()
