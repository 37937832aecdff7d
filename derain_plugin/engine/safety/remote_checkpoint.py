"""mmengine's addresses of checkpoints: it finds the file, and :mod:`checkpoint` reads it.

mmengine's own loaders for them fetch and unpickle in one go.
"""

import sys
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlparse

import torch
from mmengine.dist import barrier, get_rank
from mmengine.fileio import get_file_backend
from mmengine.runner import checkpoint as addresses

from derain_plugin.engine.safety.checkpoint import read_checkpoint


def load_from_http(filename: str, map_location: Any = None) -> dict:
    """Load ``http(s)://...``, which is kept where ``torch.hub`` keeps downloads."""
    path = Path(torch.hub.get_dir(), "checkpoints", Path(urlparse(filename).path).name)
    if get_rank() == 0:
        _download(filename, path)
    barrier()
    _download(filename, path)  # on other machines
    return read_checkpoint(path, filename, map_location)


def load_from_torchvision(filename: str, map_location: Any = None) -> dict:
    """Load ``torchvision://<name>``."""
    return load_from_http(addresses.get_torchvision_models()[_name(filename)], map_location)


def load_from_openmmlab(filename: str, map_location: Any = None) -> dict:
    """Load ``openmmlab://<name>``, which may be a file below ``MMENGINE_HOME``."""
    name = _name(filename)
    name = addresses.get_deprecated_model_names().get(name, name)
    address = addresses.get_external_models()[name]
    if address.startswith(("http://", "https://")):
        return load_from_http(address, map_location)
    # Only this function knows mmengine's rules for its folder.
    path = Path(addresses._get_mmengine_home(), address)
    if not path.is_file():
        raise FileNotFoundError(f"{filename} stands for {path}, which is not a file")
    return read_checkpoint(path, filename, map_location)


def load_from_mmcls(filename: str, map_location: Any = None) -> dict:
    """Load the backbone of ``mmcls://<name>``."""
    loaded = load_from_http(addresses.get_mmcls_models()[_name(filename)], map_location)
    weights = loaded.get("state_dict", loaded)
    prefix = "backbone."
    return dict(
        state_dict={
            key.removeprefix(prefix): value
            for key, value in weights.items()
            if key.startswith(prefix)
        }
    )


def load_from_pavi(filename: str, map_location: Any = None) -> dict:
    """Load ``pavi://<model>`` of SenseTime's model cloud, whose package must be installed."""
    from pavi import modelcloud  # type: ignore[import-not-found]

    model = modelcloud.get(_name(filename))
    with TemporaryDirectory() as folder:
        path = Path(folder, model.name)
        model.download(str(path))
        return read_checkpoint(path, filename, map_location)


def load_from_ceph(filename: str, map_location: Any = None) -> dict:
    """Load ``s3://...`` or ``petrel://...``."""
    backend = get_file_backend(filename, backend_args=dict(backend="petrel"))
    return read_checkpoint(BytesIO(backend.get(filename)), filename, map_location)


def _download(address: str, path: Path) -> None:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(address, str(path), progress=sys.stderr.isatty())


def _name(filename: str) -> str:
    return filename.partition("://")[2]
