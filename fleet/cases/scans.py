"""Scans (PDF) as pictures of their pages, drawn by a process of its own with little memory and time.

What draws is a library of another language, and a file may be made by somebody who means harm. The process is this module:
`python -m fleet.cases.scans < scan.pdf` gives a JPEG a page, each after its length in four bytes, or ends with one of the statuses below.
"""

from __future__ import annotations

import io
import resource
import subprocess
import sys
from enum import IntEnum

from fleet.errors import Refused

PDF = b"%PDF-"
"""How every PDF begins. Source: ISO 32000-1, 7.5.2."""
MOST_PAGES = 20
"""A form and what belongs to it; a scan is at most 10 MB (`fleet.cases.files.MAX_PDF_BYTES`)."""
LONGEST_SIDE = 1600
"""Pixels of a page, as of a photograph that is shown."""
_QUALITY = 85
_MEMORY = 768 * 1024**2
"""Bytes of address space: of the interpreter with the library some 200 MB, of a page of 300 dots an inch in colour 30."""
_CPU_S, _WALL_S = 20, 40
_WRONG_PASSWORD = 4
"""FPDF_ERR_PASSWORD. Source: pdfium, public/fpdfview.h."""


class Status(IntEnum):
    """How the process ends; whatever else it ends with is `DAMAGED`."""

    DONE = 0
    ENCRYPTED = 3
    LONG = 4
    DAMAGED = 5


def pages_of(scan: bytes) -> list[bytes]:
    """Return the pages of a PDF as JPEG, the longer side of each `LONGEST_SIDE` pixels.

    Raises:
        Refused: if it has no page or too many, is encrypted or damaged, or takes more than a scan needs.
    """
    # Isolated: nothing of this process's environment is in the other one.
    command = [sys.executable, "-I", "-m", __name__]
    try:
        done = subprocess.run(command, input=scan, capture_output=True, timeout=_WALL_S, check=False, env={})
    except subprocess.TimeoutExpired:
        status, pages = Status.DAMAGED, b""
    else:
        status = Status(done.returncode) if done.returncode in set(Status) else Status.DAMAGED
        pages = done.stdout
    if status is Status.ENCRYPTED:
        raise Refused("the scan asks for a password", code="scan_encrypted")
    if status is Status.LONG:
        raise Refused(f"the scan has more than {MOST_PAGES} pages", code="scan_long", most=MOST_PAGES)
    if status is Status.DAMAGED:
        sentence = "the scan has no page that can be shown, is damaged, or takes more memory or time than a scan needs"
        raise Refused(sentence, code="scan_damaged")
    found = []
    while pages:
        end = 4 + int.from_bytes(pages[:4], "big")
        found.append(pages[4:end])
        pages = pages[end:]
    return found


def _main() -> Status:
    for what, most in (
        (resource.RLIMIT_AS, _MEMORY),
        (resource.RLIMIT_CPU, _CPU_S),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
    ):
        resource.setrlimit(what, (most, most))
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(sys.stdin.buffer.read())
        if not 0 < len(document) <= MOST_PAGES:
            return Status.LONG if len(document) else Status.DAMAGED
        # What was typed into the fields of a form is drawn only so.
        document.init_forms()
        for page in document:
            longest = max(page.get_size())
            if longest <= 0:
                return Status.DAMAGED
            out = io.BytesIO()
            page.render(scale=LONGEST_SIDE / longest).to_pil().convert("RGB").save(out, "JPEG", quality=_QUALITY)
            sys.stdout.buffer.write(len(out.getvalue()).to_bytes(4, "big") + out.getvalue())
    except pypdfium2.PdfiumError as error:
        return Status.ENCRYPTED if error.err_code == _WRONG_PASSWORD else Status.DAMAGED
    sys.stdout.buffer.flush()
    return Status.DONE


if __name__ == "__main__":
    sys.exit(_main())
