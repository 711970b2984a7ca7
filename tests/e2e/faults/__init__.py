"""The command as an operator starts it, with servers that fail, judged by what was committed and what arrived."""
