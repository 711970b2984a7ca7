"""The start page: HTML for browsers, JSON for health checks, and nothing from elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from bridge import __version__
from bridge.observability import build
from bridge.observability.certificates import Certificates
from bridge.observability.http_server import HttpServer
from bridge.observability.metrics import registry
from tests.support.factories import settings
from tests.support.fakes import FakeClock
from tests.support.http_crowd import Answer, ask
from tests.support.observed_bridge import ObservedBridge, status_of

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
PAGE = Path(build.__file__).parent / "page"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def server() -> Iterator[HttpServer]:
    clock = FakeClock()
    status = status_of(ObservedBridge(last_beat=clock.monotonic()), clock)
    metrics = registry(status, ["running"], Certificates(settings()))
    with HttpServer("127.0.0.1", 0, status, registry=metrics) as server:
        yield server


def get(server: HttpServer, path: str, accept: str = "") -> Answer:
    request = f"GET {path} HTTP/1.1\r\nHost: bridge\r\nAccept: {accept}\r\n\r\n"
    return ask(server.port, request.encode())


def test_browsers_get_the_page(server: HttpServer) -> None:
    answer = get(server, "/", BROWSER)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.body == (PAGE / "index.html").read_bytes()


@pytest.mark.parametrize(
    "accept", ["", "*/*", "application/json", "text/html;q=0.5, application/json", "text/html;q=x"]
)
def test_health_checks_get_json(server: HttpServer, accept: str) -> None:
    answer = get(server, "/", accept)
    service = json.loads(answer.body)
    assert answer.headers["vary"] == "Accept"
    assert service.keys() == {"service_name", "version", "git_hash", "server_time"}
    assert (service["service_name"], service["version"]) == ("job-bridge", __version__)
    assert datetime.fromisoformat(service["server_time"]).tzinfo


@pytest.mark.parametrize("path", ["/", "/page.css", "/page.js", "/verdict.js"])
def test_only_own_resources_may_load(server: HttpServer, path: str) -> None:
    answer = get(server, path, BROWSER)
    policy = answer.headers["content-security-policy"]
    assert answer.code == 200
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_page_needs_no_other_server() -> None:
    """No address, no inline script or style, and no way to turn text into markup."""
    for path in PAGE.iterdir():
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|innerHTML|outerHTML|insertAdjacent|eval\(| style=", text)
        assert not re.search(r"<script(?! src=\"/(page|verdict)\.js\")|<style| on\w+=", text)


def test_the_script_finds_its_elements() -> None:
    script, page = (PAGE / "page.js").read_text(), (PAGE / "index.html").read_text()
    used = set(
        re.findall(r"(?:element|setText|setList|setPairs|setItems)\(\s*\"([\w-]+)\"", script)
    )
    identifiers = re.findall(r" id=\"([\w-]+)\"", page)
    assert used <= set(identifiers)
    assert len(identifiers) == len(set(identifiers))
    references = re.findall(r"aria-(?:labelledby|describedby)=\"([\w -]+)\"", page)
    assert {name for names in references for name in names.split()} <= set(identifiers)


def test_the_history_is_served(server: HttpServer) -> None:
    document = json.loads(get(server, "/history.json").body)
    assert document["objective"]["target"] == 0.999
    assert document["samples"] == []


def test_commits_of_checkouts_are_found(tmp_path: Path) -> None:
    """A branch, a packed branch, no branch, and a worktree of its own."""
    git = tmp_path / ".git"
    (git / "refs" / "heads").mkdir(parents=True)
    head, branch = git / "HEAD", git / "refs" / "heads" / "main"
    head.write_text("ref: refs/heads/main\n")
    (git / "packed-refs").write_text(f"# pack-refs\n{COMMIT} refs/heads/main\n")
    assert build._commit_of_checkout(git) == COMMIT
    branch.write_text(f"{COMMIT[::-1]}\n")
    assert build._commit_of_checkout(git) == COMMIT[::-1]
    worktree = tmp_path / "worktree"
    worktree.write_text(f"gitdir: {git}\n")
    assert build._commit_of_checkout(worktree) == COMMIT[::-1]
    head.write_text(f"{COMMIT}\n")
    assert build._commit_of_checkout(git) == COMMIT
    assert build._commit_of_checkout(tmp_path / "absent") is None
