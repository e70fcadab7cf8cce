"""The pattern languages of the manifest, one file each. A pattern that could be read in two ways is refused."""

from __future__ import annotations

from airssys_security.patterns.filesystem import FilesystemPatterns as FilesystemPatterns
from airssys_security.patterns.filesystem import Preopen as Preopen
from airssys_security.patterns.names import NamePatterns as NamePatterns
from airssys_security.patterns.namespaces import NamespacePatterns as NamespacePatterns
from airssys_security.patterns.network import NetworkPattern as NetworkPattern

__all__ = ("FilesystemPatterns", "NamePatterns", "NamespacePatterns", "NetworkPattern", "Preopen")
