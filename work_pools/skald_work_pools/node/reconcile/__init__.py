"""What events may have missed: the node's own runs, dead nodes' runs, updates, stuck cancellations.

Events are hints and get lost; each module here also looks by itself, at start, after a gap and periodically.
"""
