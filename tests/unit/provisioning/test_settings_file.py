from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.errors import FileUnusable
from provisioning.settings_file import complete, parse_part, to_toml

pytestmark = pytest.mark.provisioning
PLAIN = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
    st.dates(),
)
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(), inner, max_size=4)),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), VALUES, max_size=5))
def test_what_was_written_is_what_is_read(values: dict[str, object]) -> None:
    assert tomllib.loads(to_toml(values)) == values


def test_a_part_is_completed_by_what_joining_told() -> None:
    part = parse_part('[terminal]\nlanguages = ["zh", "en"]\n[broker]\nkeep_alive_s = 60\n[screen]\nkind = "web"\n')
    text = complete(
        part,
        fleet_id="north",
        terminal_id="t-1",
        broker_host="broker.example",
        broker_port=8883,
        files={"tls_ca": "root.pem"},
    )
    found = tomllib.loads(text)
    assert found["terminal"] == {"languages": ["zh", "en"], "fleet_id": "north", "terminal_id": "t-1"}
    assert found["broker"] == {"keep_alive_s": 60, "host": "broker.example", "port": 8883, "tls_ca": "root.pem"}
    assert found["keys"]["signing"] == "credential:signing"
    assert found["screen"] == {"kind": "web"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[terminal", "not TOML"),
        ('[terminal]\nterminal_id = "t-2"', "terminal.terminal_id: leave it out"),
        ('[broker]\nhost = "x"\n[keys]\nsigning = "y"', "keys.signing, broker.host: leave it out"),
        ("terminal = 1", "a table of its own"),
    ],
)
def test_a_part_that_says_what_the_claim_says_is_refused(text: str, told: str) -> None:
    with pytest.raises(FileUnusable, match=told):
        parse_part(text)
