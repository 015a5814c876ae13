#!/usr/bin/env python3
"""Write `docs/protocol.md`: every topic, every message with its JSON Schema and an example; `--check` says whether it is current."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from protocol.examples import examples
from protocol.topics import TABLE, Kind, Topic

PAGE = Path(__file__).resolve().parent / "protocol.md"


def page() -> str:
    """Return the whole page as Markdown."""
    lines = [
        "# Protocol",
        "",
        "<!-- Made by docs/build_protocol.py from protocol/; change that. -->",
        "",
        "What terminal and fleet say to each other, version 1.",
        "",
        "MQTT 3.1.1 is enough, MQTT 5 brokers serve as well. QoS 1 everywhere, persistent MQTT sessions on both sides.",
        "A message is UTF-8 JSON with `type` and `version`; the sender serialises it once, signs those bytes as compact JWS (ES256,",
        "`kid` = RFC 7638 thumbprint, `typ` as below), and the receiver verifies the bytes before it parses them. Rosters are sealed",
        "around that as compact JWE (ECDH-ES, A256GCM) to the terminal's sealing key. Unknown keys are refused; a change of any",
        "message raises its version, and `CHANGELOG.md` says which side must be updated first.",
        "",
        "A PUBACK proves nothing. A record leaves the terminal's outbox only on the fleet's signed receipt, which is issued after the",
        "database commit. A record is named by the SHA-256 of its JWS bytes: in receipts, and in the hash chain (`previous`).",
        "",
        "On a courier stick the same messages travel in chunks: JWE of JWS of `courier-chunk`, up to the fleet's sealing key (in its",
        "identity file) and down to the terminal's. How the files lie and who removes what: `protocol/courier.py`; what people do with",
        "it: `courier.md`.",
        "",
        "## Topics",
        "",
        "| topic | direction | QoS | retained | payload | at most | purpose |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind in Kind:
        rule = TABLE[kind]
        topic = str(Topic("f", "t", kind)).replace("/f/t/", "/<fleet>/<terminal>/")
        direction = "terminal → fleet" if rule.direction == "up" else "fleet → terminal"
        retained = "yes" if rule.retain else "no"
        size = f"{rule.max_bytes // 1024} KiB"
        lines.append(
            f"| `{topic}` | {direction} | {rule.qos} | {retained} | {rule.payload} | {size} | {rule.purpose} |"
        )
    for where, message in examples().items():
        summary = (type(message).__doc__ or "").splitlines()[0]
        heading = f"`typ`: `{where}`" if where.startswith("lifecert-") else where
        schema = json.dumps(type(message).model_json_schema(), indent=1, ensure_ascii=False)
        example = json.dumps(json.loads(message.to_bytes()), indent=1, ensure_ascii=False)
        lines += ["", f"## {message.TYPE}, version {message.VERSION}", "", f"{summary} ({heading})", ""]
        lines += [
            "```json",
            example,
            "```",
            "",
            "<details><summary>JSON Schema</summary>",
            "",
            "```json",
            schema,
            "```",
        ]
        lines += ["", "</details>"]
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Write the page, or with `--check` compare it; return the exit code."""
    if arguments == ["--check"]:
        if PAGE.read_text(encoding="utf-8") == page():
            return 0
        sys.stderr.write("docs/protocol.md is not current: run docs/build_protocol.py\n")
        return 1
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
