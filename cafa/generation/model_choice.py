"""Which model folders are meant: a folder of them, or the name of an adapter in one."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cafa.common.errors import InputError, WeightsError
from cafa.common.files import read_json
from cafa.generation.published_models import NAME, MissingWeightsError, published_models
from cafa.models.folders import CARD

RESULTS = Path("results/models")


def choose_models(folder_or_name: str | Path, models: Path) -> tuple[Path, str | None]:
    """Folder of model folders, and the name of an adapter where one is meant.

    Parameters
    ----------
    folder_or_name : path
        A folder of model folders, the name of an adapter below `models`, or ``cafa``: the published model, from the
        files that `cafa weights get --for generate` fetched.
    models : path
        Folder of model folders, where a name is given.

    Returns
    -------
    (Path, str or None)

    Raises
    ------
    WeightsError
        If it is neither; lists the adapters that there are.
    """
    folder, name = Path(folder_or_name), str(folder_or_name)
    if any(folder.glob(f"*/{CARD}")):
        return folder, None
    adapters = [found for found, card in _cards(models) if is_adapter(card)]
    if name in adapters:
        return models, name
    if name == NAME:
        return published_models(), None
    if folder.is_dir():
        return folder, None  # whoever opens the models says which are missing
    there = f"the adapters in {models} are {', '.join(adapters)}" if adapters else f"there is no adapter in {models}"
    raise WeightsError(
        f"{name!r} is neither a folder of model folders nor the name of an adapter: {there}; "
        "`cafa models register` registers pretrained ones, `make table1` trains the miniature's; "
        "`models` names another folder"
    )


def default_models(backbone: str, adapter: str, say: Callable[[str], None]) -> Path:
    """Folder of the models that are used where none is named.

    ``results/models`` if it holds these two; else the published model, from the files that `cafa weights get --for
    generate` fetched, unless other names than ``backbone`` and ``adapter`` are wanted.

    Parameters
    ----------
    backbone, adapter : str
        Names of the model folders.
    say : callable
        Gets lines for a person.

    Raises
    ------
    WeightsError
        If neither is there; says how to get them.
    """
    wanted = (backbone, adapter)
    if all((RESULTS / name / CARD).is_file() for name in wanted) or wanted != ("backbone", "adapter"):
        return RESULTS
    try:
        return published_models(say=say)
    except MissingWeightsError as error:
        raise WeightsError(
            f"no models in {RESULTS} (missing: {', '.join(n for n in wanted if not (RESULTS / n / CARD).is_file())}), "
            f"and {error}. `make table1` trains the miniature's models in about ten minutes; `cafa models register` "
            "registers pretrained ones (docs/full_size.md); --models names another folder"
        ) from error


def backbone_of(models: Path, adapter: str) -> str:
    """Name of the backbone in a folder of models that an adapter belongs to.

    It is the one whose weights the adapter's card names or, where a published adapter was not compared with one, of the
    kind that the card names. Of several that are equal, the one called ``backbone`` is taken.

    Raises
    ------
    WeightsError
        If it is not there.
    InputError
        If several of the kind are there, and none is called ``backbone``.
    """
    card = read_json(models / adapter / CARD)
    cards = {name: other for name, other in _cards(models) if not is_adapter(other)}
    if (digest := card.get("backbone_sha256")) is not None:
        found = [name for name, other in cards.items() if other.get("weights_sha256") == digest]
        wanted = f"with the digest {digest[:12]}"
    else:
        found = [name for name, other in cards.items() if other.get("model") == card.get("backbone_model")]
        wanted = f"of the kind {card.get('backbone_model')}"
        if len(found) > 1 and "backbone" not in found:
            raise InputError(
                f"adapter {adapter} is for a backbone {wanted}, and {models} has several: {', '.join(found)}; name one"
            )
    if not found:
        raise WeightsError(
            f"adapter {adapter} belongs to a backbone {wanted}, which is not in {models} "
            f"(there are {', '.join(cards) or 'none'}): register or train it there"
        )
    return "backbone" if "backbone" in found else found[0]


def is_adapter(card: dict[str, Any]) -> bool:
    """Whether a card is that of an adapter: it says which backbone it belongs to."""
    return "backbone_sha256" in card or "backbone_model" in card


def _cards(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(folder.glob(f"*/{CARD}")):
        yield path.parent.name, read_json(path)
