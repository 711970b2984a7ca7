"""The fields of a shaped change event: written by stages.py, read by decoder.py.

Their names are one letter long, because the server sends them with every event. A change of a name
changes the fingerprint of the stages, so that the next start resumes by cluster time.
"""

from typing import Final

#: The resume token, which contains the cluster time.
TOKEN: Final = "_id"
#: The type of the operation.
OPERATION: Final = "o"
#: The server's wall clock at the commit.
WALL_TIME: Final = "w"
#: The ``_id`` of the document.
DOCUMENT_KEY: Final = "k"
#: The job id, if the event contains it.
JOB_ID: Final = "j"
#: The new job id of an update that changes it.
CHANGED_ID: Final = "n"
#: The changes of the history by an update.
CHANGES: Final = "t"
#: All elements of the history and of its archive, after an insert or a replace; the name of the
#: type if the document has something else there.
WHOLE_HISTORY: Final = "a"
WHOLE_ARCHIVE: Final = "h"
#: The time of the update, for a profile without history. Its state is in STATE.
UPDATED: Final = "u"

#: The state of an element, or of the job for a profile without history.
STATE: Final = "s"
#: The time of an element.
TIME: Final = "d"
#: The ``trans_id`` of an element.
TRANS_ID: Final = "i"
#: All fields of an element.
ELEMENT: Final = (STATE, TIME, TRANS_ID)
#: The path of a change in the document: ``transition_times``, ``transition_times.3`` or
#: ``transition_times.3.state``.
PATH: Final = "k"
#: The new value of a single field inside an element.
VALUE: Final = "v"
#: All elements of an array that an update sets as a whole.
ELEMENTS: Final = "e"
#: The new length of an array that an update truncates.
SIZE: Final = "z"
#: True if an update removes the field.
REMOVED: Final = "x"
