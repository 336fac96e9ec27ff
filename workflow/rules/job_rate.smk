"""Snakemake's own limit of jobs per second, which costs time, is off unless it was set."""


def start_jobs_as_they_come():
    """Take the limit of 100 jobs a second from the scheduler; any other limit stays.

    Without an option Snakemake (9.27) starts at most 100 jobs a second. To keep to this it looks at all ready jobs again
    a second after each look, and each of these looks orders the next one: so do those after every job that ended, and
    they never stop: a tenth of a core after 80 jobs. The cores are limit enough here, and `jobs` of the profile on a
    cluster. To limit submissions: `--max-jobs-per-timespan 10/1s`.
    """
    limit = workflow.scheduling_settings.max_jobs_per_timespan
    if limit is not None and (limit.max_jobs, limit.timespan) == (100, 1):
        workflow.scheduler.job_rate_limiter = None
