"""The description of a bundle as an RO-Crate 1.1: which files there are, what they are, their checksums and licence.

Source
------
RO-Crate Metadata Specification 1.1.
"""

import datetime
from collections.abc import Mapping
from typing import Any

from metrics.results.document import Judge, ResultsDocument

#: Name of the description, which the specification fixes.
CRATE = "ro-crate-metadata.json"
_KINDS = {
    ".json": "application/json",
    ".csv": "text/csv",
    ".md": "text/markdown",
    ".tex": "application/x-tex",
    ".parquet": "application/vnd.apache.parquet",
}
_MEANINGS = {
    "results.json": "values, intervals, differences and protocol",
    "results.schema.json": "JSON Schema of results.json",
    "table.tex": "the table for LaTeX (booktabs)",
    "table.md": "the table in Markdown",
    "source/clips.parquet": "every sound with what became of it and its scores",
    "source/missing.csv": "sounds without a score, and why",
}


def crate_of(
    document: ResultsDocument, files: Mapping[str, tuple[str, int]], licence: str, author: str
) -> dict[str, Any]:
    """Content of ``ro-crate-metadata.json``.

    Parameters
    ----------
    document : ResultsDocument
    files : mapping of str to (str, int)
        Path inside the bundle -> SHA-256 and size in bytes.
    licence : str
        SPDX identifier, or an address.
    author : str
        Empty: not said.
    """
    address = licence if licence.startswith(("http://", "https://")) else f"https://spdx.org/licenses/{licence}"
    versions = document.versions
    root: dict[str, Any] = {
        "@id": "./",
        "@type": "Dataset",
        "name": document.title,
        "description": document.meaning or f"Scores of {len(document.systems)} systems of generated sound",
        "datePublished": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "license": {"@id": address},
        "hasPart": [{"@id": name} for name in files],
        "mentions": [{"@id": "#evaluation"}],
    }
    entities: list[dict[str, Any]] = [
        {
            "@id": CRATE,
            "@type": "CreativeWork",
            "about": {"@id": "./"},
            "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
        },
        root,
        {"@id": address, "@type": "CreativeWork", "name": licence},
        {
            "@id": "#cafa",
            "@type": "SoftwareApplication",
            "name": "cafa",
            "version": versions.get("cafa", "unknown"),
        },
        {
            "@id": "#evaluation",
            "@type": "CreateAction",
            "name": "evaluation",
            "instrument": {"@id": "#cafa"},
            "result": [{"@id": name} for name in files],
            "object": [{"@id": f"#judge-{name}"} for name in document.protocol.judges],
        },
        *(_judge(name, judge) for name, judge in document.protocol.judges.items()),
    ]
    if author:
        root["author"] = {"@id": "#author"}
        entities.append({"@id": "#author", "@type": "Person", "name": author})
    for name, (sha256, size) in files.items():
        entity = {
            "@id": name,
            "@type": "File",
            "name": name.rpartition("/")[2],
            "encodingFormat": _KINDS.get(f".{name.rpartition('.')[2]}", "application/octet-stream"),
            "contentSize": str(size),
            "sha256": sha256,
            "license": {"@id": address},
        }
        if name in _MEANINGS:
            entity["description"] = _MEANINGS[name]
        entities.append(entity)
    # sha256 is no term of the context of version 1.1, so it is added
    term = {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"}
    return {"@context": ["https://w3id.org/ro/crate/1.1/context", term], "@graph": entities}


def _judge(name: str, judge: Judge) -> dict[str, Any]:
    """A network that judged: the digest of its weights, and what the licences of its files are called."""
    entity = {"@id": f"#judge-{name}", "@type": "SoftwareApplication", "name": name, "version": judge.weights_sha256}
    if judge.licences:
        entity["license"] = "; ".join(f"{row}: {licence}" for row, licence in judge.licences.items())
    return entity
