"""How Sphinx builds the site: ``make docs``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sphinx.util.nodes import make_refnode

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from airflow_video_providers import __version__

if TYPE_CHECKING:
    from docutils.nodes import Element
    from sphinx.application import Sphinx

PACKAGE = "airflow_video_providers"
#: Whose names may stand in docstrings without a link.
FOREIGN = ("airflow", "httpx", "logging", "pydantic")

project = "airflow-video-providers"
version = release = __version__
language = "en"
html_theme = "furo"
html_title = f"{project} {__version__}"
html_copy_source = False

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["benchmarks.md", "demo.md"]  # what programs have printed; pages show it
myst_heading_anchors = 4

autodoc_typehints = "none"  # docstrings say what a value means, and their words are the ones for people
autodoc_member_order = "bysource"
python_use_unqualified_type_names = True


def internal_names(app: Sphinx, env: Any, node: Element, content: Element) -> Element | None:
    """Docstrings name things where they live, and the site where users import them: one thing, two addresses.

    What is not this package's own is not linked, since a build asks no network. A name of this package that leads
    nowhere stays a warning.
    """
    if node.get("refdomain") != "py":
        return None
    target: str = node["reftarget"].lstrip(".")
    known = env.get_domain("py").objects
    own = target.startswith(PACKAGE)
    tail = target.removeprefix(f"{PACKAGE}.").split(".")
    for start in range(len(tail) if own else 1):
        ending = "." + ".".join(tail[start:])
        found = sorted(name for name in known if name.startswith(PACKAGE) and name.endswith(ending))
        if found:
            entry = known[found[0]]
            return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, content)
    return content if target.split(".")[0] in FOREIGN else None


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("missing-reference", internal_names)
