from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime, timedelta

import pytest

from fleet.pki.files import ROOT, make_authority
from protocol.errors import Malformed
from protocol.trust import certificates_in, client_context, pem_of, root_fingerprint, root_in

NOW = datetime(2026, 11, 29, 10, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The roots of two fleets in PEM."""
    folder = tmp_path_factory.mktemp("roots")
    for name in ("one", "other"):
        make_authority(folder / name, "north", now=NOW)
    first, second = ((folder / name / ROOT).read_text() for name in ("one", "other"))
    return first, second


def in_one_line(first: str, second: str) -> str:
    """Two certificates, of which OpenSSL reads both, since its lines end after 254 characters, and others the first one only."""
    return f"{first}{'x' * 253}-{second}"


def test_nothing_is_trusted_but_what_was_read_and_compared(roots: tuple[str, str]) -> None:
    text = in_one_line(*roots)
    assert len(ssl.create_default_context(cadata=text).get_ca_certs()) == 2
    root = root_in(text)
    assert root_fingerprint(root) == root_fingerprint(root_in(roots[0]))
    trusted = client_context([root], now=NOW + timedelta(days=1)).get_ca_certs(binary_form=True)
    assert trusted == [ssl.PEM_cert_to_DER_cert(roots[0])]
    assert pem_of(root) == roots[0]
    assert client_context(certificates_in(text), now=NOW).get_ca_certs(binary_form=True) == trusted


def test_a_root_is_one_certificate_and_a_broker_may_have_several(roots: tuple[str, str]) -> None:
    both = "".join(roots)
    with pytest.raises(Malformed, match="one certificate in PEM expected, 2 found"):
        root_in(both)
    assert len(client_context(certificates_in(both), now=NOW).get_ca_certs()) == 2
    for wrong in ("", "none", roots[0].replace("M", "?", 1), roots[0][:200]):
        with pytest.raises(Malformed, match="not a certificate"):
            root_in(wrong)


@pytest.mark.parametrize("clock_is_kept", [True, False])
def test_a_connection_is_closed_where_the_other_side_is_not_believed(
    roots: tuple[str, str], clock_is_kept: bool
) -> None:
    context = client_context([root_in(roots[0])], now=NOW + timedelta(days=1), clock_is_kept=clock_is_kept)
    here, there = socket.socketpair()
    with there:
        tls = context.wrap_socket(here, server_hostname="localhost", do_handshake_on_connect=False)
        there.sendall(b"no TLS at all")
        with pytest.raises(ssl.SSLError):
            tls.do_handshake()
        assert tls.fileno() == -1
