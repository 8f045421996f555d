"""The trained model as files: written whole, checked, memory-mapped."""
