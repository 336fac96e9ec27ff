"""The page of `cafa demo`: Gradio over the engine that the HTTP service has, too. Nothing comes from other hosts."""

import asyncio
import os
from collections.abc import AsyncIterator
from importlib import resources
from pathlib import Path
from typing import Any

import anyio.to_thread
from fastapi import FastAPI
from pydantic import ValidationError
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from cafa.common.errors import InputError
from cafa.media.encoded_part import parse_time
from cafa.service.engine import Engine
from cafa.service.errors import RefusedError
from cafa.service.examples import rendered_examples
from cafa.service.jobs import ENDED, JobRequest, JobState
from cafa.service.page_text import fault_text, head_text, models_text, result_text, state_text

#: Seconds between two looks at a job.
LOOK = 0.25
#: for Gradio, read when it is imported: no telemetry, no look for newer versions
QUIET = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1"}


def gradio(folder: Path) -> Any:
    """Gradio, told to be quiet and to keep its files in a folder.

    Raises
    ------
    InputError
        If it is not installed.
    """
    os.environ.update(QUIET | {"GRADIO_TEMP_DIR": str(folder)})
    try:
        import gradio
    except ModuleNotFoundError as error:
        raise InputError(
            f"the page needs {error.name}, which is not installed: pip install 'cafa[demo]', or from a checkout "
            "pip install '.[demo]'; `cafa serve` does without"
        ) from error
    return gradio


def add_page(app: FastAPI, engine: Engine) -> FastAPI:
    """Put the page at the root of a service.

    Parameters
    ----------
    app : FastAPI
        Of :func:`cafa.service.http.service_app`.
    engine : Engine
        The same.
    """
    gr = gradio(engine.videos.page)
    app.add_middleware(UploadRoom, engine=engine)
    files = resources.files("cafa.service")
    script = files.joinpath("page.js").read_text("utf-8")
    return gr.mount_gradio_app(
        app,
        _blocks(gr, engine),
        path="/",
        max_file_size=engine.limits.largest_bytes,
        allowed_paths=[str(engine.folder / "examples")],
        show_error=True,
        ssr_mode=False,
        footer_links=[],
        run_history=False,
        css=files.joinpath("page.css").read_text("utf-8"),
        head=f"<script>{script}</script>",
    )


def _blocks(gr: Any, engine: Engine) -> Any:
    in_use, limits = engine.maker.in_use(), engine.limits
    age = (600, round(limits.keep_hours * 3600))
    with gr.Blocks(title="cafa", analytics_enabled=False, delete_cache=age) as blocks:
        gr.HTML(head_text(in_use, limits))
        job_id = gr.State(None)
        with gr.Row():
            with gr.Column():
                video = gr.Video(label="video", sources=["upload"], elem_id="video", height=260)
                with gr.Row():
                    begin = gr.Textbox(label="from (seconds or m:s)", placeholder="beginning", elem_id="begin")
                    end = gr.Textbox(label="to", placeholder="end", elem_id="end")
                prompt = gr.Textbox(label="what it should sound like", elem_id="prompt", max_length=1000)
                negative = gr.Textbox(label="what it should not sound like", elem_id="negative", max_length=1000)
                settings = _settings(gr, in_use.guidance_scale, limits.most_takes)
                with gr.Row():
                    go = gr.Button("Make sound", variant="primary", elem_id="go")
                    stop = gr.Button("Cancel", elem_id="stop", interactive=False)
            with gr.Column():
                state = gr.HTML('<div class="cafa-state"></div>', elem_id="state")
                result = gr.HTML(elem_id="result")
        gr.Examples(rendered_examples(engine.folder / "examples"), [video, prompt], label="examples (drawn scenes)")
        with gr.Accordion("models in use and their licences", open=False):
            gr.HTML(models_text(in_use), elem_id="models")

        async def generate(*fields: Any) -> AsyncIterator[tuple[Any, ...]]:
            async for shown in _generate(gr, engine, *fields):
                yield shown

        private = {"api_visibility": "private"}  # the API of the service is the one that is documented
        go.click(
            generate,
            [video, begin, end, prompt, negative, *settings],
            [state, result, job_id, go, stop],
            concurrency_limit=None,  # the engine has the queue
            show_progress="hidden",
            **private,
        )
        stop.click(lambda name: _cancel(engine, name), [job_id], None, concurrency_limit=None, queue=False, **private)
    return blocks


