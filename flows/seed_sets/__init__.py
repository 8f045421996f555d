"""The path of a click: seed sets by partition, windows, clustering, centroids."""
