"""The checksum of what decides about features."""
import dataclasses

import numpy as np

from alexnet_tf.model import building, features, loading, specs


def test_what_changes_features_changes_the_fingerprint(narrow):
    spec = specs.Spec('alexnet', 224, ('a', 'b'), (1.0, 2.0, 3.0))
    loaded = loading.Loaded(building.build(spec), spec, np.float32(spec.mean), 'a/model.ckpt-1', 1)
    same = dataclasses.replace(loaded, checkpoint='b/model.ckpt-2', step=2)
    assert features.fingerprint(same) == features.fingerprint(loaded)
    others = [dataclasses.replace(loaded, spec=dataclasses.replace(spec, **change))
              for change in ({'unscaled_dropout': 0.5}, {'unscaled_dropout': 0.25}, {'resize_mode': 'warp'})]
    others.append(dataclasses.replace(loaded, mean=loaded.mean + 1))
    assert len({features.fingerprint(one) for one in [loaded, *others]}) == 5
