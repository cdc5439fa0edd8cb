"""The file of a checkpoint: replaced as a whole, or not at all."""

import os
import pickle
import secrets
from contextlib import suppress
from glob import escape
from pathlib import Path
from typing import Any

from sknn_notes._version import __version__

# Both lines can be read without unpickling anything.
_FIRST_LINE = b"sknn_notes checkpoint\n"
_SECOND_LINE = f"version {__version__}\n".encode()


def check_writable(path: Path) -> None:
    """Raise OSError unless a file can be written; remove what a killed process left.

    Parameters
    ----------
    path : Path
    """
    folder = path.parent
    if not folder.is_dir():
        raise FileNotFoundError(
            f"The checkpoint {path} can't be written: there is no folder {folder}. "
            "Create it, or pass another path."
        )
    if path.is_dir():
        raise IsADirectoryError(
            f"The checkpoint {path} can't be written: it is a folder. Pass the path of "
            "a file."
        )
    probe = _temporary(path)
    try:
        for left_over in folder.glob(f".{escape(path.name)}.*.tmp"):
            left_over.unlink(missing_ok=True)
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        raise type(error)(
            error.errno,
            f"The checkpoint {path} can't be written: {error.strerror}. Pass a path in "
            "a folder that may be written to",
            str(folder),
        ) from error


def write(path: Path, content: Any) -> None:
    """Replace a file by the pickle of an object.

    The file is the old one or the new one at any moment, also after a power cut. If
    writing fails, it is the old one, and no other file is left.
    """
    temporary = _temporary(path)
    try:
        with open(temporary, "xb") as file:
            file.write(_FIRST_LINE + _SECOND_LINE)
            pickle.dump(content, file, pickle.HIGHEST_PROTOCOL)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    _sync(path.parent)


def read(path: str | os.PathLike[str]) -> Any:
    """Return the object that ``write`` put into a file.

    Raises
    ------
    ValueError
        If the file is no checkpoint, is damaged, or was written by another version.
    """
    with open(path, "rb") as file:
        if file.readline(len(_FIRST_LINE)) != _FIRST_LINE:
            raise ValueError(f"{path} is not a checkpoint of sknn_notes.")
        version = file.readline(100)
        if version != _SECOND_LINE:
            writer = version.decode(errors="replace").removeprefix("version ").strip()
            raise ValueError(
                f"{path} was written by version {writer} of sknn_notes, and this is "
                f"version {__version__}, which may train differently. Install "
                f"sknn_notes=={writer} to resume the fit."
            )
        try:
            return pickle.load(file)
        except (EOFError, pickle.UnpicklingError) as error:
            raise ValueError(f"{path} is damaged: {error}.") from error


def _temporary(path: Path) -> Path:
    # In the same folder, since a file can't be moved to another disk in one step.
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")


def _sync(folder: Path) -> None:
    """Have the disk keep the new name of a file, where folders can be opened."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
