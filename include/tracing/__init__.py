"""What became of one event, hop by hop: the pieces of `include/trace.py`, one per part that is asked."""
