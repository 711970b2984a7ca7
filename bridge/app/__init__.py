"""The objects that live long: the process, one bridge in it, one session of that bridge."""
