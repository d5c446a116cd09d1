"""The port of dead letters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from atelier.dead_letters.model import DeadLetter, DeadLetterQueue


class DeadLetters(Protocol):
    """The queues of dead letters. A message that was taken is hidden from others for some time, and comes back by
    itself when nothing is done with it: no crash loses one."""

    def depth(self, queue: DeadLetterQueue) -> int:
        """About how many messages there are, hidden ones too."""
        ...

    def take(self, queue: DeadLetterQueue) -> Sequence[DeadLetter]:
        """Up to ten messages; none when all are taken."""
        ...

    def put_back(self, queue: DeadLetterQueue, letters: Sequence[DeadLetter]) -> None:
        """Show messages to others again, at once."""
        ...

    def send_again(self, queue: DeadLetterQueue, letter: DeadLetter) -> None:
        """Send a copy to where the message failed. Raises NotRepeatable."""
        ...

    def delete(self, queue: DeadLetterQueue, letter: DeadLetter) -> None: ...
