"""The path of a request: the live index of centroids, and the scores of a user against it."""