def _settings(gr: Any, guidance_scale: float, most_takes: int) -> list[Any]:
    with gr.Accordion("settings", open=False, elem_id="settings"):
        gamma = gr.Slider(0, 2, 0.5, step=0.05, label="strength of the video (gamma): the lower, the stronger")
        guidance = gr.Slider(0, 15, guidance_scale, step=0.5, label="strength of the text (guidance scale)")
        with gr.Row():
            seed = gr.Number(0, label="seed", precision=0, minimum=0, maximum=2**31 - 1)
            takes = gr.Slider(1, most_takes, 1, step=1, label="takes")
        with gr.Row():
            mixed = gr.Checkbox(False, label="keep the video's own sound below the new one")
            level = gr.Slider(-40, 0, -12, step=1, label="its level, dB")
    return [gamma, guidance, seed, takes, mixed, level]


def _cancel(engine: Engine, name: str | None) -> None:
    if name is not None:
        engine.cancel(name)


async def _generate(gr: Any, engine: Engine, video: str | None, *fields: Any) -> AsyncIterator[tuple[Any, ...]]:
    """Put a job into the queue and tell how far it has come; a visitor who leaves cancels it."""
    idle, busy = (gr.update(interactive=True), gr.update(interactive=False)), None
    try:
        asked = await anyio.to_thread.run_sync(_request, engine, video, *fields)
        job = engine.submit(asked)
    except RefusedError as error:
        yield fault_text(str(error)), "", None, *idle
        return
    except ValidationError as error:
        yield fault_text("; ".join(one["msg"].removeprefix("Value error, ") for one in error.errors())), "", None, *idle
        return
    busy = (gr.update(interactive=False), gr.update(interactive=True))
    try:
        while (job := engine.job(job.id)).state not in ENDED:
            yield state_text(job), "", job.id, *busy
            await asyncio.sleep(LOOK)
    finally:
        if job.state not in ENDED:
            engine.cancel(job.id)
    shown = result_text(job, engine.folder_of(job.id)) if job.state is JobState.DONE else ""
    yield state_text(job), shown, None, *idle


def _request(engine: Engine, video: str | None, *fields: Any) -> JobRequest:
    """What the fields of the page ask for; the video is taken over into the service."""
    begin, end, prompt, negative, gamma, guidance, seed, takes, mixed, level = fields
    if video is None:
        raise RefusedError("choose a video first")
    if not prompt.strip():
        raise RefusedError("say what it should sound like")
    start, stop = _time(begin), _time(end)
    try:
        with open(video, "rb") as file:
            kept = engine.videos.copy(file, Path(video).name)
    except FileNotFoundError as error:
        raise RefusedError("this video was deleted since, by its age: choose it again") from error
    return JobRequest(
        video=kept.id,
        prompt=prompt,
        negative_prompt=negative,
        gamma=gamma,
        guidance_scale=guidance,
        seed=int(seed or 0),
        takes=int(takes),
        mix=level if mixed else None,
        start=start or 0.0,
        end=stop,
    )


def _time(text: str | None) -> float | None:
    """Seconds of a field; None where it is empty."""
    if not text or not text.strip():
        return None
    try:
        return parse_time(text)
    except InputError as error:
        raise RefusedError(str(error)) from error


class UploadRoom:
    """Middleware that takes an upload of the page only if its size is said and there is room for it.

    Gradio bounds one file; together they would fill the disk.

    Parameters
    ----------
    app : ASGI application
    engine : Engine
    """

    def __init__(self, app: ASGIApp, engine: Engine) -> None:
        self.app, self.engine = app, engine

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, or refuse it."""
        if scope["type"] == "http" and scope["method"] == "POST" and scope["path"].endswith("/upload"):
            length = Headers(scope=scope).get("content-length", "")
            if not length.isdecimal():
                refused = JSONResponse({"error": "an upload says how long it is", "reason": "not_possible"}, 411)
                await refused(scope, receive, send)
                return
            try:
                await anyio.to_thread.run_sync(self.engine.videos.require_room, int(length))
            except RefusedError as error:
                await JSONResponse({"error": str(error), "reason": error.reason}, error.status)(scope, receive, send)
                return
        await self.app(scope, receive, send)
