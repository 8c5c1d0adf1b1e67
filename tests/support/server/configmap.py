"""A folder as Kubernetes mounts a ConfigMap or a Secret: each file is a link through ..data."""

from __future__ import annotations

import shutil
from pathlib import Path


class ConfigMap:
    """`swap` puts other contents in the place of the files, at once, as the kubelet does."""

    def __init__(self, folder: Path, **files: str) -> None:
        self.folder = folder
        folder.mkdir()
        self._version = 0
        self.swap(**files)

    def swap(self, **files: str) -> None:
        """New contents by name; `routes_yaml` is the file routes.yaml. All files, as they are there."""
        self._version += 1
        data, before = self.folder / "..data", self.folder / f"..2026_{self._version - 1}"
        fresh = self.folder / f"..2026_{self._version}"
        fresh.mkdir()
        for name, text in files.items():
            path = self.path(name)
            (fresh / path.name).write_text(text)
            if not path.is_symlink():
                path.symlink_to(f"..data/{path.name}")
        turned = self.folder / "..data_tmp"
        turned.symlink_to(fresh.name)
        turned.replace(data)
        shutil.rmtree(before, ignore_errors=True)

    def path(self, name: str) -> Path:
        return self.folder / name.replace("_", ".")
