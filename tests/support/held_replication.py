"""A replica set whose majority does not advance, although its primary does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.servers.mongo import MongoDeployment


@contextmanager
def replication_held(server: MongoDeployment) -> Iterator[None]:
    """The other nodes apply nothing meanwhile, so no new write is a majority's.

    They need ``FAIL_POINTS``.
    """
    primary = server.primary_index()
    others = [number for number in range(len(server.ports)) if number != primary]

    def switch(mode: str) -> None:
        for number in others:
            with server.client(number) as client:
                client.admin.command("configureFailPoint", "rsSyncApplyStop", mode=mode)

    switch("alwaysOn")
    try:
        yield
    finally:
        switch("off")
