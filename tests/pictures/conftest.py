"""Every test of pictures needs matplotlib."""
import pytest


@pytest.fixture(autouse=True)
def drawing():
    """Inside of figures.style, as the command draws."""
    pytest.importorskip('matplotlib')
    from alexnet_tf.pictures import figures
    with figures.style():
        yield
