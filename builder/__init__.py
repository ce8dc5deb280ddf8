"""What runs on a Pi: it takes jobs from the spool, builds them in a sandbox and puts results back.

Standard library only, Python 3.9 or newer. Nothing here knows of Ansible, the master or the
database: the spool's files are the whole interface.
"""

from __future__ import annotations

__version__ = "0.1.0"


class PiTroubleError(Exception):
    """This Pi and no package is to blame; the message says for what, and the way out.

    It had better take no more jobs before it has proven itself again.
    """
