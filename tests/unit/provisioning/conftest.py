"""Claims as the fleet makes them."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from fleet.pki.files import ROOT, make_authority
from protocol.provisioning import ProvisioningClaim, new_code

NOW = datetime(2026, 11, 29, 10, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def root_certificate(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("pki")
    make_authority(folder, "north", now=NOW)
    found = x509.load_pem_x509_certificate((folder / ROOT).read_bytes())
    return found.public_bytes(Encoding.PEM).decode()


@pytest.fixture
def claim_for(root_certificate: str) -> Callable[..., ProvisioningClaim]:
    """Make a claim that is good for three days from now on."""

    def made(terminal: str | None = "t-1", **changes: object) -> ProvisioningClaim:
        now = datetime.fromtimestamp(int(time.time()), UTC)
        values: dict[str, object] = {
            "fleet_id": "north",
            "url": "https://fleet.example:8444",
            "root": root_certificate,
            "code": new_code(),
            "terminal_id": terminal,
            "expires_at": now + timedelta(hours=72),
        }
        return ProvisioningClaim.model_validate(values | changes)

    return made
