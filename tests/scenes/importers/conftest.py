"""The importers' tests need the libraries of the extra `import`."""

from importlib.util import find_spec

LIBRARIES = ("av", "h5py", "lzfse", "OpenEXR", "pillow_heif", "rosbags")

collect_ignore_glob = [] if all(find_spec(library) for library in LIBRARIES) else ["test_*.py"]
