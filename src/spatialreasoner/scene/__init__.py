"""Earlier paths of `spatialreasoner.scenes`, kept for code that uses them."""
