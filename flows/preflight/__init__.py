"""What is looked at before the engine starts, so that what is wrong is said in a line, with what to do."""
