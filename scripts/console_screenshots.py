"""Take the pictures of docs/running/console.md: the pages in Airflow's own UI, in a real browser, on the simulator's clips.

    python -m scripts.console_screenshots

Starts what the browser tests start (``tests/plugin/browser``) in a throw-away home. By hand, when the pages have changed.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from urllib.parse import quote

from airflow_video_providers.integration.retries import HAS_POLICIES
from tests.plugin.browser.install import FLAGS, installed
from tests.plugin.browser.scene import EDITOR, scene
from tests.support.home import copy_of, original

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"


def main() -> None:
    """Run the DAGs, take the pictures."""
    program, _ = installed()
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name, sync_playwright() as playwright:
        folder = Path(name)
        (folder / "ledger").mkdir()
        (folder / "videos").mkdir()
        home = copy_of(original(folder / "original"), folder / "home")
        more = {} if HAS_POLICIES else {"AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH": str(folder / "ledger")}
        with scene(home, folder / "videos", more) as console:
            run = f"dags/studio/runs/{quote(console.runs['studio'], safe='')}"
            pictures = {
                "console-task": (f"{run}/tasks/land/plugin/video", "light"),
                "console-run": (f"{run}/plugin/run_videos", "light"),
                "console-videos": ("plugin/videos", "light"),
                "console-videos-dark": ("plugin/videos", "dark"),
            }
            browser = playwright.chromium.launch(executable_path=program, args=[*FLAGS, "--no-sandbox"])
            for picture, (path, theme) in pictures.items():
                page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme=theme)
                page.context.add_cookies([{"name": "_token", "value": console.token(EDITOR), "url": console.url}])
                page.add_init_script(f"localStorage.setItem('theme', '{theme}')")
                page.goto(f"{console.url}/{path}")
                page.frame_locator("iframe").locator("h1").wait_for(timeout=120_000)
                if picture.startswith("console-videos-"):
                    page.frame_locator("iframe").locator("#spend").evaluate("heading => heading.scrollIntoView()")
                page.wait_for_timeout(4000)  # the first frames of the clips
                page.screenshot(path=IMAGES / f"{picture}.png")
                page.close()
            browser.close()


if __name__ == "__main__":
    main()
