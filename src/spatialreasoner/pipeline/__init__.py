"""One verb per stage: what users and the command line call."""
