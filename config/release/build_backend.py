"""The build backend: setuptools, with archives that depend on the sources only.

Setuptools records the times, the owners and the permissions of the checkout. Here members are
sorted, times are ``SOURCE_DATE_EPOCH`` (1980-01-01 without it), and permissions are 644 or 755.
"""

import gzip
import io
import os
import tarfile
import time
import zipfile
from pathlib import Path
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import *  # noqa: F403 - the hooks for editable installs and requirements

#: The earliest time of a member of a wheel, which is a ZIP file.
_EARLIEST = 315532800


def build_wheel(directory: str, *arguments: Any, **options: Any) -> str:
    """Build a wheel as PEP 517 describes; return its name."""
    name = str(build_meta.build_wheel(directory, *arguments, **options))
    _normalise_wheel(Path(directory) / name)
    return name


def build_sdist(directory: str, *arguments: Any, **options: Any) -> str:
    """Build a source archive as PEP 517 describes; return its name."""
    name = str(build_meta.build_sdist(directory, *arguments, **options))
    _normalise_sdist(Path(directory) / name)
    return name


def _epoch() -> int:
    return max(_EARLIEST, int(os.environ.get("SOURCE_DATE_EPOCH", _EARLIEST)))


def _mode(mode: int) -> int:
    return 0o755 if mode & 0o100 else 0o644


def _normalise_wheel(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        members = [(member, archive.read(member)) for member in archive.infolist()]
    moment = time.gmtime(_epoch())[:6]
    # Its own record is last, as the specification of wheels advises.
    members.sort(key=lambda pair: (".dist-info/" in pair[0].filename, pair[0].filename))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members:
            copy = zipfile.ZipInfo(member.filename, moment)
            copy.compress_type = zipfile.ZIP_DEFLATED
            copy.external_attr = (0o100000 | _mode(member.external_attr >> 16)) << 16
            archive.writestr(copy, content)


def _normalise_sdist(path: Path) -> None:
    plain = io.BytesIO()
    with (
        tarfile.open(path) as archive,
        tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as copy,
    ):
        for member in sorted(archive.getmembers(), key=lambda member: member.name):
            content = archive.extractfile(member) if member.isreg() else None
            copy.addfile(_normalised(member), content)
    with (
        path.open("wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=_epoch()) as packed,
    ):
        packed.write(plain.getvalue())


def _normalised(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.mtime = _epoch()
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o755 if member.isdir() else _mode(member.mode)
    member.pax_headers = {}
    return member
