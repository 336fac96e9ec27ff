"""Which models make the sound, and under which licences they are."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from cafa.common.files import read_json
from cafa.common.weight_files import WeightSource, read_weight_sources
from cafa.models.folders import CARD

MINIATURE = (
    "These models know only the miniature's world: twelve kinds of sounds of drawn scenes, such as a dog that barks or "
    "a hammer that drives nails. They show how it works, not how good it is."
)
GET = "`cafa weights get --for generate` fetches the published model; start again afterwards."


class ModelInUse(BaseModel):
    """A model folder of the pipeline."""

    role: str = Field(description="name of the folder: backbone, adapter, ...")
    model: str = Field(description="what it is")
    licences: list[str] = Field(description="of its weights, as their publishers state them")
    pages: list[str] = Field(description="where the licences can be read")
    weights_sha256: str


class InUse(BaseModel):
    """All models of a service."""

    models: list[ModelInUse]
    miniature: bool = Field(description="the models were trained on the rendered world alone")
    guidance_scale: float = Field(description="strength of the text unless a job says otherwise")
    note: str = Field("", description="what these models know, in words")
    missing: str = Field("", description="what there is besides, and the command that gets it")


def models_in_use(folder: Path, roles: list[str], guidance_scale: float) -> InUse:
    """Read the cards of model folders.

    Parameters
    ----------
    folder : Path
        Folder of model folders.
    roles : list of str
        Their names; one that is not there is left out.
    guidance_scale : float
        Of these models.
    """
    rows = list(read_weight_sources().values())
    cards = {role: read_json(folder / role / CARD) for role in roles if (folder / role / CARD).is_file()}
    models = [_in_use(role, card, rows) for role, card in cards.items()]
    miniature = not any("files" in card for card in cards.values())
    return InUse(
        models=models,
        miniature=miniature,
        guidance_scale=guidance_scale,
        note=MINIATURE if miniature else "",
        missing=GET if miniature else "",
    )


def _in_use(role: str, card: dict[str, Any], rows: list[WeightSource]) -> ModelInUse:
    if "files" not in card:
        data = card.get("data", {}).get("name")
        model = f"{card['kind']}, trained here" + (f" on {data}" if data else "")
        licences, pages = ["MIT, as this project"], []
    else:
        model, found = card["model"], _rows_of(card, rows)
        licences = sorted({row.licence for row in found}) or ["not known: these files are in no table of weights"]
        pages = sorted({row.page for row in found if row.page})
    return ModelInUse(role=role, model=model, licences=licences, pages=pages, weights_sha256=card["weights_sha256"])


def _rows_of(card: dict[str, Any], rows: list[WeightSource]) -> list[WeightSource]:
    """Rows of the table that are a model's files, by their digests or by the file or folder that they are read from."""
    digests, places = set(card["files"].values()), {Path(place).name for place in card["places"].values()}
    return [row for row in rows if row.sha256 in digests or places & set(Path(row.relative_path).parts)]
