"""Sources, sinks, messages, operators, the dataflows and the command line."""
