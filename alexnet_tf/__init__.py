"""Training, evaluating and exporting the networks of `nets`: records, preprocessing, steps, checkpoints."""
