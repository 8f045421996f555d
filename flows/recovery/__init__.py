"""The engine's recovery files: what they know, whether they are sound, and the checksums in them."""
