"""What `python -m nets.alexnet` prints: every table with its shapes, parameters and multiply-adds."""
from nets import alexnet, rows, towers


def print_all():
    """Prints the tables of all networks, then what crosses between two devices."""
    for variant, table in alexnet.VARIANTS.items():
        _print_table(f'alexnet, variant {variant}', table, alexnet.IMAGE_SIZES[variant])
    _print_table('alexnet_v2', alexnet.ALEXNET_V2, 224)
    for variant, table in alexnet.VARIANTS.items():
        size = alexnet.IMAGE_SIZES[variant]
        crossing = towers.exchanged(rows.resolve(table, 1000), size, size)
        print(f'{variant} on two devices, bytes per image that cross each way: '
              + ', '.join(f'{layer} {count:,}' for layer, count in crossing.items()))


def _print_table(name, table, size):
    walked = list(rows.walk(rows.resolve(table, 1000), size, size))
    print(f'{name}: {size}x{size}x3 images, 1000 classes\n'
          f'{"layer":<9} {"output":>11} {"parameters":>11} {"multiply-adds":>14}  source')
    for step in walked:
        print(f'{step.row.name:<9} {"x".join(map(str, step.shape)):>11} {step.parameters:>11,} '
              f'{step.multiply_adds:>14,}  {step.row.source}')
    print(f'{"total":<9} {"":>11} {sum(step.parameters for step in walked):>11,} '
          f'{sum(step.multiply_adds for step in walked):>14,}\n')
