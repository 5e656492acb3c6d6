"""`python -m spatialreasoner` is the command line."""

from spatialreasoner.cli import main

if __name__ == "__main__":
    main()
