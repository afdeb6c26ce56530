"""What the readers share: opening a file of ours, attributes as plain Python values, columns as frames."""

import h5py
import numpy as np

MAJOR = 1


class FormatError(ValueError):
    """The file is not one of halfspec's, or of a version that this module does not know."""


def kind_of(path):
    """The format's name, e.g. "halfspec-run"."""
    with h5py.File(path, "r") as file:
        return _kind(file, path)


def _kind(file, path):
    kind, version = file.attrs.get("format"), str(file.attrs.get("format_version", ""))
    if not isinstance(kind, str) or not kind.startswith("halfspec-"):
        raise FormatError(f"{path}: an HDF5 file, but none of halfspec's")
    if not version.split(".")[0].isdigit() or int(version.split(".")[0]) > MAJOR:
        raise FormatError(f"{path}: format version {version} is newer than this module knows; use a newer halfspec")
    return kind


class Reader:
    """Opens the file anew for every access: a run that goes on replaces it, so what is read is always the newest, and never half of it."""

    kind = None

    def __init__(self, path):
        self.path = str(path)
        found = kind_of(self.path)
        if found != self.kind:
            raise FormatError(f"{self.path}: a {found} file, not a {self.kind} file")

    def _file(self):
        return h5py.File(self.path, "r")

    def __repr__(self):
        return f"<{type(self).__name__} {self.path}>"

    @property
    def provenance(self):
        """Where the file comes from: version, command line, configuration, data, hosts, ..."""
        with self._file() as file:
            return attributes(file["provenance"])

    @property
    def config(self):
        """The resolved configuration, {key: text}."""
        lines = (line.split("#", 1)[0].partition("=") for line in self.provenance["config_text"].splitlines())
        return {key.strip(): value.strip() for key, equal, value in lines if equal}


def attributes(node):
    """Attributes of a group or data set as str, int, float or arrays; those of HDF5's own dimension scales left out."""
    own = {"DIMENSION_LIST", "REFERENCE_LIST", "CLASS", "NAME"}
    return {name: _plain(node.attrs[name]) for name in node.attrs if name not in own}


def _plain(value):
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, np.generic):
        return value.item()
    return value


def column(data):
    """A data set as an array, texts as str objects."""
    if h5py.check_string_dtype(data.dtype):
        return data.asstr()[()]
    return data[()]


def frame(group):
    """The data sets of a group with as many rows as the first, as a pandas frame; as a dict of arrays where pandas is missing."""
    columns = {name: column(node) for name, node in group.items() if isinstance(node, h5py.Dataset) and node.ndim == 1}
    try:
        import pandas
    except ImportError:
        return columns
    return pandas.DataFrame(columns)
