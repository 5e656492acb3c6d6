"""The importers' tests need the libraries of the extra `import`."""

import pytest

for _library in ("av", "h5py", "lzfse", "OpenEXR", "pillow_heif", "rosbags"):
    pytest.importorskip(_library, reason="needs the extra 'import'")
