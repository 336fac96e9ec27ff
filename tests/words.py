"""Words of a command line, as keywords."""

from collections.abc import Iterable


def words(*verb: str, **options: object) -> list[str]:
    """``words("embed", "text", batch_size=2)`` is ``["embed", "text", "--batch-size", "2"]``.

    A list repeats its option.
    """
    found = list(verb)
    for name, value in options.items():
        values = value if isinstance(value, Iterable) and not isinstance(value, str) else [value]
        found += [word for one in values for word in (f"--{name.replace('_', '-')}", str(one))]
    return found
