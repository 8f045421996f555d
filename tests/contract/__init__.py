"""The contract as its readers see it: with AsyncAPI's own parser, as types in four languages, and on the wire."""
