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
#: The new state of the job, if the event changes it.
JOB_STATE: Final = "n"
#: The new elements of the history; for an element rewritten in place, its changed values.
CHANGES: Final = "t"
#: All elements of the history: after an insert, a replace, or an update that rewrites it.
WHOLE_HISTORY: Final = "a"
#: The time of the update, for a profile without history. Its state is in STATE.
UPDATED: Final = "u"

#: The state of an element, or of the job for a profile without history.
STATE: Final = "s"
#: The time of an element.
TIME: Final = "d"
#: The ``trans_id`` of an element.
TRANS_ID: Final = "i"
#: The path of a change in the document, as ``transition_times.3`` or ``transition_times.3.state``.
PATH: Final = "k"
#: The new value of a single field inside an element.
VALUE: Final = "v"
