"""The mirror of the tests of fetching serves lists, too."""

from tests.cafa.data.fetch.conftest import mirror

__all__ = ["mirror"]
