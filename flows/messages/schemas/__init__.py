"""The JSON Schemas and the AsyncAPI document of the messages, and what makes them."""
