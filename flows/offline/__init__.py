"""From clicks to a bundle, and the comparison with other models."""
