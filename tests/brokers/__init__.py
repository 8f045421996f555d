"""The brokers that the integration tests run on, and the choice between them."""
