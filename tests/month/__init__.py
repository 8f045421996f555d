"""A month compressed in time: items and users come and go, and what the flow keeps and takes must not grow."""
