"""One server for all tests that need no server of their own; each uses a gateway of its own."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.cloud_sync.server_support import CloudProcess, Sender


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudProcess]:
    process = CloudProcess(tmp_path_factory.mktemp("cloud") / "data")
    yield process
    process.kill()


@pytest.fixture(scope="session")
def cloud_client(cloud: CloudProcess) -> Iterator[httpx.Client]:
    with cloud.client() as client:
        yield client


@pytest.fixture
def sender(cloud_client: httpx.Client) -> Sender:
    return Sender(cloud_client)
