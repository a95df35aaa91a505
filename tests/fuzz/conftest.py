"""A damaged file must not take the memory of the machine: what asks for more than 12 GB fails here, and so does its test."""

import resource

import pytest

MOST = 12 << 30


@pytest.fixture(scope="package", autouse=True)
def bounded_memory():
    usual = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (MOST, usual[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, usual)
