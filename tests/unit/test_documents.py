"""The documents: generated pages equal the code, links lead somewhere, no sentence stands twice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from bridge import errors
from bridge.cli import INTERRUPTED, OUTPUT_CLOSED
from bridge.kafka.errors import SUPPORTED_KAFKA_PYTHON
from bridge.mongo.client import SUPPORTED_PYMONGO
from docs import references
from docs.site_links import OUTSIDE

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
TOP = [
    ROOT / f"{name}.md"
    for name in ("README", "ARCHITECTURE", "CONTRIBUTING", "RELEASING", "SECURITY")
]
CHANGELOG = ROOT / "CHANGELOG.md"
PAGES = [*TOP, CHANGELOG, *sorted(DOCS.rglob("*.md"))]
GENERATED = [DOCS / "reference" / name for name in references.PAGES]
#: Written by the benchmarks, with lines as long as a result needs.
MEASURED = [DOCS / "benchmarks.md", DOCS / "delivery-modes.md"]

_FENCE = re.compile(r"^( *)```.*?^\1```", re.M | re.S)
_INDENTED = re.compile(r"^ {4}.*$", re.M)
_HEADING = re.compile(r"^#.*$", re.M)
_COMMENT = re.compile(r"<!--.*?-->", re.S)
_LINK = re.compile(r"\[([^\]]*)\]\(([^)\s]+)\)")
_CODE = re.compile(r"`[^`]*`")
#: A path of this repository in a text; ``bridge/`` may be left out.
_PATH = re.compile(
    r"`((?:bridge|tests|docs|config|benchmarks)/[\w./*-]*|[\w*-]+(?:/[\w*-]+)*(?:\.py|/))`"
)
_SENTENCE_WORDS = 8
#: Each has a plainer word in CONTRIBUTING.md or in the glossary.
_UNCLEAR = re.compile(
    r"\b(so many|so long|as far as|whoever|nobody|told|goes on|anew|begun|stand-in|newcomer|"
    r"on its way|set aside|is none)\b",
    re.I,
)


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def prose(page: Path) -> str:
    """The text without code, comments and headings; links are their words."""
    text = _HEADING.sub("", _COMMENT.sub("", _FENCE.sub("", page.read_text())))
    if page in TOP:
        text = _INDENTED.sub("", text)
    return _LINK.sub(r"\1", text)


def sentences(text: str) -> Iterator[str]:
    """Sentences of paragraphs, list items and cells, normalised, of eight words or more."""
    blocks = re.split(r"\n\s*\n|\n\s*(?:[-*]|\d+\.) |\n\||\|", text)
    for block in blocks:
        for sentence in re.split(r"(?<=[.!?])\s+", " ".join(block.split())):
            words = re.findall(r"[\w`'/.-]+", sentence.lower())
            if len(words) >= _SENTENCE_WORDS:
                yield " ".join(words).strip(".")


def is_path(path: str) -> bool:
    """Whether a file or folder of the repository, or of the package, matches ``path``."""
    inside = f"**/{path}" if "/" not in path.rstrip("/") else path
    return any(ROOT.glob(path)) or any((ROOT / "bridge").glob(inside))


def repeated(pages: dict[str, str]) -> list[str]:
    """Sentences that stand twice, each with the pages that contain it."""
    homes: dict[str, list[str]] = {}
    for name, text in pages.items():
        for sentence in sentences(text):
            homes.setdefault(sentence, []).append(name)
    return [f"{sentence} [{', '.join(names)}]" for sentence, names in homes.items() if names[1:]]


@pytest.mark.parametrize("name", references.PAGES)
def test_references_equal_the_code(name: str) -> None:
    """Otherwise run 'make docs'."""
    assert (references.FOLDER / name).read_text() == references.PAGES[name]()


def test_no_sentence_stands_twice() -> None:
    """A generated page may repeat itself: its text has one home, in the code."""
    pages = {name_of(page): prose(page) for page in PAGES if page != CHANGELOG}
    for page in [*GENERATED, *MEASURED]:
        once = dict.fromkeys(sentences(pages[name_of(page)]))
        pages[name_of(page)] = "\n\n".join(f"{sentence}." for sentence in once)

    assert repeated(pages) == []


def test_repeated_sentences_are_found() -> None:
    line = "The bridge stores its position after Kafka has acknowledged every message."
    pages = {"a": f"# A\n\n{line} More.", "b": f"| x | {line} |", "c": "Nothing is lost."}

    (found,) = repeated(pages)

    assert found.endswith("[a, b]")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_files(page: Path) -> None:
    """As a code host resolves them; anchors and the site's links are checked by mkdocs."""
    targets = [link[1] for link in _LINK.findall(_FENCE.sub("", page.read_text()))]
    local = [target.partition("#")[0] for target in targets if "://" not in target]

    assert [path for path in local if path and not (page.parent / path).exists()] == []


