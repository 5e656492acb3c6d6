"""What every room builds on: records, errors, protocols, reading and writing files, resuming, progress."""
