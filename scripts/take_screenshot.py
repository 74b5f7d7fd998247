"""What scripts/screenshot does: opens the map page in headless Chromium and keeps a picture of it."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
LARGEST_BYTES = 780_000
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
HIDE_KEYS = """
for (const field of document.querySelectorAll("input[readonly]")) {
  field.value = field.value.replace(/flx_[A-Za-z0-9_-]+/g, "flx_…");
}
"""


def chromium() -> str:
    """Find the browser."""
    for name in CHROMIUM:
        if found := shutil.which(name):
            return found
    sys.exit("screenshot: Chromium is not installed")


@contextlib.contextmanager
def running_demo() -> Iterator[str]:
    """Start the demo on a free port, give the address of its map page and stop it afterwards."""
    demo = subprocess.Popen([ROOT / "scripts" / "demo", "--port", "0"], stdout=subprocess.PIPE, text=True)
    assert demo.stdout is not None
    try:
        for line in demo.stdout:
            if line.startswith("MAP "):
                yield line.split()[1]
                break
        else:
            sys.exit("screenshot: the demo did not start")
    finally:
        demo.send_signal(signal.SIGTERM)
        demo.wait(20)


def take(address: str, layer: str, size: tuple[int, int], zoom: int) -> bytes:
    """Open the page, choose a layer, zoom in and give a PNG picture."""
    width, height = size
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(),
            args=["--no-sandbox", "--disable-gpu", "--disable-quic"] if os.geteuid() == 0 else [],
        )
        page = browser.new_page(viewport={"width": width, "height": height}, locale="fr-FR")
        page.goto(f"{address}#layer={layer}" if layer else address)
        wait(page)
        box = page.locator("#map").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.46)
        for _ in range(zoom):
            page.mouse.wheel(0, -120)
            page.wait_for_timeout(600)
        wait(page)
        page.mouse.move(box["x"] + box["width"] - 5, box["y"] + 5)
        page.evaluate(HIDE_KEYS)
        picture = page.screenshot()
        browser.close()
    return picture


def wait(page: Page) -> None:
    """Wait until the page has drawn all it can."""
    page.wait_for_timeout(500)
    page.wait_for_selector("body[data-state=ready]", timeout=60_000)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(500)


def slimmed(picture: bytes) -> bytes:
    """Cut the number of colours until the picture is small enough."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    for colours in (256, 128, 64, 32):
        kept = io.BytesIO()
        few = image.quantize(colours, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        few.save(kept, "PNG", optimize=True)
        if len(kept.getvalue()) <= LARGEST_BYTES:
            return kept.getvalue()
    sys.exit("screenshot: the picture is too large")


def main() -> None:
    """Take the picture."""
    parser = argparse.ArgumentParser(prog="scripts/screenshot", description="Take a picture of the map page.")
    parser.add_argument("address", nargs="?", help="address of the page; without it a demo is started")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "images" / "map.png")
    parser.add_argument("--layer", default="pleiades-demo")
    parser.add_argument("--size", type=int, nargs=2, default=(1280, 760), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--zoom", type=int, default=2, help="steps of the mouse wheel from the whole layer")
    given = parser.parse_args()
    with contextlib.nullcontext(given.address) if given.address else running_demo() as address:
        picture = take(address, given.layer, tuple(given.size), given.zoom)
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_bytes(slimmed(picture))
    print(given.output)


if __name__ == "__main__":
    main()
