"""What the page says of a job."""

import pytest

from cafa.service.jobs import Job, JobRequest, JobState
from cafa.service.page_text import state_text


@pytest.mark.parametrize("state", sorted(set(JobState) - {JobState.FAILED}))
def test_a_note_is_shown_from_the_beginning(state: JobState) -> None:
    job = Job(
        id="0" * 32, state=state, note="the prompt is cut after 'a <b>'", request=JobRequest(video="v", prompt="a")
    )
    assert "Note: the prompt is cut after &#x27;a &lt;b&gt;&#x27;." in state_text(job)
