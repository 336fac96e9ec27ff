"""Licences of the judges that made a result."""

from functools import cache

from cafa.models.weights import WeightSource, read_weight_sources
from metrics.judges.kinds import JUDGES


def licences_of(judge: str, weights_sha256: str) -> dict[str, str]:
    """Licences of a judge's published files.

    Parameters
    ----------
    judge : str
        Name in :data:`metrics.judges.kinds.JUDGES`, or of a judge that is not registered here.
    weights_sha256 : str
        Of the weights that judged.

    Returns
    -------
    dict of str to str
        Row of the table of weights -> its licence, in the words of that table. Empty where the weights are not the
        published ones: of judges without a small form, which have no others, also where the table has no digest.
    """
    if judge not in JUDGES or not JUDGES[judge].weights:
        return {}
    sources, rows = _sources(), JUDGES[judge].weights
    network = sources.get(rows[0])
    if network is None:
        return {}
    published = network.sha256 == weights_sha256 or (not network.sha256 and JUDGES[judge].miniature is None)
    return {name: sources[name].licence for name in rows if name in sources} if published else {}


@cache
def _sources() -> dict[str, WeightSource]:
    return read_weight_sources()