@pytest.mark.parametrize("page", [page for page in PAGES if page != CHANGELOG], ids=name_of)
def test_named_paths_exist(page: Path) -> None:
    """The changelog may name files of its time."""
    paths = _PATH.findall(_FENCE.sub("", page.read_text()))

    assert [path for path in paths if not is_path(path)] == []


@pytest.mark.parametrize("page", [page for page in PAGES if page not in MEASURED], ids=name_of)
def test_lines_and_cells_are_short(page: Path) -> None:
    text = _FENCE.sub("", page.read_text())
    rows = [line for line in text.splitlines() if line.startswith("|")]

    assert [line for line in text.splitlines() if len(line) > 120 and line not in rows] == []
    assert [cell for row in rows for cell in row.split(" | ") if len(cell) > 160] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_words_are_plain(page: Path) -> None:
    assert _UNCLEAR.findall(_CODE.sub("", prose(page))) == []


def test_readme_is_short_and_links() -> None:
    text = (ROOT / "README.md").read_text()

    assert len(text.split()) <= 700
    assert len(_LINK.findall(text)) >= 10
    assert re.findall(r"^    (make \w+)", text, re.M)[:2] == ["make run", "make test"]


def test_architecture_fits_two_pages() -> None:
    assert len((ROOT / "ARCHITECTURE.md").read_text().split()) <= 1100


def test_changelog_lines_are_short() -> None:
    text = CHANGELOG.read_text()

    assert [line for line in text.splitlines() if len(line) > 100] == []


def test_every_exit_code_is_documented() -> None:
    text = (DOCS / "operations" / "exit-codes.md").read_text()
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.M)}
    codes = {kind.exit_code for kind in _error_classes()}

    assert documented == codes | {0, INTERRUPTED, OUTPUT_CLOSED}


def test_every_file_of_the_site_exists() -> None:
    assert [path for path in OUTSIDE if not (ROOT / path).exists()] == []


def test_the_lock_names_no_host() -> None:
    lock = (ROOT / "config" / "requirements.lock").read_text()
    entries = re.split(r"\n(?=[a-z])", lock.partition("\n#\n")[2])

    assert "://" not in lock
    assert all("--hash=sha256:" in entry for entry in entries if "==" in entry)


def test_the_lock_fits_the_ranges() -> None:
    """Otherwise run 'make lock'."""
    setup = ConfigParser(interpolation=None)
    setup.read(ROOT / "setup.cfg")
    extras = setup["options.extras_require"]
    wanted = [setup["options"]["install_requires"], extras["librdkafka"], extras["codecs"]]
    # The package installs with older clients too, but the command runs only with these.
    wanted += [SUPPORTED_PYMONGO, SUPPORTED_KAFKA_PYTHON]
    requirements = [Requirement(line) for text in wanted for line in text.split("\n") if line]
    lock = (ROOT / "config" / "requirements.lock").read_text()
    locked = dict(re.findall(r"^([\w-]+)==(\S+)", lock, re.M))

    assert [str(r) for r in requirements if not r.specifier.contains(locked[r.name])] == []


def test_the_consumer_page_shows_the_sample() -> None:
    sample = (ROOT / "examples" / "job_states.py").read_text()
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "consumers.md").read_text(), re.S)

    assert blocks and [block for block in blocks if block not in sample] == []


def _error_classes() -> list[type[errors.BridgeError]]:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    return [kind for kind in kinds if issubclass(kind, errors.BridgeError)]
