"""The only room, besides the diagrams, that knows Bytewax."""
