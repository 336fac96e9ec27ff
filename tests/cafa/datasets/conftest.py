"""The mirror of the tests of fetching serves lists, too."""

from tests.cafa.fetch.conftest import mirror

__all__ = ["mirror"]
