"""Writes the golden messages of the present protocol version; files of older versions are never written again.

python tests/golden/protocol/make.py
"""

from __future__ import annotations

from pathlib import Path

from protocol.envelope import sign
from protocol.examples import examples
from protocol.keys import PrivateKey

HERE = Path(__file__).parent


def main() -> None:
    """Sign every example with a key that is thrown away; its public half is kept."""
    key = PrivateKey.generate()
    (HERE / "v1-key.json").write_text(key.public().model_dump_json() + "\n", encoding="utf-8")
    for typ, message in examples().items():
        if typ.startswith("lifecert-"):
            (HERE / f"v1-{message.TYPE}.jws").write_bytes(sign(message.to_bytes(), key=key, typ=typ))


if __name__ == "__main__":
    main()
