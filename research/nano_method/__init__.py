"""From the nano's base to the nano, by the project's own method."""
