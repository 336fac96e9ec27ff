"""What an address of a clip says, apart from tables of clips: whoever only reads settings imports no pandas."""

import re

REMOTE = re.compile(r"https?://[^\s/]+", re.IGNORECASE)


def is_remote(uri: str) -> bool:
    """Whether a URI is http(s): its file must be fetched before ingest."""
    return REMOTE.match(uri) is not None
