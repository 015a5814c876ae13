"""Writes the golden messages of the present protocol version; what is there is never written again.

python tests/golden/protocol/make.py
"""

from __future__ import annotations

from pathlib import Path

from protocol.envelope import sign
from protocol.examples import examples
from protocol.keys import PrivateKey

HERE = Path(__file__).parent


def main() -> None:
    """Sign every example that has no file yet, with a key that is thrown away; its public half is kept beside it."""
    for typ, message in examples().items():
        path = HERE / f"v1-{message.TYPE}.jws"
        if not typ.startswith("lifecert-") or path.exists():
            continue
        key = PrivateKey.generate()
        path.write_bytes(sign(message.to_bytes(), key=key, typ=typ))
        path.with_suffix(".key.json").write_text(key.public().model_dump_json() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
