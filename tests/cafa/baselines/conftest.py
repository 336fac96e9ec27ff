from tests.cafa.weights.conftest import _no_real_hosts, server

__all__ = ["_no_real_hosts", "server"]
