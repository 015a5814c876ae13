"""Errors of the network build and evaluation tools, by what the caller can do about them."""

from __future__ import annotations


class ModelsError(Exception):
    """Something that a person at the command line must look at; its text is one line for them."""


class SourceRefused(ModelsError):
    """A package or a file in it does not have the SHA-256 that the build names; nothing was made from it."""


class SourceUnavailable(ModelsError):
    """A package could not be had from its registry; try again with a connection."""


class BuildFailed(ModelsError):
    """A build step stopped, or its result is not what the repository holds."""


class BenchFailed(ModelsError):
    """A side of the bench could not be started or stopped before its end."""
