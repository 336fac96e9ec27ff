"""The paper's configuration with the judges that it offers in a comment: four published ones, one without weights."""

import re
from pathlib import Path

import yaml

from metrics.judges.kinds import JUDGES
from tests.snakemake_starts import snakemake

ROOT = Path(__file__).resolve().parents[2]
COLUMNS = [
    *("FAD", "FD_PaSST", "FD_VGG", "KL", "KL_PaSST", "IS", "IS_PaSST", "IB", "DeSync", "CLAP", "MS_CLAP"),
    *("PQ", "PC", "CE", "CU", "LUFS", "True_peak", "Silence", "Clipping"),
]


def test_a_line_of_the_papers_configuration_adds_the_other_published_judges(tmp_path: Path) -> None:
    (line,) = re.findall(r"^# (judges: \{.*\})$", (ROOT / "config/paper.yaml").read_text(), re.MULTILINE)
    more = {**yaml.safe_load(line), "tables": {"table2": {"metrics": COLUMNS}}}
    (tmp_path / "more.yaml").write_text(yaml.safe_dump(more))
    done = snakemake(
        *("--dry-run", "--printshellcmds", "--cores", "1"),
        *(f"results/paper/{file}" for file in ("scores/vggsound_sparse/reference.parquet", "judges.json")),
        *("--configfile", str(ROOT / "config/paper.yaml"), str(tmp_path / "more.yaml")),
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    printed = done.stdout + done.stderr
    registered = set(re.findall(r"cafa judges register (\w+) ", printed))
    assert registered == {name for name, kind in JUDGES.items() if kind.opener.startswith("metrics.")}
    assert len(registered) == 9
    outputs = [set(line.split(", ")) for line in re.findall(r"^    output: (.*)$", printed, re.MULTILINE)]
    folder = "results/paper/embeddings/vggsound_sparse"
    assert {f"{folder}/text.parquet", f"{folder}/ms_clap.text.parquet"} in outputs
    assert {f"{folder}/reference/0/{name}.parquet" for name in (*registered, "index")} in outputs
    kept = {f"{folder}/reference_set/0/{file}" for file in ("video.arrow", "ledger.parquet")}
    assert {*kept, *(f"{folder}/reference_set/0/{name}.parquet" for name in registered)} in outputs
