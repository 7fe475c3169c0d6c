"""What changes in a pool's base job template."""

from __future__ import annotations

from skald_work_pools.kubernetes_pool import KubernetesPool, Volume, base_job_template, changes


def test_changes_name_each_place() -> None:
    before = base_job_template(KubernetesPool(image="a:1", volumes=[Volume("media", "/media")]))
    after = base_job_template(KubernetesPool(image="a:2", keep=60))
    assert changes(before, before) == []
    said = changes(before, after)
    assert 'variables.properties.image.default: "a:1" → "a:2"' in said
    assert "variables.properties.keep.default: 3600 → 60" in said
    assert any("template.spec.volumes" in line and line.endswith("→ (none)") for line in said)
    assert 'variables.properties.image.default: (none) → "a:1"' in changes({}, before)
