"""The app: draw regions on a picture, ask, and read the answer with its statements checked, in a browser or a terminal."""
