"""Memory grows after an attempt that was killed, and after no other; tried with Snakemake and a rule of our own."""

from pathlib import Path

import pytest

from tests.snakemake_starts import snakemake

ROOT = Path(__file__).resolve().parents[2]
RULE = """
include: "{root}/workflow/rules/common.smk"
include: "{root}/workflow/rules/jobs.smk"
include: "{root}/workflow/rules/run_lock.smk"


rule fails:
    output:
        "<results>/done/{{name}}.txt",
    log:
        "<logs>/fails/{{name}}.log",
    resources:
        mem_mb=scaled_memory(100),
    params:
        attempt="{folder}/attempt.sh",
    shell:
        "bash {{params.attempt}} {{resources.mem_mb}} $$ {{output:q}} 2>&1 | tee {{log:q}}"


onstart:
    take_run_lock()
"""
#: an attempt: writes its memory down; the fourth one succeeds
ATTEMPT = """
echo $1 >> {folder}/memory
number=$(wc -l < {folder}/memory)
if [ $number -ge 4 ]; then touch "$3"; exit 0; fi
{end}
"""


@pytest.mark.parametrize(
    ("end", "wanted"),
    [
        ("exit 1", [100, 100, 100, 100]),
        ("exit 143", [100, 100, 100, 100]),  # asked to end, by a time limit
        ("kill -9 $$", [100, 200, 300, 300]),
        ("kill -9 $2; kill -9 $$", [100, 200, 300, 300]),  # the shell of the job as well
        ("[ $number = 1 ] && exit 143; kill -9 $$", [100, 100, 200, 300]),
    ],
)
def test_memory_grows_after_a_kill_alone(tmp_path: Path, end: str, wanted: list[int]) -> None:
    (tmp_path / "attempt.sh").write_text(ATTEMPT.format(folder=tmp_path, end=end))
    snakefile = ROOT / f".attempts-{tmp_path.name}.smk"
    snakefile.write_text(RULE.format(root=ROOT, folder=tmp_path))
    results = tmp_path / "results"
    options = ["--cores", "1", "--retries", "3", "--nolock", "--config", f"results={results}"]
    try:
        done = snakemake("--snakefile", str(snakefile), *options, "--", f"{results}/done/a.b.txt", cwd=ROOT)
    finally:
        snakefile.unlink()
    assert done.returncode == 0, done.stderr
    assert [int(line) for line in (tmp_path / "memory").read_text().split()] == wanted, done.stderr
