"""Which pixels of the images a value of a layer depends on, by the network's table."""
from nets import rows


def field(table, name, size, place):
    """The pixels that the value at a place of a row's maps depends on, along one axis.

    Args:
      table: resolved rows. name: of the row. size: of the images, pixels. place: index in the row's maps.

    Normalization over maps depends on the same place of other maps, and so on the same pixels.

    Returns: (first pixel, one behind the last); what lies outside of the images is cut off.
    """
    sizes, chain = [size], []
    for walked in rows.walk(table, size, size):
        chain.append(walked.row)
        sizes.append(walked.shape[0])
        if walked.row.name == name:
            break
    first, end = place, place + 1
    for row, inputs, outputs in zip(reversed(chain), reversed(sizes[:-1]), reversed(sizes[1:])):
        first, end = _before(row, first, end, inputs, outputs)
    return max(first, 0), min(end, size)


def _before(row, first, end, inputs, outputs):
    """The range of a row's input places that its outputs from first to end depend on."""
    if isinstance(row, rows.GlobalPool):
        return 0, inputs
    if isinstance(row, rows.SpatialNorm):
        return first - row.size // 2, end + row.size // 2
    if not isinstance(row, (rows.Conv, rows.MaxPool)):
        return first, end
    window = row.kernel if isinstance(row, rows.Conv) else row.size
    start = first * row.stride - _padding(row, inputs, outputs)
    return start, (end - 1) * row.stride - _padding(row, inputs, outputs) + window


def _padding(row, inputs, outputs):
    """Places that are added before the first."""
    if isinstance(row, rows.MaxPool) or row.padding == 'VALID':
        return 0
    if row.padding == 'SAME':  # as TensorFlow shares them out: the odd one behind the last
        return max((outputs - 1) * row.stride + row.kernel - inputs, 0) // 2
    return row.padding[0]
