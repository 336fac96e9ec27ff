"""Seeds that depend on what is made, never on when or where it is made."""

import hashlib


def seed_for(base: int, *parts: str | int) -> int:
    """Seed of one thing, e.g. ``seed_for(base, clip_id, caption_id)``.

    Returns
    -------
    int
        In [0, 2**63), the same on every machine and Python version.
    """
    text = "\x1f".join(str(part) for part in (base, *parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
