"""What docs/serving.md shows, as far as it can be checked without a server."""
import re

import pytest

from tests.helpers.processes import ROOT

PAGE = (ROOT / 'docs' / 'serving.md').read_text(encoding='utf-8')


def test_the_manifest_keeps_the_schemas_of_kubernetes():
    kubernetes_validate = pytest.importorskip('kubernetes_validate', reason='needs pip install kubernetes-validate')
    import yaml
    (manifest,) = re.findall(r'^```yaml\n(.*?)^```', PAGE, re.M | re.S)
    deployment, service = documents = list(yaml.safe_load_all(manifest))
    for document in documents:
        kubernetes_validate.validate(document, '1.31', strict=True)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment | {'spec': deployment['spec'] | {'replica': 2}}, '1.31', strict=True)
    # What no schema knows: names that must be the same in two places.
    pod = deployment['spec']['template']
    container, = pod['spec']['containers']
    assert deployment['spec']['selector']['matchLabels'] == pod['metadata']['labels'] == service['spec']['selector']
    ports = {port['name']: port['containerPort'] for port in container['ports']}
    assert ports == {port['name']: port['port'] for port in service['spec']['ports']}
    assert container['readinessProbe']['httpGet']['port'] in ports and container['livenessProbe']['tcpSocket'][
        'port'] in ports
    assert [mount['name'] for mount in container['volumeMounts']] == [
        volume['name'] for volume in pod['spec']['volumes']]
