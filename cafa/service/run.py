"""`cafa serve` and `cafa demo`: models are loaded, then the service listens until it is ended."""

import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from platformdirs import user_cache_path

from cafa.common.errors import InputError
from cafa.common.judged_takes import TakeJudges
from cafa.generation.generate_options import GenerateOptions
from cafa.service.engine import Engine
from cafa.service.foley_maker import FoleyMaker
from cafa.service.guard import is_loopback
from cafa.service.http import service_app
from cafa.service.limits import Limits

#: Seconds that open connections get at the end.
FAREWELL = 1


@dataclass(frozen=True)
class Place:
    """Where a service listens, and who may call it.

    Attributes
    ----------
    host, port
        Address to listen on; port 0: any that is free.
    token
        What every caller must send; None: nothing, on this machine's own address alone.
    folder
        Uploads and results; None: in the user's cache.
    """

    host: str = "127.0.0.1"
    port: int = 8766
    token: str | None = None
    folder: Path | None = None

    def check(self) -> None:
        """Refuse to be reached by everybody.

        Raises
        ------
        InputError
            If others can reach the address, and there is no token.
        """
        if not is_loopback(self.host) and not self.token:
            raise InputError(
                f"others can reach {self.host}: give a token that they must send, --token or the variable CAFA_TOKEN "
                '(such as `python -c "import secrets; print(secrets.token_urlsafe())"` prints)'
            )

    def listen(self) -> socket.socket:
        """Take the address.

        Raises
        ------
        InputError
            If that is not possible: another program listens there, or it is no address of this machine.
        """
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)[0]
            listening = socket.socket(family, kind, protocol)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
        except OSError as error:
            raise InputError(f"cannot listen on {self.host} port {self.port}: {error}; --port names another") from error
        return listening


@dataclass(frozen=True)
class ServiceRequest:
    """A service that is asked for.

    Attributes
    ----------
    place
        Where it listens.
    models
        Folder of model folders; None: those that `cafa generate` takes.
    options
        Names of the model folders, device, steps.
    limits
        What it takes.
    judges
        Who puts takes into an order; None: nobody.
    """

    place: Place = field(default_factory=Place)
    models: Path | None = None
    options: GenerateOptions = field(default_factory=GenerateOptions)
    limits: Limits = field(default_factory=Limits)
    judges: TakeJudges | None = None


def serve(request: ServiceRequest, say: Callable[[str], None] = print) -> None:
    """Serve the HTTP API until the process is ended.

    Parameters
    ----------
    request : ServiceRequest
    say : callable
        Gets lines for a person: the address, warnings.

    Raises
    ------
    WeightsError
        If the models are not there; says how to get them.
    InputError
        If others could call it without a token, or the address is taken.
    FolderInUseError
        If another service has the folder.
    """
    _run(request, say, "API at {address}/v1/, described at {address}/openapi.json", lambda app, engine: app)


def demo(request: ServiceRequest, say: Callable[[str], None] = print) -> None:
    """Serve the page, and the HTTP API with it; as :func:`serve`."""
    request.place.check()
    from cafa.service.page import add_page, gradio

    gradio(_folder(request) / "page")  # says so at once if it is not there
    _run(request, say, "page at {address}/", add_page)


def _run(
    request: ServiceRequest,
    say: Callable[[str], None],
    what: str,
    finished: Callable[[FastAPI, Engine], FastAPI],
) -> None:
    place = request.place
    place.check()
    listening = place.listen()
    maker = FoleyMaker(request.models, request.options, say, request.judges, request.limits.reading_seconds)
    loopback = is_loopback(place.host)
    if not loopback:
        say(
            f"warning: others can reach {place.host}; what they send is not encrypted on its way, and whoever has the "
            "token can use it. Put a proxy with TLS before it where that matters"
        )
    with Engine(maker, _folder(request), request.limits) as engine:
        app = finished(service_app(engine, token=place.token, loopback=loopback), engine)
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, timeout_graceful_shutdown=FAREWELL, server_header=False
        )
        host = f"[{place.host}]" if ":" in place.host else place.host
        address = f"http://{host}:{listening.getsockname()[1]}"
        listening.listen()  # now: who reads the address may call it at once
        say(f"{what.format(address=address)}" + (" (add ?token=TOKEN in a browser)" if place.token else ""))
        say("Ctrl-C ends it")
        with suppress(KeyboardInterrupt):  # which it raises again once it has ended
            uvicorn.Server(config).run(sockets=[listening])
    say("ended")


def _folder(request: ServiceRequest) -> Path:
    folder = request.place.folder or user_cache_path("cafa") / "service"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder
