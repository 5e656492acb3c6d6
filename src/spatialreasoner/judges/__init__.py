"""Models that grade what geometry cannot, and how far they agree with it."""
