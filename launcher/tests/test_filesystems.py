"""A table of mounts as the kernel writes it: where a data folder may live, and where the sockets go."""

from __future__ import annotations

from pathlib import Path

import pytest

from launcher import filesystems, place
from launcher.place import LauncherError, Place

MOUNTS = r"""
/dev/sdc / ext4 rw,relatime 0 0
none /mnt/wsl tmpfs rw 0 0
C:\134 /mnt/c 9p rw,noatime,aname=drvfs;path=C:\;uid=1000 0 0
drvfs /mnt/d drvfs rw 0 0
/dev/nvme1n1 /mnt/disk xfs rw 0 0
fileserver:/home /home nfs4 rw,vers=4.2 0 0
//nas/lab /srv/lab\040share cifs rw 0 0
/dev/sdd /home/ada/local ext4 rw 0 0
user@host: /media/far fuse.sshfs rw 0 0
host0 /work 9p rw,trans=virtio 0 0
share /shared virtiofs rw 0 0
/dev/sde /covered ext4 rw 0 0
fileserver:/x /covered nfs rw 0 0
"""


@pytest.mark.parametrize(
    ("folder", "kind", "refused"),
    [
        ("/root/hearth/data", "ext4", False),
        ("/mnt/c/Users/ada/hearth", "drvfs", True),
        ("/mnt/d/hearth", "drvfs", True),
        ("/mnt/disk/hearth", "xfs", False),
        ("/mnt/cat", "ext4", False),
        ("/mnt/wsl/hearth", "tmpfs", False),
        ("/home/ada/hearth/data", "nfs4", True),
        ("/home/ada/local/hearth", "ext4", False),
        ("/srv/lab share/hearth", "cifs", True),
        ("/srv/lab", "ext4", False),
        ("/media/far/x", "fuse.sshfs", True),
        ("/work", "9p", True),
        ("/shared/hearth", "virtiofs", False),
        ("/covered/hearth", "nfs", True),
    ],
)
def test_where_a_data_folder_may_live(folder: str, kind: str, refused: bool) -> None:
    assert filesystems.kind(Path(folder), MOUNTS) == kind
    said = filesystems.problem(Path(folder), MOUNTS)
    assert bool(said) == refused
    if refused:
        assert folder in said and kind in said and "--data" in said
        assert ("wsl$" in said) == (kind == "drvfs")


def test_nothing_is_refused_where_there_is_no_table() -> None:
    assert filesystems.problem(Path("/x"), "") == ""


def test_a_refused_folder_is_not_even_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filesystems, "mounts", lambda: f"server:/x {tmp_path} nfs rw 0 0\n")
    refused = Place(data=tmp_path / "data", python=Path("/p"))
    with pytest.raises(LauncherError, match="is on nfs"):
        refused.make()
    assert not refused.data.exists()


def test_sockets_leave_a_folder_that_is_shared_with_a_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filesystems, "mounts", lambda: f"share {tmp_path}/shared virtiofs rw 0 0\n")
    place.run_folder.cache_clear()
    data = tmp_path / "shared" / "data"
    try:
        assert not place.run_folder(data).is_relative_to(tmp_path / "shared")
        assert place.run_folder(tmp_path / "own").is_relative_to(tmp_path / "own")
    finally:
        place.run_folder.cache_clear()
