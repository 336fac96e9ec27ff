"""The parts of the page that are written here: what a job does, its result, the models in use."""

from html import escape
from pathlib import Path

from cafa.generation.estimate import in_words
from cafa.service.jobs import Job, JobState
from cafa.service.limits import Limits
from cafa.service.models_in_use import InUse


def head_text(in_use: InUse, limits: Limits) -> str:
    """What stands above everything."""
    notes = [in_use.note, in_use.missing]
    said = "".join(f'<p class="cafa-note">{_with_code(text)}</p>' for text in notes if text)
    return (
        "<h1>cafa: new sound for a video</h1><p>Give a video and say what it should sound like; the sound follows the "
        f"picture. At most {limits.longest_seconds:g} s at once, of a video of at most "
        f"{in_words(limits.longest_video)} and {limits.largest_bytes / 1e6:g} MB. Uploads and results are "
        f"deleted after {limits.keep_hours:g} hours.</p>{said}"
    )


def _with_code(text: str) -> str:
    """Text with `code` as HTML."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if number % 2 else part for number, part in enumerate(parts))


def models_text(in_use: InUse) -> str:
    """Models and licences as a table."""
    rows = "".join(
        f"<tr><td>{escape(model.role)}</td><td>{escape(model.model)}</td><td>{'<br>'.join(map(escape, model.licences))}"
        f"{''.join(f'<br>{escape(page)}' for page in model.pages)}</td>"
        f"<td><code>{model.weights_sha256[:12]}</code></td></tr>"
        for model in in_use.models
    )
    heads = "<tr><th>part</th><th>model</th><th>licence of its weights</th><th>SHA-256 begins</th></tr>"
    return f'<table class="cafa-models">{heads}{rows}</table>'


def state_text(job: Job) -> str:
    """Where a job is, in a line and a bar."""
    if job.state is JobState.QUEUED:
        text = f"waiting: {job.position} before this one" if job.position else "waiting"
        return _state(f"<p>{text}{_note(job)}</p><progress></progress>")
    if job.state is JobState.RUNNING:
        shown = f'<progress max="1" value="{job.progress:.3f}"></progress>'
        left = "" if job.seconds_left is None else f", about {in_words(job.seconds_left)} left"
        return _state(f"<p>{escape(job.step)} ({100 * job.progress:.0f} %{left}){_note(job)}</p>{shown}")
    if job.state is JobState.FAILED:
        return fault_text(job.error or "this did not work")
    return _state(f"<p>{job.state.value}.{_note(job)}</p>")


def _note(job: Job) -> str:
    return f" Note: {escape(job.note)}." if job.note else ""


def fault_text(text: str) -> str:
    """Why something does not work."""
    return _state(f'<p class="cafa-error" role="alert">{escape(text)}</p>')


def _state(inner: str) -> str:
    return f'<div class="cafa-state" aria-live="polite">{inner}</div>'


def result_text(job: Job, folder: Path) -> str:
    """Players of all takes, each with its sound against its pictures.

    Parameters
    ----------
    job : Job
        That is done.
    folder : Path
        With its files.
    """
    return "".join(_take_text(job, number, folder) for number in range(len(job.takes)))


def _take_text(job: Job, number: int, folder: Path) -> str:
    take, place = job.takes[number], f"/v1/jobs/{job.id}/takes/{number}"
    suffix = Path(take.files["video"]).suffix.removeprefix(".")
    links = {"video": f"video ({suffix})", "wav": "sound (wav)", "flac": "sound (flac)"}
    shown = "".join(f'<a href="{place}/{kind}?download=true" download>{text}</a>' for kind, text in links.items())
    scores = "".join(f"; {escape(name)} {value:.3g}" for name, value in take.scores.items())
    which = f"Take {number + 1} of {len(job.takes)}: seed {take.seed}, {take.seconds:.2f} s{scores}. "
    line = f'role="slider" tabindex="0" aria-label="time" aria-valuemin="0" aria-valuemax="{take.seconds:.2f}"'
    return (
        f'<figure class="cafa-take" data-seconds="{take.seconds:.3f}"><video controls preload="metadata" '
        f'src="{place}/preview"></video><div class="cafa-line" {line} aria-valuenow="0">'
        f'{(folder / take.files["timeline"]).read_text()}<div class="cafa-now"></div></div>'
        f"<figcaption>{which}{shown}</figcaption></figure>"
    )
