"""The post-batch token belongs to the thread that read it."""

from threading import Thread
from types import SimpleNamespace
from typing import Any, cast

from bridge.source.stream import PostBatchToken


def reply(token: str, command: str = "getMore") -> Any:
    """A successful command's event, as the driver's monitoring gives it."""
    return cast(Any, SimpleNamespace(command_name=command, reply={"cursor": {"postBatchResumeToken": token}}))


def test_the_token_of_the_last_batch_is_remembered() -> None:
    listener = PostBatchToken()
    listener.succeeded(reply("first", "aggregate"))
    listener.succeeded(reply("second"))
    listener.succeeded(reply("of something else", "find"))

    assert listener.token == "second"


def test_a_reader_left_behind_cannot_move_another_streams_position() -> None:
    listener = PostBatchToken()
    listener.succeeded(reply("mine"))
    straggler = Thread(target=lambda: listener.succeeded(reply("later, on a dead path")))
    straggler.start()
    straggler.join()

    assert listener.token == "mine"
