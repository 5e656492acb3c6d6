"""The engine that patterns run on, with its part in C."""
