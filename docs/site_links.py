"""A hook of mkdocs: the site contains the documents at the top of the repository, too.

Pages link each other by paths within the repository, so that a code host can follow the links. For
the site, links that leave ``docs/`` are rewritten to the place where the site has the file.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

#: Path in the repository, and path in the site.
OUTSIDE = {
    "ARCHITECTURE.md": "architecture/index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "RELEASING.md": "releasing.md",
    "SECURITY.md": "security.md",
    "config/docker/Dockerfile": "config/docker/Dockerfile",
    "config/docker/compose.yml": "config/docker/compose.yml",
    "config/grafana/job-bridge.json": "config/grafana/job-bridge.json",
    "config/job-bridge.example.toml": "config/job-bridge.example.toml",
    "config/k8s/kustomization.yaml": "config/k8s/kustomization.yaml",
    "config/kafka-acls.sh": "config/kafka-acls.sh",
    "config/mongodb-role.js": "config/mongodb-role.js",
    "config/pipeline-jobs.example.toml": "config/pipeline-jobs.example.toml",
    "config/prometheus/alerts.yml": "config/prometheus/alerts.yml",
    "config/prometheus/recording-rules.yml": "config/prometheus/recording-rules.yml",
    "config/systemd/job-bridge@.service": "config/systemd/job-bridge@.service",
    "examples/job_states.py": "examples/job_states.py",
}
#: Pictures that pages show; they have the same path in the site.
PICTURES = ("benchmarks/results/*.svg",)
_INSIDE_OUT = {site: path for path, site in OUTSIDE.items()}
_LINK = re.compile(r"\]\((?![a-z]+:|#)([^)\s#]+)(#[^)\s]*)?\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Replace each folder in the navigation by its pages, the index first."""
    if config.nav is not None:
        config.nav = [_expanded(entry, Path(config.docs_dir)) for entry in config.nav]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files from outside of ``docs/``."""
    root = Path(config.docs_dir).parent
    for path, site in OUTSIDE.items():
        files.append(File.generated(config, site, abs_src_path=str(root / path)))
    for picture in (found for pattern in PICTURES for found in root.glob(pattern)):
        path = picture.relative_to(root).as_posix()
        files.append(File.generated(config, path, abs_src_path=str(picture)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Rewrite links so that they lead to the same file within the site."""
    here = page.file.src_uri
    folder = posixpath.dirname(_INSIDE_OUT.get(here, f"docs/{here}"))

    def rewritten(link: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(folder, link[1]))
        site = OUTSIDE.get(path, path.removeprefix("docs/"))
        return f"]({posixpath.relpath(site, posixpath.dirname(here) or '.')}{link[2] or ''})"

    return _LINK.sub(rewritten, markdown)


def _expanded(entry: Any, docs: Path) -> Any:
    if isinstance(entry, dict):
        return {title: _expanded(inner, docs) for title, inner in entry.items()}
    if isinstance(entry, list):
        return [page for inner in entry for page in _as_list(_expanded(inner, docs))]
    if isinstance(entry, str) and entry.endswith("/"):
        pages = [page.relative_to(docs).as_posix() for page in (docs / entry).glob("*.md")]
        return sorted(pages, key=lambda page: (not page.endswith(("README.md", "index.md")), page))
    return entry


def _as_list(entry: Any) -> list[Any]:
    return entry if isinstance(entry, list) else [entry]
