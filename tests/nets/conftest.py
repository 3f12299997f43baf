"""Shared by the tests of networks."""
import pytest

from nets import alexnet
from tests.helpers.networks import narrowed


@pytest.fixture(scope='module')
def narrow():
    """Both networks have an eighth of their kernels; everything else of their tables stays."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(alexnet, 'ALEXNET_V2', narrowed(alexnet.ALEXNET_V2))
        for variant, table in alexnet.VARIANTS.items():
            patch.setitem(alexnet.VARIANTS, variant, narrowed(table))
        yield
