"""The way of a click: seed sets by partition, windows, clustering, centroids."""
