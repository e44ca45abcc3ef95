"""Run code that nobody has read yet, apart from the user's process, files and keys.

Two levels. *isolated*: bubblewrap gives the code no network, its own processes and none but Python's own files.
*limited*: a subprocess with an empty environment and a folder of its own. At both, a guard refuses writing, processes,
sockets and threads, and limits stop what takes too long, too much memory or prints too much. *limited* guards against
accidents and careless code; it is no boundary against a determined attacker.
"""

from __future__ import annotations

from alain_magics.sandbox.outcome import Level, Limits, Outcome, Program
from alain_magics.sandbox.session import Sandbox, Session

__all__ = ["Level", "Limits", "Outcome", "Program", "Sandbox", "Session"]
