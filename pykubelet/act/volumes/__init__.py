"""How the content of volumes gets on disk: one file for each family of kinds, and the manager that picks."""

from pykubelet.act.volumes.manager import VolumeManager

__all__ = ["VolumeManager"]
