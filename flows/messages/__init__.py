"""The contract: message types, their codec, what is refused and why, dead letters, columns."""
