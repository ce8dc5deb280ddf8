"""What the master and a Pi say to one another: the key of a job, jobs, results and reports.

Runs on both, standard library only, Python 3.9 or newer. Each message says the version in which
it is written. A Pi and a master of two versions exchange no more than what the Pi holds, until
site.yml has brought both to one.
"""

from __future__ import annotations

VERSION = 3
"""Raised with each change that the other side must know. Messages of version 1 don't say theirs."""


class MessageError(ValueError):
    """A message is not as agreed; the text says what of it."""


class NewerError(Exception):
    """A message is of a later version than this code: it has to wait, and nothing is wrong."""
