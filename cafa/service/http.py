"""The HTTP API of a service; its routes, and what they take and give, are described at ``/openapi.json``."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Annotated, Any

from fastapi import FastAPI, Request
from fastapi import Path as InPath
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel, Field
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from cafa import __version__
from cafa.common.file_names import readable_part
from cafa.service.engine import Engine
from cafa.service.errors import NotAVideoError, RefusedError, TooLargeError
from cafa.service.guard import Guard
from cafa.service.jobs import Job, JobRequest
from cafa.service.limits import Limits
from cafa.service.models_in_use import InUse
from cafa.service.videos import Video

#: Bytes of a form around the file in it.
FORM = 100_000
DESCRIPTION = """New sound for videos, with models that are loaded once.

Upload a video (`POST /v1/videos`), ask for sound (`POST /v1/jobs`), look at the job until it is `done`
(`GET /v1/jobs/{job}`), and get its files. Errors are objects with `error`, a sentence, and `reason`, a word."""


class Kind(StrEnum):
    """A file of a take."""

    WAV = "wav"
    FLAC = "flac"
    VIDEO = "video"
    PREVIEW = "preview"
    TIMELINE = "timeline"


MEDIA_TYPES = {".wav": "audio/wav", ".flac": "audio/flac", ".svg": "image/svg+xml", ".mp4": "video/mp4"}
MEDIA_TYPES |= {".mov": "video/quicktime", ".mkv": "video/x-matroska", ".webm": "video/webm", ".m4v": "video/mp4"}


class Health(BaseModel):
    """That the service is up, and how much it has to do."""

    status: str = "ok"
    version: str = __version__
    waiting: int = Field(description="jobs that wait")
    running: bool = Field(description="whether one is made now")


class About(InUse):
    """Models in use, and what the service takes."""

    limits: Limits


class Fault(BaseModel):
    """Why a request was refused."""

    error: str = Field(description="in words")
    reason: str = Field(description="a word for programs")


def _faults(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": Fault} for status in (401, 403, *statuses)}


UPLOAD = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["video"],
                    "properties": {"video": {"type": "string", "format": "binary"}},
                }
            },
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
JobId = Annotated[str, InPath(description="id of a job")]


def service_app(engine: Engine, *, token: str | None = None, loopback: bool = True) -> FastAPI:
    """The service as a web application; it closes the engine when it ends.

    Parameters
    ----------
    engine : Engine
    token : str, optional
        What every caller must send; see :class:`cafa.service.guard.Guard`.
    loopback : bool
        It listens on this machine's own address alone.
    """

    @asynccontextmanager
    async def ending(app: FastAPI) -> AsyncIterator[None]:
        yield
        engine.close()

    app = FastAPI(
        title="cafa",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,  # pages that load their scripts from other hosts
        redoc_url=None,
        lifespan=ending,
    )
    app.add_middleware(Guard, token=token, loopback=loopback)
    app.add_exception_handler(RefusedError, _refused)
    app.add_exception_handler(RequestValidationError, _not_valid)
    app.add_exception_handler(HTTPException, _not_possible)
    _add_facts(app, engine)
    _add_videos(app, engine)
    _add_jobs(app, engine)
    return app


def _add_facts(app: FastAPI, engine: Engine) -> None:
    @app.get("/v1/health", summary="Whether the service is up")
    def health() -> Health:
        waiting, running = engine.load()
        return Health(waiting=waiting, running=running)

    @app.get("/v1/models", summary="Models in use, their licences, and limits", responses=_faults())
    def models() -> About:
        return About(**engine.maker.in_use().model_dump(), limits=engine.limits)


def _add_videos(app: FastAPI, engine: Engine) -> None:
    @app.post(
        "/v1/videos",
        status_code=201,
        summary="Upload a video, as a form or as it is",
        responses=_faults(400, 413, 422, 507),
        openapi_extra=UPLOAD,
    )
    async def upload(request: Request, name: str = "video.mp4") -> Video:
        """`name` is the file's name, where the body is the file itself; a form brings its own."""
        largest = engine.limits.largest_bytes
        _check_length(request, largest + FORM)
        if request.headers.get("content-type", "").startswith("multipart/form-data"):
            limited = Request(request.scope, _limited(request, largest + FORM))
            async with limited.form(max_files=1, max_fields=4) as form:
                file = form.get("video")
                if not isinstance(file, UploadFile):
                    raise NotAVideoError("the form has no file called `video`")
                return await engine.videos.receive(_chunks(file), file.filename or name)
        return await engine.videos.receive(request.stream(), name)


def _check_length(request: Request, most: int) -> None:
    """Refuse what is said to be too large before it comes."""
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > most:
        raise TooLargeError(f"the file is larger than {most / 1e6:g} MB, which is the limit")


def _limited(request: Request, most: int) -> Callable[[], Any]:
    """What receives a request's body, up to a number of bytes."""
    come = 0

    async def receive() -> Any:
        nonlocal come
        message = await request.receive()
        come += len(message.get("body", b""))
        if come > most:
            raise TooLargeError(f"the file is larger than {most / 1e6:g} MB, which is the limit")
        return message

    return receive


async def _chunks(file: UploadFile) -> AsyncIterator[bytes]:
    while chunk := await file.read(1 << 20):
        yield chunk


def _add_jobs(app: FastAPI, engine: Engine) -> None:
    @app.post("/v1/jobs", status_code=202, summary="Ask for new sound", responses=_faults(404, 422, 503, 507))
    def submit(asked: JobRequest) -> Job:
        return engine.submit(asked)

    @app.get("/v1/jobs/{job}", summary="How far a job has come", responses=_faults(404))
    def look(job: JobId) -> Job:
        return engine.job(job)

    @app.post("/v1/jobs/{job}/cancel", summary="End a job", responses=_faults(404))
    def cancel(job: JobId) -> Job:
        """A job that waits ends at once, one that runs at its next step; what has ended stays as it is."""
        return engine.cancel(job)

    @app.get(
        "/v1/jobs/{job}/takes/{take}/{kind}",
        summary="A file of a result",
        response_class=FileResponse,
        responses=_faults(404, 409) | {200: {"content": {kind: {} for kind in sorted(set(MEDIA_TYPES.values()))}}},
    )
    def result(job: JobId, take: int, kind: Kind, download: bool = False) -> FileResponse:
        """`download` has a browser save the file under a readable name."""
        path = engine.file(job, take, kind.value)
        media_type = MEDIA_TYPES.get(path.suffix, "application/octet-stream")
        name = result_name(engine, job, take, path.suffix) if download else None
        headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:"}
        return FileResponse(path, media_type=media_type, filename=name, headers=headers)


def result_name(engine: Engine, name: str, take: int, suffix: str) -> str:
    """Name for a person of a file of a result: the video, the prompt, the seed."""
    job = engine.job(name)
    try:
        video = engine.videos.get(job.request.video).name
    except RefusedError:  # deleted since, by its age
        video = "video"
    return f"{video}--{readable_part(job.request.prompt)}--{job.takes[take].seed}{suffix}"


async def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RefusedError)
    return JSONResponse({"error": str(error), "reason": error.reason}, error.status)


async def _not_valid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    parts = [f"{'.'.join(map(str, one['loc'][1:])) or one['loc'][0]}: {one['msg']}" for one in error.errors()]
    return JSONResponse({"error": "; ".join(parts), "reason": "not_valid"}, 422)


async def _not_possible(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": str(error.detail), "reason": "not_possible"}, error.status_code)
