"""Names, labels, resources and schedules that Kubernetes would not take are refused with the field and a remedy."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from skald_bridge.domain import kube_names as names
from skald_bridge.domain.errors import InvalidInput

LONG = "a" * 64


def secret(field: str, text: str) -> None:
    names.check_secret(field, *text.split(":"))


def labels(field: str, text: str) -> None:
    key, _, value = text.partition("=")
    names.check_labels(field, {key: value})


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (names.check_namespace, "media-1"),
        (names.check_namespace, "a" * 63),
        (names.check_object_name, "mongo.v1-2"),
        (secret, "mongo:URI_1.x"),
        (labels, "zone=lan"),
        (labels, "example.com/zone="),
        (labels, "nvidia.com/gpu.product=NVIDIA-A100-SXM4-40GB"),
        (names.check_resource, "nvidia.com/mig-1g.5gb"),
        (names.check_schedule, "0 3 * * *"),
        (names.check_schedule, "*/15 0-6,22 1,15 JAN-mar sun"),
        (names.check_schedule, "5/10 * ? * 1-5"),
        (names.check_schedule, "@hourly"),
    ],
)
def test_what_kubernetes_takes_passes(check: Callable[[str, str], object], text: str) -> None:
    check("--it", text)


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (names.check_namespace, ""),
        (names.check_namespace, "Media"),
        (names.check_namespace, "media_1"),
        (names.check_namespace, "-media"),
        (names.check_namespace, "media\n"),
        (names.check_namespace, LONG),
        (names.check_object_name, "Mongo"),
        (names.check_object_name, "mongo..v1"),
        (names.check_object_name, "a" * 254),
        (secret, "Mongo:uri"),
        (secret, "mongo:the uri"),
        (labels, "zone a=lan"),
        (labels, "/zone=lan"),
        (labels, "EXAMPLE/zone=lan"),
        (labels, "zone=two words"),
        (labels, f"zone={LONG}"),
        (labels, f"{LONG}=x"),
        (names.check_resource, "gpu"),
        (names.check_resource, "nvidia.com/"),
        (names.check_schedule, "daily"),
        (names.check_schedule, "@often"),
        (names.check_schedule, "* * * *"),
        (names.check_schedule, "* * * * * *"),
        (names.check_schedule, "60 * * * *"),
        (names.check_schedule, "* 24 * * *"),
        (names.check_schedule, "* * 0 * *"),
        (names.check_schedule, "* * * FOO *"),
        (names.check_schedule, "* * * * 7"),
        (names.check_schedule, "*/0 * * * *"),
        (names.check_schedule, "5-1 * * * *"),
        (names.check_schedule, "1, * * * *"),
        (names.check_schedule, "-1 * * * *"),
        (names.check_schedule, "TZ=UTC * * * *"),
    ],
)
def test_what_it_does_not_take_is_refused(check: Callable[[str, str], object], text: str) -> None:
    with pytest.raises(InvalidInput, match="--it: ") as refused:
        check("--it", text)
    assert refused.value.remedy


def test_the_field_of_a_schedule_is_named() -> None:
    with pytest.raises(InvalidInput, match="its hour is '24'"):
        names.check_schedule("--schedule", "0 24 * * *")
