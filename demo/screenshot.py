"""Makes `docs/console.webp`: the demo's console after its story, in a real browser.

python -m demo.screenshot            (needs Debian's chromium and fonts-wqy-microhei)
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from playwright.sync_api import sync_playwright

from demo.installation import Installation
from demo.processes import free_port
from demo.story import play

CHROMIUM = "/usr/bin/chromium"
TARGET = Path(__file__).parents[1] / "docs" / "console.webp"


def main() -> None:
    """Play the story and take the picture."""
    with tempfile.TemporaryDirectory(prefix="lifecert-picture-") as folder:
        installation = Installation(Path(folder), web_port=free_port())
        try:
            installation.start()
            for result in play(installation):
                sys.stdout.write(f"{result}\n")
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"]
                )
                page = browser.new_page(viewport={"width": 1180, "height": 860}, locale="en-GB")
                page.goto(installation.console + "/?lang=en")
                page.wait_for_load_state("networkidle")
                picture = cv2.imdecode(np.frombuffer(page.screenshot(full_page=True), np.uint8), cv2.IMREAD_COLOR)
                TARGET.write_bytes(cv2.imencode(".webp", picture, [cv2.IMWRITE_WEBP_QUALITY, 80])[1].tobytes())
                browser.close()
        finally:
            installation.stop()


if __name__ == "__main__":
    main()
