"""The queue: one job after the other, in order; whatever a visitor or a fault does, the others' jobs go on."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cafa.common.errors import FolderInUseError
from cafa.service.engine import ENDED_BY_SERVER, Engine
from cafa.service.errors import FolderFullError, NotReadyError, QueueFullError, RefusedError, UnknownError
from cafa.service.jobs import RECORD, Job, JobRequest, JobState
from cafa.service.limits import Limits
from tests.cafa.service.makers import FILES, SteppingMaker, until_ended, until_running


@pytest.fixture
def maker() -> SteppingMaker:
    return SteppingMaker(free=False)


@pytest.fixture
def engine(maker: SteppingMaker, tmp_path: Path) -> Iterator[Engine]:
    with Engine(maker, tmp_path / "service", Limits(queue_length=3, most_takes=2)) as engine:
        yield engine


def asked(engine: Engine, video: Path, prompt: str = "a dog", **more: object) -> JobRequest:
    with video.open("rb") as file:
        return JobRequest(video=engine.videos.copy(file, video.name).id, prompt=prompt, **more)  # type: ignore[arg-type]


def files_of(engine: Engine, job: Job) -> set[str]:
    return {path.name for path in engine.folder_of(job.id).iterdir()}


def test_jobs_are_made_in_order_and_their_progress_never_falls(
    engine: Engine, maker: SteppingMaker, video: Path
) -> None:
    first = engine.submit(asked(engine, video, "first"))
    until_running(engine, first.id)
    second, third = (engine.submit(asked(engine, video, prompt)) for prompt in ("second", "third"))
    assert [engine.job(job.id).position for job in (first, second, third)] == [0, 1, 2]
    assert engine.load() == (2, True)
    maker.let()
    for job in (first, second, third):
        shares = [seen.progress for seen in until_ended(engine, job.id)]
        assert shares == sorted(shares)
        assert shares[-1] == 1
        assert engine.job(job.id).state is JobState.DONE
        assert files_of(engine, job) == {RECORD, *FILES.values()}
    assert maker.made == ["first", "second", "third"]


def test_a_job_that_waits_is_cancelled_at_once_and_the_next_moves_up(
    engine: Engine, maker: SteppingMaker, video: Path
) -> None:
    jobs = [engine.submit(asked(engine, video, name)) for name in ("first", "second", "third")]
    until_running(engine, jobs[0].id)
    assert engine.cancel(jobs[1].id).state is JobState.CANCELLED
    assert engine.job(jobs[2].id).position == 1
    maker.let()
    until_ended(engine, jobs[2].id)
    assert maker.made == ["first", "third"]
    assert engine.cancel(jobs[0].id).state is JobState.DONE
    with pytest.raises(NotReadyError, match="is cancelled"):
        engine.file(jobs[1].id, 0, "wav")


def test_a_job_that_runs_ends_at_its_next_step_and_leaves_nothing(
    engine: Engine, maker: SteppingMaker, video: Path
) -> None:
    job, other = (engine.submit(asked(engine, video, name)) for name in ("first", "second"))
    until_running(engine, job.id)
    with pytest.raises(NotReadyError, match="is running"):
        engine.file(job.id, 0, "wav")
    engine.cancel(job.id)
    assert until_ended(engine, job.id)[-1].state is JobState.CANCELLED
    assert files_of(engine, job) == {RECORD}
    maker.let()
    assert until_ended(engine, other.id)[-1].state is JobState.DONE


def test_a_fault_ends_one_job_alone(
    engine: Engine, maker: SteppingMaker, video: Path, capsys: pytest.CaptureFixture
) -> None:
    maker.let()
    jobs = [engine.submit(asked(engine, video, prompt)) for prompt in ("too many words", "a fault", "a dog")]
    ended = [until_ended(engine, job.id)[-1] for job in jobs]
    assert [job.state.value for job in ended] == ["failed", "failed", "done"]
    assert ended[0].error == "the prompt has too many words"
    assert ended[1].error == "a fault of the service (ZeroDivisionError)"
    assert "Traceback" in capsys.readouterr().err


def test_what_is_too_much_or_not_known_is_refused(engine: Engine, video: Path) -> None:
    request = asked(engine, video)
    with pytest.raises(RefusedError, match="3 takes are wanted, at most 2"):
        engine.submit(request.model_copy(update={"takes": 3}))
    for name in ("0" * 32, "../videos", "", "a" * 40):
        with pytest.raises(UnknownError, match="no such video"):
            engine.submit(request.model_copy(update={"video": name}))
        with pytest.raises(UnknownError, match="no such job"):
            engine.cancel(name)
    until_running(engine, engine.submit(request).id)
    for _ in range(3):
        engine.submit(request)
    with pytest.raises(QueueFullError, match="3 jobs wait already"):
        engine.submit(request)


def test_results_count_as_well_as_uploads(maker: SteppingMaker, video: Path, tmp_path: Path) -> None:
    maker.let()
    room = video.stat().st_size + 10
    with Engine(maker, tmp_path, Limits(folder_bytes=room, keep_hours=0.2 / 3600)) as engine:
        request = asked(engine, video)
        until_ended(engine, engine.submit(request).id)
        assert engine.videos.result_bytes == len(FILES) * len(b"<svg/>")
        with pytest.raises(FolderFullError, match="room for uploads and results is full"):
            engine.submit(request)
    with Engine(maker, tmp_path, Limits(folder_bytes=room, keep_hours=0.2 / 3600)) as engine:
        assert engine.videos.result_bytes == len(FILES) * len(b"<svg/>")
        time.sleep(0.3)
        engine.clean()
        assert engine.videos.result_bytes == 0
        assert asked(engine, video)


def test_one_service_at_a_time_has_a_folder(engine: Engine) -> None:
    import threading

    found: list[Exception] = []

    def open_again() -> None:
        try:
            Engine(SteppingMaker(), engine.folder)
        except FolderInUseError as error:
            found.append(error)

    thread = threading.Thread(target=open_again)
    thread.start()
    thread.join()
    assert "another run writes to" in str(found[0])


def test_a_service_that_starts_again_knows_its_jobs(maker: SteppingMaker, video: Path, tmp_path: Path) -> None:
    with Engine(maker, tmp_path) as engine:
        done = engine.submit(asked(engine, video))
        maker.let(4)
        until_ended(engine, done.id)
        running, waiting = (engine.submit(asked(engine, video)) for _ in range(2))
        until_running(engine, running.id)
    states = {job.id: job.model_copy() for job in (running, waiting)}
    (tmp_path / "jobs" / "notes of a person").mkdir()
    (tmp_path / "jobs" / ("f" * 32)).mkdir()  # of a service that was killed before it wrote the record
    lost = tmp_path / "jobs" / running.id
    states[running.id].write(lost)  # as a kill leaves it
    (lost / "0.wav").write_bytes(b"half")
    with Engine(maker, tmp_path) as engine:
        assert engine.file(done.id, 0, "wav").read_bytes() == b"<svg/>"
        for job in (running, waiting):
            assert (engine.job(job.id).state, engine.job(job.id).error) == (JobState.FAILED, ENDED_BY_SERVER)
            assert files_of(engine, job) == {RECORD}
        assert engine.videos.get(done.request.video).seconds == 1.0
    assert (tmp_path / "jobs" / "notes of a person").is_dir()
    assert not (tmp_path / "jobs" / ("f" * 32)).exists()


def test_what_is_old_is_deleted_unless_it_is_needed(maker: SteppingMaker, video: Path, tmp_path: Path) -> None:
    with Engine(maker, tmp_path, Limits(keep_hours=0.2 / 3600)) as engine:
        unused = asked(engine, video).video
        done = engine.submit(asked(engine, video))
        maker.let(4)
        until_ended(engine, done.id)
        running = engine.submit(asked(engine, video))
        until_running(engine, running.id)
        time.sleep(0.3)
        engine.clean()
        for name in (done.request.video, unused):
            with pytest.raises(UnknownError):
                engine.videos.get(name)
        with pytest.raises(UnknownError):
            engine.job(done.id)
        assert engine.videos.get(running.request.video)
        assert {path.name for path in (tmp_path / "jobs").iterdir()} == {running.id}
