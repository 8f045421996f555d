"""Whether what is done was ended from outside before, so that what is read may end it again.

A command is told so before it imports anything else, a flow by what its last start has left.
"""

once: bool = False
