"""The whole system on real clicks: what is replayed, how it is driven, and what is read back from the topics."""
