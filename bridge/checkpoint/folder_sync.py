"""Makes renamed and removed files durable."""

import errno
import os
from pathlib import Path

#: Some network file systems and FUSE have no fsync of a folder; there a crash of the machine, not
#: of the bridge, may restore the file before the last rename.
_NO_FOLDER_SYNC = (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS)


def sync_folder(folder: Path) -> None:
    """Make the folder's entries durable, where the file system supports that."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(descriptor)
