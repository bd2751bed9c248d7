"""The order in which BentoML's supervisor stops the processes of a server: the Gateways, then the runners.

By default it stops all at once, after removing the folder of the runners' sockets, so that a request in
progress in a Gateway would lose its runner.
"""

import asyncio
from typing import Any, Final

from bentoml._internal.utils import circus

_GATEWAY: Final = "service"
"""BentoML's name for the watcher of the served service; those of its dependencies are ``service_…``."""

_LISTENER: Final = "_bento_api_server"
"""BentoML's name for the socket that the Gateways share."""

# circus has no types.
_Arbiter: Any = circus.Arbiter
_PlainArbiter: Any = circus.Arbiter.__base__


def stop_in_order() -> None:
    """Make the supervisor stop its processes in order, if this process is the supervisor."""
    _Arbiter.stop = _stop
    _Arbiter._stop_watchers = _stop_watchers  # noqa: SLF001 - the one place where circus asks for it


def _stop(arbiter: Any) -> "asyncio.Future[None]":  # noqa: ANN401 - as above
    stopped: asyncio.Future[None] = _PlainArbiter.stop(arbiter)
    stopped.add_done_callback(lambda _: arbiter.exit_stack.close())
    return stopped


async def _stop_watchers(
    arbiter: Any,  # noqa: ANN401 - as above
    close_output_streams: bool = False,
    watcher_iter_func: Any = None,  # noqa: ANN401 - as above
) -> None:
    watchers: list[Any] = list((watcher_iter_func or arbiter.iter_watchers)(reverse=False))
    gateways = [watcher for watcher in watchers if watcher.name == _GATEWAY]
    runners = [watcher for watcher in watchers if watcher.name != _GATEWAY]
    await asyncio.gather(*(watcher._stop(close_output_streams) for watcher in gateways))  # noqa: SLF001
    if arbiter._stopping and _LISTENER in arbiter.sockets:  # noqa: SLF001
        # Connections from now on would not be answered.
        arbiter.sockets[_LISTENER].close()
    await asyncio.gather(*(watcher._stop(close_output_streams) for watcher in runners))  # noqa: SLF001
