"""MongoDB: the change stream, history, tags, checkpoints and the verdict on each error."""
