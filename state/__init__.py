"""Stores: seed sets and centroids in RocksDB, the users' vectors, the bundle."""
