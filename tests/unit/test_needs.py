import pytest
from pydantic import ValidationError

from skald_work_pools.needs import Needs


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512MB", 512 * 10**6),
        ("2GiB", 2 * 2**30),
        ("1.5 gib", 3 * 2**29),
        ("0", 0),
        (" 7 ", 7),
        ("3Ki", 3072),
    ],
)
def test_sizes_are_written_as_people_write_them(text, size):
    assert Needs(memory=text).memory == size


def test_a_size_that_is_none_says_what_would_be():
    with pytest.raises(ValidationError, match="512MB or 2GiB"):
        Needs(gpu_memory="lots")


@pytest.mark.parametrize("values", [{"gpu_memory": "2GB"}, {"nvenc": 1}, {"nvdec": 2}])
def test_asking_for_part_of_a_gpu_asks_for_a_gpu(values):
    assert Needs(**values).gpus == 1


def test_job_variables_override_and_null_keeps():
    needs = Needs(cpus=2, memory="1GB", tags={"a"})
    assert needs.overridden_by({"cpus": 4, "memory": None, "image": "x"}) == Needs(
        cpus=4, memory="1GB", tags={"a"}
    )


def test_a_wrong_override_names_its_field():
    with pytest.raises(ValidationError, match="gpus"):
        Needs().overridden_by({"gpus": "many"})


def test_what_is_reserved_is_told_without_the_rest() -> None:
    assert Needs().not_zero() == {}
    assert Needs(cpus=0.5, nvenc=1, tags=frozenset({"lan"})).not_zero() == {
        "cpus": 0.5,
        "gpus": 1,
        "nvenc": 1,
        "tags": ["lan"],
    }
