"""One small module for each public data set, all read into one common layout."""
