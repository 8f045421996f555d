"""The contract is held to the same flows as the integration tests."""

from integration.conftest import bundle, client, flow

__all__ = ["bundle", "client", "flow"]
