"""Which files a person means: names of files and models, and what they are for."""

from collections.abc import Collection, Iterable

from cafa.common.errors import InputError
from cafa.common.weight_files import PURPOSES, WeightSource

EVERYTHING = "all"


def published(sources: Iterable[WeightSource]) -> list[WeightSource]:
    """Rows of files that somebody publishes: not of those that were converted here."""
    return [source for source in sources if "#" not in source.url]


def models_of(sources: Iterable[WeightSource]) -> dict[str, list[WeightSource]]:
    """Files by the model that they are parts of, in the order of the table."""
    models: dict[str, list[WeightSource]] = {}
    for source in published(sources):
        models.setdefault(source.model_name, []).append(source)
    return models


def select(
    sources: dict[str, WeightSource], names: Collection[str] = (), purposes: Collection[str] = ()
) -> list[WeightSource]:
    """Files that are meant, in the order of the table, none twice.

    Parameters
    ----------
    sources : dict of str to WeightSource
        The table.
    names : collection of str
        Of models, each of which is all its files, or of single files.
    purposes : collection of str
        Of :data:`~cafa.common.weight_files.PURPOSES`, or ``all``.

    Raises
    ------
    InputError
        If a name is not in the table.
    """
    models = models_of(sources.values())
    known = {source.name for source in published(sources.values())}
    if unknown := [name for name in names if name not in models and name not in known]:
        raise InputError(f"the table of weights has no {', '.join(unknown)}; it has {', '.join(models)}")
    wanted = set(purposes)
    if EVERYTHING in wanted:
        wanted = set(PURPOSES)
    chosen = {part.name for name in names for part in models.get(name, [sources[name]] if name in known else [])}
    return [
        source
        for source in published(sources.values())
        if source.name in chosen or wanted & set(source.purposes.split())
    ]


def terms_text(source: WeightSource) -> str:
    """What a licence asks for, in words; empty where nothing must be accepted."""
    words = {
        "gated": "access must be asked for on its page with an account",
        "non-commercial": "commercial use is forbidden",
        "unstated": "its publisher grants no right that is written down",
    }
    return " and ".join(words[term] for term in source.terms.split())


def require_accepted(
    wanted: Iterable[WeightSource], names: Collection[str], before: dict[str, str]
) -> dict[str, list[WeightSource]]:
    """Files with terms, by model; all of these must be accepted.

    Parameters
    ----------
    wanted : iterable of WeightSource
        Files that are about to be fetched.
    names : collection of str
        Models, or files, whose terms are accepted now.
    before : dict of str to str
        Licences that were accepted before, by model.

    Raises
    ------
    InputError
        Naming every licence that is not accepted, where it is read, and what to give.
    """
    found: dict[str, list[WeightSource]] = {}
    for source in wanted:
        if source.terms:
            found.setdefault(source.model_name, []).append(source)
    missing = [
        model
        for model, files in found.items()
        if model not in names
        and before.get(model) != files[0].licence
        and not all(source.name in names for source in files)
    ]
    if missing:
        lines = [
            f"  {model}: {found[model][0].licence}: {terms_text(found[model][0])}. Read it at {found[model][0].page}"
            for model in missing
        ]
        options = " ".join(f"--accept {model}" for model in missing)
        raise InputError(
            "nothing was fetched: licences must be accepted by name.\n" + "\n".join(lines) + f"\nThen add {options}"
        )
    return found
