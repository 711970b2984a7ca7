"""MongoDB: the change stream, decoding, job ids, preflight and the table of errors."""
