"""Options in the URI that the clients override."""

from contextlib import closing

import pytest

from bridge.mongo.client import history_client, state_client, stream_client
from tests.support.factories import settings

URI = "mongodb://127.0.0.1:1/?timeoutMS=3000"


@pytest.mark.parametrize(
    ("make", "seconds"), [(stream_client, None), (history_client, None), (state_client, 5.0)]
)
def test_no_client_uses_the_deadline_of_the_uri(make: object, seconds: float | None) -> None:
    """The stream waits for events and the history sorts; a deadline would end both repeatedly."""
    assert callable(make)
    with closing(make(settings(mongo__uri=URI))) as client:
        assert client.options.timeout == seconds
